/* When a leader stands still, and when it only waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>

#include "common/conf.h"
#include "common/loop.h"
#include "sync/deadman.h"

#define LONG_MS 120

static struct {
	struct event_base *base;
	struct conf conf;
	struct deadman *deadman;
	struct deadman_state state;
	struct event *timer;
	int said, times;
	size_t in_hand;
	bool moves;
} it;

static void
ask(void *arg, struct deadman_state *s)
{
	(void)arg;
	it.state.moved += it.moves;
	*s = it.state;
}

static void
say(void *arg, size_t in_hand, int64_t for_ms, int times)
{
	(void)arg;
	assert_true(for_ms >= LONG_MS);
	it.said++;
	it.in_hand = in_hand;
	it.times = times;
}

static int
set_up(void **state)
{
	(void)state;
	it.base = loop_new();
	it.conf.fleet.stalled_ms = LONG_MS;
	it.conf.acme.order_timeout_s = 0;
	it.deadman = deadman_new(it.base, &it.conf, ask, say, NULL);
	it.state = (struct deadman_state){ .in_hand = 3, .moved = 5 };
	it.said = 0;
	it.moves = false;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	deadman_free(it.deadman);
	loop_timer_free(&it.timer);
	event_base_free(it.base);
	return 0;
}

static void
over(void *arg)
{
	loop_stop(arg);
}

static void
run_for(int64_t ms)
{
	loop_after(it.base, &it.timer, ms, over, it.base);
	event_base_dispatch(it.base);
}

static void
it_says_so_once_when_nothing_moves(void **state)
{
	(void)state;
	deadman_start(it.deadman);
	run_for(LONG_MS / 2);
	assert_int_equal(it.said, 0);
	run_for(3 * LONG_MS);
	assert_int_equal(it.said, 1);
	assert_int_equal(it.in_hand, 3);
	assert_int_equal(it.times, 1);
}

static void
it_counts_how_often_until_something_moves(void **state)
{
	(void)state;
	deadman_start(it.deadman);
	run_for(LONG_MS * 3 / 2);
	deadman_start(it.deadman);
	run_for(LONG_MS * 3 / 2);
	assert_int_equal(it.times, 2);
	it.state.moved++;
	deadman_start(it.deadman);
	run_for(LONG_MS * 2);
	assert_int_equal(it.times, 1);
}

static void
who_moves_or_has_nothing_to_do_does_not_stand_still(void **state)
{
	(void)state;
	it.moves = true;
	deadman_start(it.deadman);
	run_for(2 * LONG_MS);
	assert_int_equal(it.said, 0);
	it.moves = false;
	it.state.in_hand = 0;
	run_for(2 * LONG_MS);
	assert_int_equal(it.said, 0);
}

static void
an_order_may_take_as_long_as_it_may(void **state)
{
	(void)state;
	it.conf.acme.order_timeout_s = 60;
	deadman_start(it.deadman);
	run_for(2 * LONG_MS);
	assert_int_equal(it.said, 0);
}

static void
who_does_not_lead_is_not_watched(void **state)
{
	(void)state;
	deadman_start(it.deadman);
	deadman_stop(it.deadman);
	run_for(2 * LONG_MS);
	it.conf.fleet.stalled_ms = 0;
	deadman_start(it.deadman);
	run_for(2 * LONG_MS);
	assert_int_equal(it.said, 0);
}

#define watched(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		watched(it_says_so_once_when_nothing_moves),
		watched(it_counts_how_often_until_something_moves),
		watched(who_moves_or_has_nothing_to_do_does_not_stand_still),
		watched(an_order_may_take_as_long_as_it_may),
		watched(who_does_not_lead_is_not_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
