#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/err.h"

static void
setting_an_error_forgets_the_one_before(void **state)
{
	struct err e = { ERR_LIMITED, 5000, "rateLimited", "slow down" };

	(void)state;
	assert_int_equal(err_set(&e, ERR_REFUSED, "order is %s", "x"), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_int_equal(e.retry_ms, 0);
	assert_string_equal(e.type, "");
	assert_string_equal(e.text, "order is x");
}

static void
a_prefix_says_where_and_keeps_the_rest(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, ERR_AGAIN, "timed out");
	e.retry_ms = 7;
	assert_int_equal(err_prefix(&e, "order %d", 3), -1);
	assert_string_equal(e.text, "order 3: timed out");
	assert_int_equal(e.kind, ERR_AGAIN);
	assert_int_equal(e.retry_ms, 7);
}

static void
a_text_that_is_too_long_is_cut(void **state)
{
	char much[1000];
	struct err e;

	(void)state;
	memset(much, 'x', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	err_set(&e, ERR_BUG, "%s", much);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	err_prefix(&e, "%s", "p");
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_memory_equal(e.text, "p: xxx", 6);
	err_prefix(&e, "%s", much);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

/* An error that was stored may be given again as an argument. */
static void
an_error_may_be_made_from_its_own_text(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, ERR_BUG, "first");
	err_set(&e, ERR_AGAIN, "second, after %s", e.text);
	assert_string_equal(e.text, "second, after first");
	err_prefix(&e, "%s", e.text);
	assert_string_equal(e.text, "second, after first: second, after first");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting_an_error_forgets_the_one_before),
		cmocka_unit_test(a_prefix_says_where_and_keeps_the_rest),
		cmocka_unit_test(a_text_that_is_too_long_is_cut),
		cmocka_unit_test(an_error_may_be_made_from_its_own_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
