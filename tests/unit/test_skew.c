#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/skew.h"

#define NOW 1800000000000LL
#define UP 5000000LL
#define MINUTE 60000

static void
a_clock_nobody_spoke_of_is_believed(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	assert_false(skew_alarm(&s, NOW, UP, why, sizeof(why)));
	assert_false(skew_implausible(&s, NOW, UP));
}

static void
a_minute_apart_is_no_alarm_but_a_second_more_is(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	skew_note(&s, SKEW_CA, UP, NOW - MINUTE);
	assert_false(skew_alarm(&s, NOW, UP, why, sizeof(why)));
	skew_note(&s, SKEW_CA, UP, NOW + MINUTE + 1000);
	assert_true(skew_alarm(&s, NOW, UP, why, sizeof(why)));
	assert_string_equal(why, "this node's clock is 61 s behind that of the "
				 "CA; run an NTP client on both");
	assert_true(skew_implausible(&s, NOW, UP));
}

/* Then it is the clock of Redis that is wrong. */
static void
the_ca_is_believed_more_than_redis(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	skew_note(&s, SKEW_REDIS, UP, NOW - 10 * MINUTE);
	assert_true(skew_implausible(&s, NOW, UP));
	skew_note(&s, SKEW_CA, UP, NOW - 500);
	assert_false(skew_implausible(&s, NOW, UP));
	assert_true(skew_alarm(&s, NOW, UP, why, sizeof(why)));
	assert_string_equal(why, "this node's clock is 600 s ahead of that of "
				 "Redis; run an NTP client on both");
}

static void
a_clock_that_is_put_right_is_believed_again(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	skew_note(&s, SKEW_REDIS, UP, NOW - 10 * MINUTE);
	skew_note(&s, SKEW_REDIS, UP, NOW - 10);
	assert_false(skew_alarm(&s, NOW, UP, why, sizeof(why)));
	assert_false(skew_implausible(&s, NOW, UP));
}

static void
a_clock_before_this_program_was_written_is_wrong(void **state)
{
	struct skew s = { 0 };
	char why[128];

	(void)state;
	assert_true(skew_implausible(&s, 1000, UP));
	assert_true(skew_alarm(&s, 1000, UP, why, sizeof(why)));
}

/* Nobody says anything meanwhile: who orders nothing hears no CA. */
static void
a_jump_is_noticed_at_once_forth_and_back(void **state)
{
	struct skew s = { 0 };

	(void)state;
	skew_note(&s, SKEW_CA, UP, NOW);
	assert_false(skew_implausible(&s, NOW + MINUTE, UP + MINUTE));
	assert_true(skew_implausible(&s, NOW + 10 * MINUTE, UP + MINUTE));
	assert_true(skew_implausible(&s, NOW - 10 * MINUTE, UP + MINUTE));
	assert_false(skew_implausible(&s, NOW + 2 * MINUTE, UP + 2 * MINUTE));
	/* Heard while ours was wrong, which is as good. */
	skew_note(&s, SKEW_CA, UP + 3 * MINUTE, NOW + 3 * MINUTE);
	assert_true(skew_implausible(&s, NOW - 90 * MINUTE, UP + 3 * MINUTE));
	assert_false(skew_implausible(&s, NOW + 4 * MINUTE, UP + 4 * MINUTE));
}

static void
what_was_said_long_ago_counts_no_longer(void **state)
{
	struct skew s = { 0 };
	int64_t later = SKEW_STALE_MS;

	(void)state;
	skew_note(&s, SKEW_CA, UP, NOW - 5 * MINUTE);
	skew_note(&s, SKEW_REDIS, UP, NOW);
	assert_true(skew_implausible(&s, NOW + later - 1, UP + later - 1));
	assert_false(skew_implausible(&s, NOW + later, UP + later));
	/* Then it is Redis that is asked, which speaks all the time. */
	skew_note(&s, SKEW_REDIS, UP + later, NOW + later - 5 * MINUTE);
	assert_true(skew_implausible(&s, NOW + later, UP + later));
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
		cmocka_unit_test(a_jump_is_noticed_at_once_forth_and_back),
		cmocka_unit_test(what_was_said_long_ago_counts_no_longer),
		cmocka_unit_test(
		    a_clock_before_this_program_was_written_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
