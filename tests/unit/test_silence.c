#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/silence.h"

#define MINUTE 60000
#define BEGIN 1000000

static void
silence_lasts_from_its_first_time_on(void **state)
{
	struct silence s = { 0 };

	(void)state;
	for (int i = 0; i < SILENCE_TIMES - 1; i++)
		assert_int_equal(
		    silence_met(&s, "192.0.2.1", BEGIN + i * MINUTE), 0);
	assert_int_equal(
	    silence_met(&s, "192.0.2.1", BEGIN + 10 * MINUTE), 10 * MINUTE);
	assert_int_equal(silence_met(&s, "192.0.2.2", BEGIN), 0);
}

static void
an_answer_ends_it(void **state)
{
	struct silence s = { 0 };

	(void)state;
	for (int i = 0; i < 10; i++)
		silence_met(&s, "192.0.2.1", BEGIN + i * MINUTE);
	silence_broken(&s, "192.0.2.9"); /* another */
	assert_int_equal(
	    silence_met(&s, "192.0.2.1", BEGIN + 10 * MINUTE), 10 * MINUTE);
	silence_broken(&s, "192.0.2.1");
	assert_int_equal(silence_met(&s, "192.0.2.1", BEGIN + 11 * MINUTE), 0);
}

/* In between it may have answered, and nobody has asked. */
static void
long_ago_does_not_count(void **state)
{
	struct silence s = { 0 };
	int64_t now = BEGIN;

	(void)state;
	for (int i = 0; i < SILENCE_TIMES; i++)
		silence_met(&s, "192.0.2.1", now += SILENCE_GAP_MS);
	assert_int_equal(
	    silence_met(&s, "192.0.2.1", now), now - BEGIN - SILENCE_GAP_MS);
	now += SILENCE_GAP_MS + 1;
	assert_int_equal(silence_met(&s, "192.0.2.1", now), 0);
}

static void
the_one_not_met_for_longest_makes_room(void **state)
{
	struct silence s = { 0 };
	char address[46];

	(void)state;
	for (int i = 0; i < 10; i++) {
		silence_met(&s, "192.0.2.1", BEGIN + i);
		silence_met(&s, "192.0.2.2", BEGIN + i + 1000);
	}
	for (int i = 1; i < SILENCE_MAX; i++) {
		snprintf(address, sizeof(address), "2001:db8::%x", i);
		silence_met(&s, address, BEGIN + 2000);
	}
	assert_int_equal(silence_met(&s, "192.0.2.2", BEGIN + 2000), 1000);
	assert_int_equal(silence_met(&s, "192.0.2.1", BEGIN + 2000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_lasts_from_its_first_time_on),
		cmocka_unit_test(an_answer_ends_it),
		cmocka_unit_test(long_ago_does_not_count),
		cmocka_unit_test(the_one_not_met_for_longest_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
