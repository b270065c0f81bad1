#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/skew.h"

#define NOW 1800000000000LL
#define MINUTE 60000

static void
a_clock_nobody_spoke_of_is_believed(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	assert_false(skew_alarm(&s, NOW, why, sizeof(why)));
	assert_false(skew_implausible(&s, NOW));
}

static void
a_minute_apart_is_no_alarm_but_a_second_more_is(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	skew_note(&s, SKEW_CA, NOW, NOW - MINUTE);
	assert_false(skew_alarm(&s, NOW, why, sizeof(why)));
	skew_note(&s, SKEW_CA, NOW, NOW + MINUTE + 1000);
	assert_true(skew_alarm(&s, NOW, why, sizeof(why)));
	assert_string_equal(why, "this node's clock is 61 s behind that of the "
				 "CA; run an NTP client on both");
	assert_true(skew_implausible(&s, NOW));
}

/* Then it is the clock of Redis that is wrong. */
static void
the_ca_is_believed_more_than_redis(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	skew_note(&s, SKEW_REDIS, NOW, NOW - 10 * MINUTE);
	assert_true(skew_implausible(&s, NOW));
	skew_note(&s, SKEW_CA, NOW, NOW - 500);
	assert_false(skew_implausible(&s, NOW));
	assert_true(skew_alarm(&s, NOW, why, sizeof(why)));
	assert_string_equal(why, "this node's clock is 600 s ahead of that of "
				 "Redis; run an NTP client on both");
}

static void
a_clock_that_is_put_right_is_believed_again(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	skew_note(&s, SKEW_REDIS, NOW, NOW - 10 * MINUTE);
	skew_note(&s, SKEW_REDIS, NOW, NOW - 10);
	assert_false(skew_alarm(&s, NOW, why, sizeof(why)));
	assert_false(skew_implausible(&s, NOW));
}

static void
a_clock_before_this_program_was_written_is_wrong(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	assert_true(skew_implausible(&s, 1000));
	assert_true(skew_alarm(&s, 1000, why, sizeof(why)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_nobody_spoke_of_is_believed),
		cmocka_unit_test(
		    a_minute_apart_is_no_alarm_but_a_second_more_is),
		cmocka_unit_test(the_ca_is_believed_more_than_redis),
		cmocka_unit_test(a_clock_that_is_put_right_is_believed_again),
		cmocka_unit_test(
		    a_clock_before_this_program_was_written_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
