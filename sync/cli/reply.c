#include "sync/cli/reply.h"

#include <string.h>
#include <strings.h>

#include "common/str.h"

void
reply_init(struct reply *r, reply_fn *fn, void *arg)
{
	*r = (struct reply){ .length = -1, .fn = fn, .arg = arg };
	buf_init(&r->line, REPLY_LINE_MAX);
}

void
reply_clear(struct reply *r)
{
	buf_clear(&r->line);
}

/* "HTTP/1.1 200 OK" */
static int
take_status(struct reply *r, const char *line, struct err *e)
{
	const char *p = line + strlen("HTTP/1.x ");

	if (!str_has_prefix(line, "HTTP/1.") || strlen(line) < 12 ||
	    line[8] != ' ' || p[0] < '1' || p[0] > '5' || p[1] < '0' ||
	    p[1] > '9' || p[2] < '0' || p[2] > '9' ||
	    (p[3] != ' ' && p[3] != '\0'))
		return err_set(
		    e, ERR_BUG, "the server does not speak HTTP/1.1");
	r->status = (p[0] - '0') * 100 + (p[1] - '0') * 10 + p[2] - '0';
	r->state = REPLY_HEADER;
	return 0;
}

/* After the headers: what kind of body is there? */
static void
choose_body(struct reply *r)
{
	if (r->status < 200) { /* 100 Continue: the response is to come */
		r->chunked = false;
		r->length = -1;
		r->state = REPLY_STATUS;
	} else if (r->status == 204 || r->status == 304 ||
		   (!r->chunked && r->length == 0)) {
		r->state = REPLY_DONE;
	} else if (r->chunked) {
		r->state = REPLY_SIZE;
	} else if (r->length > 0) {
		r->left = r->length;
		r->state = REPLY_LENGTH;
	} else {
		r->state = REPLY_CLOSE;
	}
}

static int
take_header(struct reply *r, char *line, struct err *e)
{
	char *value = strchr(line, ':');

	if (line[0] == '\0') {
		choose_body(r);
		return 0;
	}
	if (++r->nheaders > REPLY_HEADERS_MAX)
		return err_set(e, ERR_BUG,
		    "the server sends more than %d headers", REPLY_HEADERS_MAX);
	if (value == NULL)
		return err_set(
		    e, ERR_BUG, "the server sends a header without a colon");
	*value++ = '\0';
	value += strspn(value, " \t");
	if (strcasecmp(line, "Content-Length") == 0 &&
	    str_int(value, 0, INT64_MAX, &r->length) == -1)
		return err_set(
		    e, ERR_BUG, "the server sends a length that is none");
	if (strcasecmp(line, "Transfer-Encoding") == 0) {
		if (strcasecmp(value, "chunked") != 0)
			return err_set(e, ERR_BUG,
			    "the server sends an encoding that is not known");
		r->chunked = true;
	}
	return 0;
}

static int
take_size(struct reply *r, const char *line, struct err *e)
{
	size_t n = strspn(line, "0123456789abcdefABCDEF");

	/* Seven digits are 256 MB: no chunk of ours comes near. */
	if (n == 0 || n > 7 || (line[n] != '\0' && line[n] != ';'))
		return err_set(
		    e, ERR_BUG, "the server sends a chunk of no known size");
	r->left = 0;
	for (size_t i = 0; i < n; i++) {
		char c = line[i];

		r->left =
		    r->left * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	r->state = r->left > 0 ? REPLY_CHUNK : REPLY_TRAILER;
	return 0;
}

static int
take_line(struct reply *r, char *line, struct err *e)
{
	switch (r->state) {
	case REPLY_STATUS:
		return take_status(r, line, e);
	case REPLY_HEADER:
		return take_header(r, line, e);
	case REPLY_SIZE:
		return take_size(r, line, e);
	case REPLY_CRLF:
		if (line[0] != '\0')
			return err_set(e, ERR_BUG,
			    "the server's chunk is longer than it said");
		r->state = REPLY_SIZE;
		return 0;
	case REPLY_TRAILER:
		if (line[0] == '\0')
			r->state = REPLY_DONE;
		else if (++r->nheaders > REPLY_HEADERS_MAX)
			return err_set(e, ERR_BUG,
			    "the server sends more than %d headers",
			    REPLY_HEADERS_MAX);
		return 0;
	case REPLY_LENGTH:
	case REPLY_CLOSE:
	case REPLY_CHUNK:
	case REPLY_DONE:
		break;
	}
	return 0;
}

/* Collect a line; *used tells how many bytes it took. */
static int
feed_line(
    struct reply *r, const char *p, size_t len, size_t *used, struct err *e)
{
	const char *nl = memchr(p, '\n', len);
	size_t n = nl != NULL ? (size_t)(nl - p) : len;
	int rc;

	if (memchr(p, '\0', n) != NULL)
		return err_set(e, ERR_BUG, "the server sends a NUL");
	if (buf_put(&r->line, p, n) == -1)
		return err_set(e, ERR_BUG,
		    "the server sends a line of more than %d bytes",
		    REPLY_LINE_MAX);
	*used = n;
	if (nl == NULL)
		return 0;
	*used = n + 1;
	if (r->line.len > 0 && r->line.p[r->line.len - 1] == '\r')
		r->line.p[--r->line.len] = '\0';
	rc = take_line(r, r->line.p, e);
	buf_clear(&r->line);
	return rc;
}

static int
feed_body(
    struct reply *r, const char *p, size_t len, size_t *used, struct err *e)
{
	bool open_ended = r->state == REPLY_CLOSE;
	size_t n = len;

	if (!open_ended && (int64_t)n > r->left)
		n = (size_t)r->left;
	*used = n;
	if (r->fn(r->arg, p, n, e) == -1)
		return -1;
	if (open_ended)
		return 0;
	r->left -= (int64_t)n;
	if (r->left == 0)
		r->state = r->state == REPLY_CHUNK ? REPLY_CRLF : REPLY_DONE;
	return 0;
}

int
reply_feed(struct reply *r, const char *p, size_t len, struct err *e)
{
	size_t used;
	bool body;

	while (len > 0 && r->state != REPLY_DONE) {
		body = r->state == REPLY_LENGTH || r->state == REPLY_CHUNK ||
		       r->state == REPLY_CLOSE;
		if ((body ? feed_body : feed_line)(r, p, len, &used, e) == -1)
			return -1;
		p += used;
		len -= used;
	}
	return 0;
}

int
reply_end(struct reply *r, struct err *e)
{
	if (r->state == REPLY_CLOSE)
		r->state = REPLY_DONE;
	if (r->state != REPLY_DONE)
		return err_set(e, ERR_AGAIN,
		    "the server closed the connection in the middle of its "
		    "answer");
	return 0;
}
