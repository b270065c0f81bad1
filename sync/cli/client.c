#include "sync/cli/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/mem.h"
#include "sync/cli/reply.h"

#define ASK_TIMEOUT_MS 30000
#define SILENCE_MS 60000
#define REQUEST_MAX (1024 * 1024)
#define ANSWER_MAX (64 * 1024 * 1024)
#define EVENT_LINE_MAX (64 * 1024)

int
client_encode(struct buf *path, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";

	for (; *text != '\0'; text++) {
		int rc = strchr(plain, *text) != NULL
		             ? buf_put(path, text, 1)
		             : buf_putf(path, "%%%02X", (unsigned char)*text);

		if (rc == -1)
			return -1;
	}
	return 0;
}

static int
unreachable(struct err *e, const char *path, const char *why)
{
	err_set(e, ERR_AGAIN,
	    "cannot connect to %s: %s; is certfleet-sync running?", path, why);
	snprintf(e->type, sizeof(e->type), "%s", CLIENT_UNREACHABLE);
	return -1;
}

static int
connect_to(const char *path, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		return unreachable(e, path, "the path is too long");
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return unreachable(e, path, strerror(errno));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		int why = errno;

		close(fd);
		return unreachable(e, path, strerror(why));
	}
	return fd;
}

/* Wait until fd is ready or the deadline has passed. */
static int
await(int fd, short what, int64_t deadline, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = what };
	int64_t left;
	int rc;

	do {
		left = deadline - loop_now_ms();
		if (left <= 0)
			return err_set(
			    e, ERR_AGAIN, "certfleet-sync does not answer");
		rc = poll(&p, 1, (int)left);
	} while (rc == 0 || (rc == -1 && errno == EINTR));
	if (rc == -1)
		return err_set(e, ERR_AGAIN, "poll: %s", strerror(errno));
	return 0;
}

static int
send_all(int fd, const struct buf *b, int64_t deadline, struct err *e)
{
	size_t at = 0;

	while (at < b->len) {
		ssize_t n = send(fd, b->p + at, b->len - at, MSG_NOSIGNAL);

		if (n > 0) {
			at += (size_t)n;
		} else if (n == -1 && errno == EAGAIN) {
			if (await(fd, POLLOUT, deadline, e) == -1)
				return -1;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0; /* it may have answered before it left */
		} else if (errno != EINTR) {
			return err_set(
			    e, ERR_AGAIN, "cannot send: %s", strerror(errno));
		}
	}
	return 0;
}

/* With silence_ms each byte that comes moves the deadline. */
static int
receive(
    int fd, struct reply *r, int64_t deadline, int silence_ms, struct err *e)
{
	char bytes[16384];
	ssize_t n;

	while (r->state != REPLY_DONE) {
		n = recv(fd, bytes, sizeof(bytes), 0);
		if (n > 0) {
			if (reply_feed(r, bytes, (size_t)n, e) == -1)
				return -1;
			if (silence_ms > 0)
				deadline = loop_now_ms() + silence_ms;
		} else if (n == 0) {
			return reply_end(r, e);
		} else if (errno == EAGAIN) {
			if (await(fd, POLLIN, deadline, e) == -1)
				return -1;
		} else if (errno != EINTR) {
			return err_set(e, ERR_AGAIN, "cannot receive: %s",
			    strerror(errno));
		}
	}
	return 0;
}

static int
build(struct buf *out, const char *method, const char *path, const json_t *body,
    struct err *e)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	int rc;

	if (body != NULL && text == NULL)
		return err_set(e, ERR_BUG, "a request that is no JSON");
	rc = buf_putf(out,
	    "%s %s HTTP/1.1\r\nHost: certfleet\r\nConnection: close\r\n"
	    "Accept: application/json\r\n",
	    method, path);
	if (rc == 0 && text != NULL)
		rc = buf_putf(out,
		    "Content-Type: application/json\r\nContent-Length: %zu\r\n"
		    "\r\n%s",
		    strlen(text), text);
	else if (rc == 0)
		rc = buf_puts(out, "\r\n");
	mem_wipe_free(text);
	return rc == 0 ? 0 : err_set(e, ERR_REFUSED, "the request is too long");
}

/* Send the request and feed the reply. */
static int
converse(const char *socket_path, const struct buf *request, struct reply *r,
    int silence_ms, struct err *e)
{
	int64_t deadline = loop_now_ms() + ASK_TIMEOUT_MS;
	int fd = connect_to(socket_path, e), rc;

	if (fd == -1)
		return -1;
	rc = send_all(fd, request, deadline, e);
	if (rc == 0)
		rc = receive(fd, r, deadline, silence_ms, e);
	close(fd);
	return rc;
}

static int
into_buf(void *arg, const char *bytes, size_t len, struct err *e)
{
	if (buf_put(arg, bytes, len) == -1)
		return err_set(e, ERR_BUG, "the answer has more than %d bytes",
		    ANSWER_MAX);
	return 0;
}

static int
parse_answer(
    const struct buf *body, int status, struct answer *a, struct err *e)
{
	json_error_t why;

	a->status = status;
	a->body = NULL;
	if (body->len == 0)
		return 0;
	a->body = json_loadb(body->p, body->len, JSON_REJECT_DUPLICATES, &why);
	if (a->body == NULL)
		return err_set(e, ERR_BUG,
		    "certfleet-sync answers %d and not in JSON: %.100s", status,
		    why.text);
	return 0;
}

int
client_ask(const char *socket_path, const char *method, const char *path,
    const json_t *body, struct answer *a, struct err *e)
{
	struct buf request, text;
	struct reply r;
	int rc;

	buf_init(&request, REQUEST_MAX);
	buf_init(&text, ANSWER_MAX);
	reply_init(&r, into_buf, &text);
	rc = build(&request, method, path, body, e);
	if (rc == 0)
		rc = converse(socket_path, &request, &r, 0, e);
	if (rc == 0)
		rc = parse_answer(&text, r.status, a, e);
	reply_clear(&r);
	buf_clear(&text);
	buf_wipe(&request);
	return rc;
}

/* --- an endless answer ---------------------------------------------------- */

struct follow {
	struct reply reply;
	struct buf text; /* a line, or the body of another status */
	client_line_fn *fn;
	void *arg;
};

static int
split_lines(void *arg, const char *bytes, size_t len, struct err *e)
{
	struct follow *f = arg;
	const char *nl;
	int rc = 0;

	if (f->reply.status != 200)
		return into_buf(&f->text, bytes, len, e);
	while (rc == 0 && (nl = memchr(bytes, '\n', len)) != NULL) {
		size_t n = (size_t)(nl - bytes);

		rc = into_buf(&f->text, bytes, n, e);
		if (rc == 0 && f->text.len > 0)
			rc = f->fn(f->arg, f->text.p, e);
		buf_clear(&f->text);
		bytes += n + 1;
		len -= n + 1;
	}
	return rc == 0 ? into_buf(&f->text, bytes, len, e) : rc;
}

int
client_follow(const char *socket_path, const char *path, client_line_fn *fn,
    void *arg, struct answer *a, struct err *e)
{
	struct follow f = { .fn = fn, .arg = arg };
	struct buf request;
	int rc;

	buf_init(&request, REQUEST_MAX);
	buf_init(&f.text, EVENT_LINE_MAX);
	reply_init(&f.reply, split_lines, &f);
	*a = (struct answer){ 0 };
	rc = build(&request, "GET", path, NULL, e);
	if (rc == 0)
		rc = converse(socket_path, &request, &f.reply, SILENCE_MS, e);
	if (rc == 0 && f.reply.status != 200)
		rc = parse_answer(&f.text, f.reply.status, a, e);
	else
		a->status = f.reply.status;
	reply_clear(&f.reply);
	buf_clear(&f.text);
	buf_wipe(&request);
	return rc;
}
