#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sync/names.h"

static void
names_are_sorted_each_once(void **state)
{
	static const char *const given[] = { "b", "a", "c", "a", "b", "a" };
	struct names n = { 0 };

	(void)state;
	names_sort(&n); /* of none there is nothing to sort */
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		names_add(&n, given[i], 100);
	names_sort(&n);
	assert_int_equal(n.n, 3);
	assert_string_equal(n.name[0], "a");
	assert_string_equal(n.name[1], "b");
	assert_string_equal(n.name[2], "c");
	names_clear(&n);
	assert_int_equal(n.n, 0);
	names_clear(&n);
}

static void
there_are_no_more_than_allowed(void **state)
{
	struct names n = { 0 };
	char text[16];

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "n%03d", i);
		names_add(&n, text, 200);
	}
	assert_int_equal(n.n, 200);
	assert_string_equal(n.name[199], "n199");
	names_clear(&n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_sorted_each_once),
		cmocka_unit_test(there_are_no_more_than_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
