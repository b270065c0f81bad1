#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/pace.h"

/* A CA that needs so long each time; returns how many looks were too early. */
static int
looks_too_early(struct pace *p, int64_t needs_ms, int looks)
{
	int early = 0;

	for (int i = 0; i < looks; i++) {
		int64_t wait = pace_first(p);

		pace_learn(p, wait, wait >= needs_ms);
		early += wait < needs_ms;
	}
	return early;
}

static void
a_quick_ca_is_looked_at_sooner(void **state)
{
	struct pace p = { 0 };

	(void)state;
	assert_int_equal(pace_first(&p), 250);
	looks_too_early(&p, 80, 200);
	assert_in_range(pace_first(&p), 75, 130);
}

static void
a_slow_ca_is_given_its_time(void **state)
{
	struct pace p = { 0 };

	(void)state;
	looks_too_early(&p, 1800, 200);
	assert_in_range(pace_first(&p), 1700, 2750);
}

static void
few_looks_are_too_early(void **state)
{
	static const int64_t needs[] = { 60, 150, 200, 900, 2500 };

	(void)state;
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		struct pace p = { 0 };

		looks_too_early(&p, needs[i], 200);
		assert_in_range(looks_too_early(&p, needs[i], 1000), 1, 120);
	}
}

static void
it_stays_within_bounds(void **state)
{
	struct pace p = { 0 };

	(void)state;
	looks_too_early(&p, 0, 1000);
	assert_int_equal(pace_first(&p), 40);
	looks_too_early(&p, INT64_MAX, 1000);
	assert_int_equal(pace_first(&p), 3000);
}

static void
a_hundred_orders_at_once_teach_what_one_does(void **state)
{
	struct pace one = { 0 }, many = { 0 };

	(void)state;
	pace_learn(&one, 250, false);
	for (int i = 0; i < 100; i++)
		pace_learn(&many, 250, false);
	assert_int_equal(pace_first(&many), pace_first(&one));

	one = many = (struct pace){ 0 };
	pace_learn(&one, 250, true);
	for (int i = 0; i < 100; i++)
		pace_learn(&many, 250, true);
	assert_int_equal(pace_first(&many), pace_first(&one));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_quick_ca_is_looked_at_sooner),
		cmocka_unit_test(a_slow_ca_is_given_its_time),
		cmocka_unit_test(few_looks_are_too_early),
		cmocka_unit_test(it_stays_within_bounds),
		cmocka_unit_test(a_hundred_orders_at_once_teach_what_one_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
