#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/http_msg.h"

static void
a_request_is_put_together(void **state)
{
	struct http_msg_req req;

	(void)state;
	http_msg_init(&req);
	http_msg_start(&req, "POST", "https://a.test/v1");
	http_msg_url(&req, "/zones/%d?name=", 7);
	http_msg_url_piece(&req, "*.b c/~_-.\xc3\xa4");
	http_msg_header(&req, "X-Key: %s", "k");
	http_msg_form(&req, "a", "1+1=2&");
	http_msg_form(&req, "b", "");
	assert_string_equal(req.method, "POST");
	assert_string_equal(
	    req.url.p, "https://a.test/v1/zones/7?name=%2A.b%20c%2F~_-.%C3%A4");
	assert_int_equal(req.nheaders, 1);
	assert_string_equal(req.header[0].p, "X-Key: k");
	assert_string_equal(req.body.p, "a=1%2B1%3D2%26&b=");
	assert_false(req.too_long);
	http_msg_wipe(&req);
}

static void
nothing_of_a_request_is_left_in_the_next(void **state)
{
	struct http_msg_req req;

	(void)state;
	http_msg_init(&req);
	http_msg_start(&req, "POST", "https://a.test/");
	http_msg_header(&req, "X-Key: k\n");
	http_msg_body(&req, "secret");
	assert_true(req.too_long);
	http_msg_start(&req, "GET", "https://b.test/");
	assert_int_equal(req.nheaders, 0);
	assert_int_equal(req.body.len, 0);
	assert_string_equal(req.url.p, "https://b.test/");
	assert_false(req.too_long);
	http_msg_wipe(&req);
	http_msg_wipe(&req);
}

/* A value with a line end would begin a header of its own. */
static void
line_ends_in_headers_are_remembered(void **state)
{
	static const char *const bad[] = { "a\r\nX: y", "a\n", "\x7f", "\t" };
	struct http_msg_req req;

	(void)state;
	http_msg_init(&req);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		http_msg_start(&req, "GET", "https://a.test/");
		http_msg_header(&req, "X-Key: %s", bad[i]);
		assert_true(req.too_long);
	}
	http_msg_wipe(&req);
}

static void
what_does_not_fit_is_remembered(void **state)
{
	static char big[HTTP_MSG_HEADER_MAX + 1];
	struct http_msg_req req;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	http_msg_init(&req);
	http_msg_start(&req, "GET", big);
	assert_true(req.too_long);
	http_msg_start(&req, "GET", "https://a.test/");
	http_msg_url_piece(&req, big);
	assert_true(req.too_long);
	http_msg_start(&req, "GET", "https://a.test/");
	http_msg_header(&req, "X: %s", big);
	assert_true(req.too_long);
	http_msg_start(&req, "GET", "https://a.test/");
	for (size_t i = 0; i < HTTP_MSG_HEADERS_MAX; i++)
		http_msg_header(&req, "X: %zu", i);
	assert_false(req.too_long);
	http_msg_header(&req, "X: one too many");
	assert_true(req.too_long);
	assert_int_equal(req.nheaders, HTTP_MSG_HEADERS_MAX);
	http_msg_start(&req, "GET", "https://a.test/");
	for (size_t i = 0; i < HTTP_MSG_BODY_MAX / HTTP_MSG_HEADER_MAX; i++)
		http_msg_body(&req, "%s", big);
	assert_false(req.too_long);
	http_msg_body(&req, "x");
	assert_true(req.too_long);
	http_msg_wipe(&req);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_put_together),
		cmocka_unit_test(nothing_of_a_request_is_left_in_the_next),
		cmocka_unit_test(line_ends_in_headers_are_remembered),
		cmocka_unit_test(what_does_not_fit_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
