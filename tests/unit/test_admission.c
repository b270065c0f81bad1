#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/admission.h"

#define NOW INT64_C(1767225600000)
#define WAITING 512

/* n orders that end gap_ms apart, the last of them now. */
static void
end(struct admission *a, int n, int64_t gap_ms)
{
	for (int i = n - 1; i >= 0; i--)
		admission_ended(a, true, NOW - i * gap_ms);
}

static void
who_comes_when_half_the_lane_is_empty_finds_room(void **state)
{
	struct admission a = { 0 };

	(void)state;
	end(&a, 500, 20);
	assert_in_range(admission_again(&a, LANE_NEW, WAITING, NOW),
	    WAITING / 2 * 19, WAITING / 2 * 21);
}

static void
each_comes_later_than_the_one_before(void **state)
{
	struct admission a = { 0 };
	int64_t first, last = 0;

	(void)state;
	end(&a, 500, 20);
	first = admission_again(&a, LANE_NEW, WAITING, NOW);
	for (int i = 0; i < 100; i++)
		last = admission_again(&a, LANE_NEW, WAITING, NOW);
	assert_in_range(last - first, 100 * 19, 100 * 21);
	/* Those of another lane do not stand behind them. */
	assert_true(admission_again(&a, LANE_RETRY, WAITING, NOW) <= first);
}

static void
a_long_line_comes_again_by_and_by_all_the_same(void **state)
{
	struct admission a = { 0 };

	(void)state;
	end(&a, 500, 20);
	for (int i = 0; i < 100000; i++)
		assert_in_range(admission_again(&a, LANE_NEW, WAITING, NOW), 1,
		    ADMISSION_MOST_MS);
}

static void
a_quiet_hour_does_not_count_as_slow(void **state)
{
	struct admission a = { 0 };

	(void)state;
	end(&a, 500, 20);
	admission_ended(&a, false, NOW + 100);
	for (int i = 1; i < 50; i++)
		admission_ended(&a, false, NOW + i * INT64_C(60000));
	assert_in_range(
	    admission_again(&a, LANE_NEW, WAITING, NOW + INT64_C(3600000)), 1,
	    WAITING / 2 * 26);
}

static void
it_learns_that_orders_became_quick(void **state)
{
	struct admission a = { 0 };

	(void)state;
	end(&a, 500, 1000);
	assert_int_equal(
	    admission_again(&a, LANE_NEW, WAITING, NOW), ADMISSION_MOST_MS);
	for (int i = 1; i <= 200; i++)
		admission_ended(&a, true, NOW + i * 5);
	assert_in_range(
	    admission_again(&a, LANE_RENEWAL, WAITING, NOW + 1000), 1, 3000);
}

static void
nothing_is_known_and_it_is_soon_all_the_same(void **state)
{
	struct admission a = { 0 };

	(void)state;
	assert_in_range(admission_again(&a, LANE_NEW, WAITING, NOW), 1, 5000);
}

static void
the_first_ends_teach_the_most(void **state)
{
	struct admission a = { 0 };

	(void)state;
	end(&a, 9, 100);
	assert_in_range(
	    admission_again(&a, LANE_NEW, 100, NOW), 50 * 80, 50 * 100);
}

static void
never_at_once(void **state)
{
	struct admission a = { 0 };

	(void)state;
	end(&a, 500, 0);
	assert_in_range(admission_again(&a, LANE_NEW, 1, NOW), 100, 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    who_comes_when_half_the_lane_is_empty_finds_room),
		cmocka_unit_test(each_comes_later_than_the_one_before),
		cmocka_unit_test(
		    a_long_line_comes_again_by_and_by_all_the_same),
		cmocka_unit_test(a_quiet_hour_does_not_count_as_slow),
		cmocka_unit_test(it_learns_that_orders_became_quick),
		cmocka_unit_test(nothing_is_known_and_it_is_soon_all_the_same),
		cmocka_unit_test(the_first_ends_teach_the_most),
		cmocka_unit_test(never_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
