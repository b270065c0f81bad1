#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/str.h"

static void
text_that_does_not_fit_is_not_copied(void **state)
{
	char dst[4] = "xyz";
	struct err e;

	(void)state;
	assert_int_equal(str_copy(dst, sizeof(dst), "abc", &e), 0);
	assert_string_equal(dst, "abc");
	assert_int_equal(str_copy(dst, sizeof(dst), "abcd", &e), -1);
	assert_int_equal(e.kind, ERR_BUG);
	assert_string_equal(dst, "");
}

static void
a_set_of_characters_excludes_the_nul(void **state)
{
	(void)state;
	assert_true(str_only("abba", 4, "ab"));
	assert_false(str_only("abca", 4, "ab"));
	assert_false(str_only("", 0, "ab"));
	assert_false(str_only("ab\0a", 4, "ab"));
}

static void
prefixes_and_suffixes_may_be_the_whole(void **state)
{
	(void)state;
	assert_true(str_has_prefix("unix:/x", "unix:"));
	assert_true(str_has_prefix("unix:", "unix:"));
	assert_false(str_has_prefix("uni", "unix:"));
	assert_true(str_has_suffix("a.pem", ".pem"));
	assert_true(str_has_suffix(".pem", ".pem"));
	assert_false(str_has_suffix("pem", ".pem"));
}

static void
numbers_are_whole_and_inside_their_bounds(void **state)
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "0x10",
		"1e3", "5s", "-1", "101", "9223372036854775808",
		"-9223372036854775809" };
	int64_t v = 7;

	(void)state;
	assert_int_equal(str_int("0", 0, 100, &v), 0);
	assert_true(v == 0);
	assert_int_equal(str_int("100", 0, 100, &v), 0);
	assert_true(v == 100);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(str_int(bad[i], 0, 100, &v), -1);
	assert_true(v == 100);
	assert_int_equal(
	    str_int("-9223372036854775808", INT64_MIN, INT64_MAX, &v), 0);
	assert_true(v == INT64_MIN);
	assert_int_equal(
	    str_int("-9223372036854775809", INT64_MIN, INT64_MAX, &v), -1);
}

static const struct {
	const char *foreign, *printable;
} texts[] = {
	{ "plain text", "plain text" }, { "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
	{ "\x1b[31mred\x7f", "\\x1b[31mred\\x7f" },
	{ "b\xc3\xbc"
	  "cher \xf0\x9f\x92\xa9",
	    "b\xc3\xbc"
	    "cher \xf0\x9f\x92\xa9" },
	{ "\xc2\x9b"
	  "31m",
	    "\\xc2\\x9b31m" },                 /* C1: a terminal's escape */
	{ "\xc0\xaf", "\\xc0\\xaf" },          /* overlong */
	{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" }, /* overlong */
	{ "\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf" }, /* overlong */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },          /* surrogate */
	{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
	{ "\x80\xff", "\\x80\\xff" }, { "\xe2\x82", "\\xe2\\x82" }, /* cut */
	{ "\xe2\x80\xae", "\\xe2\\x80\\xae" }, /* right to left */
	{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8" }, /* line separator */
	{ "\xef\xbb\xbf", "\\xef\\xbb\\xbf" }, /* byte order mark */
};

static void
foreign_text_becomes_printable(void **state)
{
	char out[256];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_string_equal(
		    str_printable(out, sizeof(out), texts[i].foreign,
			strlen(texts[i].foreign)),
		    texts[i].printable);
	assert_string_equal(
	    str_printable(out, sizeof(out), "a\0b", 3), "a\\x00b");
}

static void
printable_text_is_cut_between_characters(void **state)
{
	char out[8];

	(void)state;
	for (size_t size = 1; size <= sizeof(out); size++) {
		memset(out, 'x', sizeof(out));
		str_printable(out, size, "\xe2\x82\xac\xe2\x82\xac\n", 7);
		assert_int_equal(strlen(out), (size - 1) / 3 * 3);
	}
	str_printable(out, 5, "\n\n", 2);
	assert_string_equal(out, "\\x0a");
	str_printable(out, 4, "\n", 1);
	assert_string_equal(out, "");
}

static void
bytes_become_upper_hex(void **state)
{
	char out[9];

	(void)state;
	str_hex(out, (const uint8_t *)"\x00\x9a\xff\x10", 4);
	assert_string_equal(out, "009AFF10");
}

static void
times_are_rfc_3339_in_utc(void **state)
{
	char out[STR_TIME_MAX];

	(void)state;
	assert_string_equal(str_time(out, 0), "1970-01-01T00:00:00.000Z");
	assert_string_equal(
	    str_time(out, 1795498572001), "2026-11-24T05:36:12.001Z");
}

/* Whatever a record says, a time is text that ends. */
static void
times_out_of_range_are_still_text(void **state)
{
	static const int64_t odd[] = { INT64_MAX, INT64_MIN, -1, -1000,
		253402300800000 };
	char out[STR_TIME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		str_time(out, odd[i]);
		assert_true(strlen(out) > 0);
		assert_int_equal(out[strlen(out) - 1], 'Z');
	}
	assert_string_equal(str_time(out, -1), "1969-12-31T23:59:59.999Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_that_does_not_fit_is_not_copied),
		cmocka_unit_test(a_set_of_characters_excludes_the_nul),
		cmocka_unit_test(prefixes_and_suffixes_may_be_the_whole),
		cmocka_unit_test(numbers_are_whole_and_inside_their_bounds),
		cmocka_unit_test(foreign_text_becomes_printable),
		cmocka_unit_test(printable_text_is_cut_between_characters),
		cmocka_unit_test(bytes_become_upper_hex),
		cmocka_unit_test(times_are_rfc_3339_in_utc),
		cmocka_unit_test(times_out_of_range_are_still_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
