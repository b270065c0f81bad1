#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/lane.h"

#define ITEMS 64

static struct lanes lanes;
static struct lane_item items[ITEMS];
static enum lane lane_of[ITEMS];
static char app_of[ITEMS][16];
static size_t nitems;

static int
setup(void **state)
{
	(void)state;
	memset(items, 0, sizeof(items));
	nitems = 0;
	lanes_init(&lanes, 8, 32);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems; i++)
		lanes_leave(&lanes, &items[i]);
	return 0;
}

static int
put_by(enum lane lane, const char *app, int64_t deadline)
{
	size_t i = nitems++;

	lane_of[i] = lane;
	snprintf(app_of[i], sizeof(app_of[i]), "%s", app);
	return lanes_put(
	    &lanes, &items[i], lane, app_of[i], deadline, &items[i]);
}

static int
put(enum lane lane, const char *app)
{
	return put_by(lane, app, 0);
}

/* The index of the next item that may go, or -1. */
static int
next(void)
{
	struct lane_item *item = lanes_next(&lanes);

	return item != NULL ? (int)(item - items) : -1;
}

static void
retries_never_take_more_than_a_quarter(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(put(LANE_RETRY, i % 2 ? "a" : "b"), 0);
	assert_true(next() >= 0);
	assert_true(next() >= 0);
	assert_int_equal(next(), -1);
}

static void
a_new_domain_goes_first_however_many_broken_ones_wait(void **state)
{
	int got;

	(void)state;
	for (int i = 0; i < 30; i++)
		put(LANE_RETRY, "broken");
	next();
	put(LANE_NEW, "shop");
	got = next();
	assert_true(got >= 0);
	assert_int_equal(lane_of[got], LANE_NEW);
}

static void
lanes_that_all_wait_take_turns_by_weight(void **state)
{
	int count[LANES] = { 0 };

	(void)state;
	lanes_init(&lanes, 64, 32);
	for (int i = 0; i < 16; i++) {
		put(LANE_NEW, i % 2 ? "a" : "b");
		put(LANE_RENEWAL, i % 2 ? "a" : "b");
		put(LANE_RETRY, i % 2 ? "a" : "b");
	}
	for (int i = 0; i < 16; i++)
		count[lane_of[next()]]++;
	assert_int_equal(count[LANE_NEW], 8);
	assert_int_equal(count[LANE_RENEWAL], 6);
	assert_int_equal(count[LANE_RETRY], 2);
}

static void
one_app_does_not_keep_another_waiting(void **state)
{
	int got[2];

	(void)state;
	for (int i = 0; i < 20; i++)
		put(LANE_NEW, "large");
	put(LANE_NEW, "small");
	got[0] = next();
	got[1] = next();
	assert_true(strcmp(app_of[got[0]], "small") == 0 ||
		    strcmp(app_of[got[1]], "small") == 0);
}

static void
there_are_never_more_than_max_in_flight(void **state)
{
	int n = 0;

	(void)state;
	for (int i = 0; i < 10; i++) {
		put(LANE_NEW, "a");
		put(LANE_NEW, "b");
		put(LANE_RENEWAL, "c");
	}
	while (next() >= 0)
		n++;
	assert_int_equal(n, 8);
}

static void
a_place_that_is_left_is_taken_again(void **state)
{
	int first;

	(void)state;
	lanes_init(&lanes, 1, 32);
	put(LANE_NEW, "a");
	put(LANE_NEW, "a");
	first = next();
	assert_int_equal(next(), -1);
	lanes_leave(&lanes, &items[first]);
	lanes_leave(&lanes, &items[first]);
	assert_true(next() >= 0);
}

/* It was counted twice, and each failure made a place more. */
static void
who_leaves_twice_leaves_one_place(void **state)
{
	int first;

	(void)state;
	lanes_init(&lanes, 1, 32);
	for (int i = 0; i < 3; i++)
		put(LANE_NEW, i % 2 ? "a" : "b");
	first = next();
	lanes_leave(&lanes, &items[first]);
	lanes_leave(&lanes, &items[first]);
	assert_true(next() >= 0);
	assert_int_equal(next(), -1);
	assert_int_equal(lanes.in_flight, 1);
}

static void
what_ends_first_goes_first(void **state)
{
	static const int64_t ends[] = { 300, 100, 200, 100 };
	static const int order[] = { 1, 3, 2, 0 };

	(void)state;
	for (int i = 0; i < 4; i++)
		put_by(LANE_RENEWAL, "a", ends[i]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(next(), order[i]);
}

static void
what_is_urgent_waits_for_neither_new_ones_nor_retries(void **state)
{
	int got;

	(void)state;
	for (int i = 0; i < 30; i++)
		put(i % 2 ? LANE_NEW : LANE_RETRY, i % 4 < 2 ? "a" : "b");
	got = put(LANE_URGENT, "c");
	assert_int_equal(got, 0);
	got = next();
	assert_int_equal(lane_of[got], LANE_URGENT);
}

static void
what_is_urgent_leaves_a_quarter_to_the_others(void **state)
{
	int urgent = 0, got;

	(void)state;
	for (int i = 0; i < 20; i++)
		put(LANE_URGENT, i % 2 ? "a" : "b");
	put(LANE_NEW, "c");
	put(LANE_NEW, "d");
	while ((got = next()) >= 0)
		urgent += lane_of[got] == LANE_URGENT;
	assert_int_equal(urgent, 6);
	assert_int_equal(lanes.in_flight, 8);
}

static void
an_order_that_only_waits_holds_no_place(void **state)
{
	(void)state;
	lanes_init(&lanes, 1, 32);
	put(LANE_RETRY, "a");
	put(LANE_RETRY, "a");
	put(LANE_RETRY, "a");
	assert_int_equal(next(), 0);
	assert_int_equal(next(), -1);
	lanes_rest(&lanes, &items[0], true);
	lanes_rest(&lanes, &items[0], true);
	assert_int_equal(next(), 1);
	assert_int_equal(next(), -1);
	/* It goes on: there are two for a while, and then one. */
	lanes_rest(&lanes, &items[0], false);
	assert_int_equal(lanes.in_flight, 2);
	lanes_leave(&lanes, &items[1]);
	assert_int_equal(next(), -1);
	lanes_leave(&lanes, &items[0]);
	assert_int_equal(next(), 2);
}

static void
those_who_rest_have_an_end(void **state)
{
	int got, n = 0;

	(void)state;
	lanes_init(&lanes, 2, 32);
	for (int i = 0; i < 20; i++)
		put(LANE_NEW, i % 2 ? "a" : "b");
	while ((got = next()) >= 0) {
		lanes_rest(&lanes, &items[got], true);
		n++;
	}
	assert_int_equal(n, 2 * LANE_RESTS);
	lanes_leave(&lanes, &items[0]);
	assert_int_equal(lanes.resting, 2 * LANE_RESTS - 1);
	assert_true(next() >= 0);
}

static void
a_full_lane_says_so(void **state)
{
	(void)state;
	lanes_init(&lanes, 1, 2);
	assert_int_equal(put(LANE_RETRY, "a"), 0);
	assert_false(lanes_full(&lanes, LANE_RETRY));
	assert_int_equal(put(LANE_RETRY, "a"), 0);
	assert_true(lanes_full(&lanes, LANE_RETRY));
	assert_int_equal(put(LANE_RETRY, "a"), -1);
	assert_false(lanes_full(&lanes, LANE_NEW));
	assert_int_equal(put(LANE_NEW, "a"), 0);
	assert_int_equal(lanes_waiting_in(&lanes, LANE_RETRY), 2);
	assert_int_equal(lanes_waiting(&lanes), 3);
}

#define lane_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		lane_test(retries_never_take_more_than_a_quarter),
		lane_test(
		    a_new_domain_goes_first_however_many_broken_ones_wait),
		lane_test(lanes_that_all_wait_take_turns_by_weight),
		lane_test(one_app_does_not_keep_another_waiting),
		lane_test(there_are_never_more_than_max_in_flight),
		lane_test(a_place_that_is_left_is_taken_again),
		lane_test(a_full_lane_says_so),
		lane_test(who_leaves_twice_leaves_one_place),
		lane_test(what_ends_first_goes_first),
		lane_test(
		    what_is_urgent_waits_for_neither_new_ones_nor_retries),
		lane_test(what_is_urgent_leaves_a_quarter_to_the_others),
		lane_test(an_order_that_only_waits_holds_no_place),
		lane_test(those_who_rest_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
