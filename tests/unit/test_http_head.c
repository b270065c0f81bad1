#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "sync/http.h"
#include "sync/http_head.h"

static void
take(struct http_head *h, const char *line)
{
	assert_int_equal(http_head_line(h, line, strlen(line)), 0);
}

static void
names_have_no_case_and_values_no_blanks_around(void **state)
{
	struct http_head h = { 0 };

	(void)state;
	take(&h, "HTTP/1.1 200 OK\r\n");
	take(&h, "LOCATION: \t https://ca/o/1 \t\r\n");
	take(&h, "replay-nonce:abc\r\n");
	take(&h, "X-Location: no\r\n");
	take(&h, "Locatio: no\r\n");
	take(&h, "no colon\r\n");
	take(&h, "\r\n");
	take(&h, "");
	assert_string_equal(http_head_get(&h, HTTP_LOCATION), "https://ca/o/1");
	assert_string_equal(http_head_get(&h, HTTP_REPLAY_NONCE), "abc");
	assert_string_equal(http_head_get(&h, HTTP_DATE), "");
	http_head_clear(&h);
	http_head_clear(&h);
}

/* A 103 Early Hints answer has Links, too. */
static void
an_interim_answer_is_forgotten(void **state)
{
	struct http_head h = { 0 };

	(void)state;
	take(&h, "HTTP/2 103\r\n");
	take(&h, "link: <early>\r\n");
	take(&h, "HTTP/2 200\r\n");
	take(&h, "link: <late>\r\n");
	assert_string_equal(http_head_get(&h, HTTP_LINK), "<late>");
	http_head_clear(&h);
}

static void
long_values_are_absent_and_long_heads_an_error(void **state)
{
	char *line = xmalloc(HTTP_VALUE_MAX + 64);
	struct http_head h = { 0 };
	size_t n = 0;

	(void)state;
	memset(line, 'a', HTTP_VALUE_MAX + 64);
	memcpy(line, "Link: ", 6);
	assert_int_equal(http_head_line(&h, line, HTTP_VALUE_MAX + 6), 0);
	assert_int_equal(strlen(http_head_get(&h, HTTP_LINK)), HTTP_VALUE_MAX);
	take(&h, "Link: b");
	assert_string_equal(http_head_get(&h, HTTP_LINK), "");
	while (http_head_line(&h, line, 1000) == 0)
		n++;
	assert_true(n < HTTP_HEAD_MAX / 1000);
	http_head_clear(&h);
	free(line);
}

static void
a_limit_is_announced_as_the_time_when_it_ends(void **state)
{
	(void)state;
	assert_int_equal(http_rate_reset("1700000060", 1700000000500), 59500);
	assert_int_equal(http_rate_reset("1700000000", 1700000000500), 0);
	assert_int_equal(http_rate_reset("60", 1700000000500), 0);
	assert_int_equal(http_rate_reset("soon", 1700000000500), 0);
	assert_int_equal(http_rate_reset("", 1700000000500), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_limit_is_announced_as_the_time_when_it_ends),
		cmocka_unit_test(
		    names_have_no_case_and_values_no_blanks_around),
		cmocka_unit_test(an_interim_answer_is_forgotten),
		cmocka_unit_test(
		    long_values_are_absent_and_long_heads_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
