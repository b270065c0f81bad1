#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/cli/reply.h"

static int
into(void *arg, const char *p, size_t len, struct err *e)
{
	if (buf_put(arg, p, len) == -1)
		return err_set(e, ERR_BUG, "too much");
	return 0;
}

/* Feed text in pieces of step bytes; 0 when it was taken. */
static int
feed(struct reply *r, const char *text, size_t step, struct err *e)
{
	size_t len = strlen(text), n;

	for (size_t at = 0; at < len; at += n) {
		n = len - at < step ? len - at : step;
		if (reply_feed(r, text + at, n, e) == -1)
			return -1;
	}
	return 0;
}

/* However it is cut: status and body are these, and the end is its end. */
static void
reads(const char *text, int status, const char *body)
{
	struct err e = { 0 };
	struct reply r;
	struct buf out;

	for (size_t step = 1; step <= strlen(text); step++) {
		buf_init(&out, 1000);
		reply_init(&r, into, &out);
		assert_int_equal(feed(&r, text, step, &e), 0);
		assert_int_equal(reply_end(&r, &e), 0);
		assert_int_equal(r.status, status);
		assert_string_equal(out.p, body);
		reply_clear(&r);
		buf_clear(&out);
	}
}

static void
a_body_has_its_length_however_it_is_cut(void **state)
{
	(void)state;
	reads(
	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
	reads("HTTP/1.1 201 Created\r\ncontent-length:2\r\n\r\nokmore", 201,
	    "ok");
	reads("HTTP/1.1 422\r\nContent-Length: 0\r\n\r\n", 422, "");
}

static void
chunks_are_joined_however_they_are_cut(void **state)
{
	(void)state;
	reads("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	      "5\r\nhello\r\nA;x=y\r\n, my world\r\n0\r\nTrailer: x\r\n\r\n",
	    200, "hello, my world");
}

static void
a_body_without_length_ends_with_the_connection(void **state)
{
	(void)state;
	reads("HTTP/1.0 200 OK\n\nall\nof it", 200, "all\nof it");
}

static void
no_content_has_no_body(void **state)
{
	(void)state;
	reads("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
	reads("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
	      "Content-Length: 1\r\n\r\nx",
	    200, "x");
}

static void
what_is_no_response_is_refused(void **state)
{
	static const char *const bad[] = {
		"\r\n",
		"HTTP/2 200 OK\r\n",
		"HTTP/1.1 OK\r\n",
		"HTTP/1.1 2000 OK\r\n",
		"HTTP/1.1 099 x\r\n",
		"SSH-2.0-OpenSSH\r\n",
		"HTTP/1.1 200 OK\r\nno colon\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"ffffffff\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"1\r\nxx\r\n",
	};
	struct reply r;
	struct buf out;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){ 0 };
		buf_init(&out, 1000);
		reply_init(&r, into, &out);
		if (feed(&r, bad[i], 1, &e) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.kind, ERR_BUG);
		reply_clear(&r);
		buf_clear(&out);
	}
}

static void
lines_and_headers_have_an_end(void **state)
{
	struct reply r;
	struct err e = { 0 };
	int i, rc = 0;

	(void)state;
	reply_init(&r, into, NULL);
	for (i = 0; i < REPLY_LINE_MAX + 1 && rc == 0; i++)
		rc = reply_feed(&r, "x", 1, &e);
	assert_int_equal(i, REPLY_LINE_MAX + 1);
	assert_int_equal(rc, -1);
	reply_clear(&r);

	reply_init(&r, into, NULL);
	rc = feed(&r, "HTTP/1.1 200 OK\r\n", 99, &e);
	for (i = 0; i < REPLY_HEADERS_MAX + 1 && rc == 0; i++)
		rc = feed(&r, "A: b\r\n", 99, &e);
	assert_int_equal(i, REPLY_HEADERS_MAX + 1);
	assert_int_equal(rc, -1);
	reply_clear(&r);
}

static void
an_end_in_the_middle_is_told(void **state)
{
	static const char *const cut[] = { "", "HTTP/1.1 200",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx" };
	struct reply r;
	struct buf out;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) {
		buf_init(&out, 1000);
		reply_init(&r, into, &out);
		assert_int_equal(feed(&r, cut[i], 7, &e), 0);
		assert_int_equal(reply_end(&r, &e), -1);
		assert_int_equal(e.kind, ERR_AGAIN);
		reply_clear(&r);
		buf_clear(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_has_its_length_however_it_is_cut),
		cmocka_unit_test(chunks_are_joined_however_they_are_cut),
		cmocka_unit_test(
		    a_body_without_length_ends_with_the_connection),
		cmocka_unit_test(no_content_has_no_body),
		cmocka_unit_test(what_is_no_response_is_refused),
		cmocka_unit_test(lines_and_headers_have_an_end),
		cmocka_unit_test(an_end_in_the_middle_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
