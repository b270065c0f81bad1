#include "haproxy/rank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
who_has_none_comes_before_all_others(void **state)
{
	(void)state;
	assert_true(rank_of(RANK_BARE, 0, UINT32_MAX) <
		    rank_of(RANK_OLD, RANK_HEAT_MAX, 0));
	assert_true(rank_of(RANK_OLD, 0, UINT32_MAX) <
		    rank_of(RANK_AGAIN, RANK_HEAT_MAX, 0));
}

static void
of_the_same_class_the_hotter_is_first(void **state)
{
	(void)state;
	assert_true(
	    rank_of(RANK_BARE, 5, UINT32_MAX) < rank_of(RANK_BARE, 4, 0));
	assert_true(rank_of(RANK_OLD, RANK_HEAT_MAX, 9) <
		    rank_of(RANK_OLD, RANK_HEAT_MAX - 1, 1));
}

static void
who_came_first_is_first_among_equals(void **state)
{
	(void)state;
	assert_true(rank_of(RANK_OLD, 3, 1) < rank_of(RANK_OLD, 3, 2));
	assert_true(rank_of(RANK_OLD, 0, 1) < rank_of(RANK_OLD, 0, 2));
}

static void
more_heat_than_counts_is_as_good_as_all(void **state)
{
	(void)state;
	assert_true(rank_of(RANK_OLD, UINT32_MAX, 7) ==
		    rank_of(RANK_OLD, RANK_HEAT_MAX, 7));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_none_comes_before_all_others),
		cmocka_unit_test(of_the_same_class_the_hotter_is_first),
		cmocka_unit_test(who_came_first_is_first_among_equals),
		cmocka_unit_test(more_heat_than_counts_is_as_good_as_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
