#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/api/etag.h"

static void
the_tag_is_of_what_is_said(void **state)
{
	json_t *a = json_pack("{s:i}", "a", 1), *b = json_pack("{s:i}", "a", 2);
	char x[ETAG_SIZE], y[ETAG_SIZE], z[ETAG_SIZE];

	(void)state;
	etag_make(a, x);
	etag_make(a, y);
	etag_make(b, z);
	assert_string_equal(x, y);
	assert_string_not_equal(x, z);
	assert_int_equal(strlen(x), 29);
	assert_int_equal(x[0], '"');
	assert_int_equal(x[28], '"');
	json_decref(a);
	json_decref(b);
}

static void
a_header_names_tags_in_a_list(void **state)
{
	static const struct {
		const char *header;
		bool weak, strong;
	} cases[] = {
		{ "\"a\"", true, true },
		{ "*", true, true },
		{ "W/\"a\"", true, false },
		{ "\"b\", \"a\"", true, true },
		{ "\"b,\" , W/\"a\"", true, false },
		{ "\"b\"", false, false },
		{ "\"b, \"a\"", false, false },
		{ "a", false, false },
		{ "\"a", false, false },
		{ "", false, false },
		{ ", ,", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    etag_named(cases[i].header, "\"a\"", true), cases[i].weak);
		assert_int_equal(etag_named(cases[i].header, "\"a\"", false),
		    cases[i].strong);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tag_is_of_what_is_said),
		cmocka_unit_test(a_header_names_tags_in_a_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
