#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/api/target.h"

static void
a_path_is_taken_apart(void **state)
{
	struct target t;
	struct err e = { 0 };
	const char *param[TARGET_PARAMS] = { NULL };

	(void)state;
	assert_int_equal(
	    target_parse("/v1/apps/a/domains/www.x.example?", &t, &e), 0);
	assert_int_equal(t.nsegments, 5);
	assert_int_equal(t.nqueries, 0);
	assert_true(target_match(&t, "/v1/apps/:app/domains/:id", param));
	assert_string_equal(param[0], "a");
	assert_string_equal(param[1], "www.x.example");
	assert_false(target_match(&t, "/v1/apps/:app/domains", param));
	assert_false(target_match(&t, "/v1/apps/:app/domain/:id", param));
	assert_false(target_match(&t, "/v1/apps/:app/domains/:id/x", param));
}

static void
a_segment_is_decoded_on_its_own(void **state)
{
	struct target t;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(target_parse("/d/a%2Fb%20+%3f/%2e%2e", &t, &e), 0);
	assert_int_equal(t.nsegments, 3);
	assert_string_equal(t.segment[1], "a/b +?");
	assert_string_equal(t.segment[2], "..");
}

static void
queries_are_found_by_name(void **state)
{
	struct target t;
	struct err e = { 0 };
	int64_t v;

	(void)state;
	assert_int_equal(
	    target_parse("/x?n=12&app=a+b%26c&&flag&n=13", &t, &e), 0);
	assert_string_equal(target_query(&t, "app"), "a b&c");
	assert_string_equal(target_query(&t, "flag"), "");
	assert_null(target_query(&t, "none"));
	assert_int_equal(target_int(&t, "n", 1, 100, 5, &v, &e), 0);
	assert_int_equal(v, 12);
	assert_int_equal(target_int(&t, "none", 1, 100, 5, &v, &e), 0);
	assert_int_equal(v, 5);
	assert_int_equal(target_int(&t, "n", 1, 11, 5, &v, &e), -1);
	assert_string_equal(e.text, "n must be a number from 1 to 11");
}

static void
an_empty_segment_is_no_parameter(void **state)
{
	struct target t;
	struct err e = { 0 };
	const char *param[TARGET_PARAMS] = { NULL };

	(void)state;
	assert_int_equal(target_parse("/v1/apps//domains", &t, &e), 0);
	assert_false(target_match(&t, "/v1/apps/:app/domains", param));
	assert_int_equal(target_parse("/healthz/", &t, &e), 0);
	assert_false(target_match(&t, "/healthz", param));
	assert_int_equal(target_parse("/", &t, &e), 0);
	assert_int_equal(t.nsegments, 0);
	assert_true(target_match(&t, "/", param));
}

static void
what_is_no_path_is_refused(void **state)
{
	static const char *const bad[] = { "", "x", "http://h/x", "*", "/%",
		"/%4", "/%zz", "/%00", "/x?a=%", "/x?%0=1",
		"/1/2/3/4/5/6/7/8/9", "/?1&2&3&4&5&6&7&8&9" };
	char longest[TARGET_MAX + 2];
	struct target t;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){ 0 };
		assert_int_equal(target_parse(bad[i], &t, &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_true(e.text[0] != '\0');
	}
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[TARGET_MAX + 1] = '\0';
	assert_int_equal(target_parse(longest, &t, &e), -1);
	longest[TARGET_MAX] = '\0';
	assert_int_equal(target_parse(longest, &t, &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_taken_apart),
		cmocka_unit_test(a_segment_is_decoded_on_its_own),
		cmocka_unit_test(queries_are_found_by_name),
		cmocka_unit_test(an_empty_segment_is_no_parameter),
		cmocka_unit_test(what_is_no_path_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
