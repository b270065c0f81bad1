#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"

static void
an_empty_buf_is_an_empty_string(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_string_equal(b.p, "");
	assert_int_equal(buf_put(&b, NULL, 0), 0);
	assert_int_equal(buf_puts(&b, ""), 0);
	assert_int_equal(buf_putf(&b, "%s", ""), 0);
	assert_string_equal(b.p, "");
	buf_drop(&b, 0);
	buf_wipe(&b);
	buf_clear(&b);
	buf_clear(&b);
}

static void
the_cap_is_exact_and_what_passes_it_changes_nothing(void **state)
{
	struct buf b;

	(void)state;
	for (size_t cap = 1; cap < 200; cap++) {
		buf_init(&b, cap);
		for (size_t i = 0; i < cap; i++)
			assert_int_equal(buf_put(&b, "x", 1), 0);
		assert_int_equal(buf_put(&b, "x", 1), -1);
		assert_int_equal(buf_putf(&b, "%d", 1), -1);
		assert_int_equal(buf_put(&b, b.p, SIZE_MAX), -1);
		assert_int_equal(b.len, cap);
		assert_int_equal(strlen(b.p), cap);
		buf_clear(&b);
		assert_int_equal(b.cap, cap);
	}
}

static void
formatted_text_is_appended(void **state)
{
	struct buf b;
	char expected[501];

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(buf_puts(&b, "a="), 0);
	assert_int_equal(buf_putf(&b, "%d %s", 7, "seven"), 0);
	assert_string_equal(b.p, "a=7 seven");
	buf_clear(&b);
	memset(expected, 'y', sizeof(expected) - 1);
	expected[500] = '\0';
	assert_int_equal(buf_putf(&b, "%s", expected), 0);
	assert_string_equal(b.p, expected);
	buf_clear(&b);
}

static void
dropping_moves_the_rest_to_the_front(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_puts(&b, "abcdef"), 0);
	buf_drop(&b, 4);
	assert_string_equal(b.p, "ef");
	assert_int_equal(b.len, 2);
	buf_drop(&b, 2);
	assert_string_equal(b.p, "");
	assert_int_equal(buf_puts(&b, "g"), 0);
	assert_string_equal(b.p, "g");
	buf_clear(&b);
}

static void
what_is_taken_belongs_to_the_taker(void **state)
{
	struct buf b;
	char *p;

	(void)state;
	buf_init(&b, 100);
	p = buf_take(&b);
	assert_string_equal(p, "");
	free(p);
	assert_int_equal(buf_puts(&b, "mine"), 0);
	p = buf_take(&b);
	assert_string_equal(p, "mine");
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_puts(&b, "again"), 0);
	assert_string_equal(p, "mine");
	free(p);
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buf_is_an_empty_string),
		cmocka_unit_test(
		    the_cap_is_exact_and_what_passes_it_changes_nothing),
		cmocka_unit_test(formatted_text_is_appended),
		cmocka_unit_test(dropping_moves_the_rest_to_the_front),
		cmocka_unit_test(what_is_taken_belongs_to_the_taker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
