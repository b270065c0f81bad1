/*
 * Responses of a server that may be anything: taken whole and byte by byte,
 * they must say the same, and what they say must not move the cursor.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "sync/cli/cli.h"
#include "sync/cli/reply.h"
#include "sync/cli/show.h"

#define BODY_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static int
into(void *arg, const char *p, size_t len, struct err *e)
{
	if (buf_put(arg, p, len) == -1)
		return err_set(e, ERR_BUG, "too much");
	return 0;
}

/* The status, or -1 for no response, or -2 for one cut short. */
static int
take(const char *p, size_t len, size_t step, struct buf *body)
{
	struct err e = { 0 };
	struct reply r;
	int status;

	buf_init(body, BODY_MAX);
	reply_init(&r, into, body);
	for (size_t at = 0; at < len; at += step) {
		size_t n = len - at < step ? len - at : step;

		if (reply_feed(&r, p + at, n, &e) == -1) {
			if (e.text[0] == '\0')
				abort();
			reply_clear(&r);
			return -1;
		}
	}
	status = reply_end(&r, &e) == 0 ? r.status : -2;
	if (status >= 0 && (status < 200 || status > 599))
		abort();
	reply_clear(&r);
	return status;
}

static void
show(const struct buf *body)
{
	struct show s = { 1780000000000, false };
	json_t *o =
	    json_loadb(body->p, body->len, JSON_REJECT_DUPLICATES, NULL);
	struct buf out;
	char *error;

	if (o == NULL)
		return;
	buf_init(&out, 16 * 1024 * 1024);
	show_domains(&s, o, &out);
	show_domains(&s, json_object_get(o, "domains"), &out);
	show_why(&s, o, &out);
	show_line(&s, o, &out);
	show_nodes(&s, json_object_get(o, "nodes"), &out);
	show_status(&s, o, &out);
	show_event(&s, o, &out);
	for (size_t i = 0; i < out.len; i++)
		if (((unsigned char)out.p[i] < 0x20 && out.p[i] != '\n') ||
		    out.p[i] == 0x7f)
			abort();
	buf_clear(&out);
	error = cli_answer_error(422, o);
	if (error[0] == '\0')
		abort();
	free(error);
	json_decref(o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const char *p = (const char *)bytes;
	struct buf whole, pieces;
	int a, b;

	if (len > BODY_MAX)
		return 0;
	a = take(p, len, len + 1, &whole);
	b = take(p, len, 1, &pieces);
	if (a != b || whole.len != pieces.len ||
	    memcmp(whole.p, pieces.p, whole.len) != 0)
		abort();
	if (a >= 0)
		show(&whole);
	buf_clear(&whole);
	buf_clear(&pieces);
	return 0;
}
