#include "sync/hot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY INT64_C(86400000)
#define WALL INT64_C(1764000000000)

static void
the_busiest_hour_counts_and_halves_with_each_day(void **state)
{
	struct hot *h = hot_new(10);

	(void)state;
	hot_seen(h, "a.example", 100);
	hot_settle(h, 5);
	assert_int_equal(hot_heat(h, "a.example"), 1600);
	/* Told again it is the same, less is less, more is more. */
	hot_seen(h, "a.example", 100);
	hot_settle(h, 5);
	assert_int_equal(hot_heat(h, "a.example"), 1600);
	hot_settle(h, 5 + DAY);
	assert_int_equal(hot_heat(h, "a.example"), 800);
	hot_settle(h, 5 + DAY + DAY / 2);
	assert_int_equal(hot_heat(h, "a.example"), 600);
	hot_seen(h, "a.example", 50);
	hot_settle(h, 5 + DAY + DAY / 2);
	assert_int_equal(hot_heat(h, "a.example"), 800);
	assert_int_equal(hot_heat(h, "b.example"), 0);
	hot_free(h);
}

static void
what_is_seen_at_several_places_is_added_up(void **state)
{
	struct hot *h = hot_new(10);

	(void)state;
	hot_seen(h, "a.example", 1);
	hot_seen(h, "a.example", 2);
	hot_seen(h, "a.example", 0);
	hot_seen(h, "b.example", 0);
	hot_seen(h, "c.example", INT64_MAX);
	hot_seen(h, "c.example", INT64_MAX);
	hot_settle(h, 0);
	assert_int_equal(hot_heat(h, "a.example"), 48);
	assert_true(hot_heat(h, "c.example") >= UINT32_MAX - 16);
	assert_int_equal(hot_size(h), 2);
	hot_free(h);
}

static void
what_nobody_asks_for_any_more_is_forgotten(void **state)
{
	struct hot *h = hot_new(10);

	(void)state;
	hot_seen(h, "a.example", 1);
	hot_seen(h, "b.example", 1000000);
	hot_settle(h, 0);
	hot_settle(h, 5 * DAY);
	assert_int_equal(hot_heat(h, "a.example"), 0);
	assert_int_equal(hot_size(h), 1);
	hot_settle(h, 60 * DAY);
	assert_int_equal(hot_size(h), 0);
	hot_free(h);
}

static void
only_the_hottest_are_kept(void **state)
{
	struct hot *h = hot_new(10);
	char name[32];

	(void)state;
	for (int i = 1; i <= 1000; i++) {
		snprintf(name, sizeof(name), "n%d.example", i * 5 % 1001);
		hot_seen(h, name, i * 5 % 1001);
	}
	hot_settle(h, 0);
	assert_int_equal(hot_size(h), 10);
	for (int i = 991; i <= 1000; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		assert_int_equal(hot_heat(h, name), i * 16);
	}
	hot_free(h);
}

static void
it_is_the_same_after_a_restart_and_as_much_colder(void **state)
{
	struct hot *h = hot_new(10), *after = hot_new(10);
	struct buf text;
	struct err e;

	(void)state;
	hot_seen(h, "cold.example", 1);
	hot_seen(h, "hot.example", 100);
	hot_seen(h, "*.wild.example", 50);
	hot_settle(h, 7 * DAY);
	buf_init(&text, HOT_TEXT_MAX);
	assert_int_equal(hot_dump(h, WALL, &text), 0);
	assert_string_equal(text.p, "certfleet-hot 1 1764000000000\n"
				    "hot.example 1600\n*.wild.example 800\n"
				    "cold.example 16\n");
	/* Its own clock began anew with the machine. */
	assert_int_equal(hot_take(after, text.p, WALL + DAY, 3, &e), 0);
	assert_int_equal(hot_heat(after, "hot.example"), 800);
	assert_int_equal(hot_heat(after, "*.wild.example"), 400);
	assert_int_equal(hot_heat(after, "cold.example"), 8);
	hot_free(h);
	/* A clock that was set back makes nothing hotter. */
	h = hot_new(10);
	assert_int_equal(hot_take(h, text.p, WALL - 9 * DAY, 3, &e), 0);
	assert_int_equal(hot_heat(h, "hot.example"), 1600);
	buf_clear(&text);
	hot_free(h);
	hot_free(after);
}

static void
what_two_have_seen_is_put_together_by_taking_the_higher(void **state)
{
	struct hot *h = hot_new(10);
	struct err e;

	(void)state;
	hot_seen(h, "a.example", 10);
	hot_seen(h, "b.example", 1);
	hot_settle(h, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    hot_take(h,
			"certfleet-hot 1 1764000000000\na.example 32\n"
			"b.example 64\nc.example 16\n",
			WALL, 0, &e),
		    0);
	assert_int_equal(hot_heat(h, "a.example"), 160);
	assert_int_equal(hot_heat(h, "b.example"), 64);
	assert_int_equal(hot_heat(h, "c.example"), 16);
	hot_free(h);
}

static void
it_is_told_when_it_is_hotter_by_a_good_deal(void **state)
{
	struct hot *h = hot_new(10), *other = hot_new(10);

	(void)state;
	assert_false(hot_tells(h, other));
	hot_seen(h, "a.example", 100);
	hot_settle(h, 0);
	assert_true(hot_tells(h, other));
	assert_false(hot_tells(other, h));
	hot_seen(other, "a.example", 90);
	hot_seen(other, "b.example", 2);
	hot_settle(other, 0);
	assert_false(hot_tells(h, other));
	assert_true(hot_tells(other, h));
	hot_seen(h, "a.example", 130);
	hot_settle(h, 0);
	assert_true(hot_tells(h, other));
	hot_free(h);
	hot_free(other);
}

static void
text_of_others_is_refused_and_bad_lines_passed_over(void **state)
{
	static const char *const bad[] = { "",
		"certfleet-hot 2 7\na.example 1\n", "certfleet-hot 1 \n",
		"certfleet-hot 1 7", "certfleet-hot 1 x\n",
		"certfleet-hot 1 -7\n", "a.example 1\n" };
	struct hot *h = hot_new(2);
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(hot_take(h, bad[i], WALL, 0, &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
	}
	assert_int_equal(
	    hot_take(
		h, "certfleet-hot 1 1764000000000\nA.example 1\n", WALL, 0, &e),
	    0);
	assert_int_equal(
	    hot_take(h, "certfleet-hot 1 1764000000000\nx 9\n", WALL, 0, &e),
	    0);
	assert_int_equal(hot_take(h,
			     "certfleet-hot 1 1764000000000\n"
			     "../etc/passwd 5\ngood.example 5\ntorn.example 5",
			     WALL, 0, &e),
	    0);
	assert_int_equal(hot_size(h), 1);
	assert_int_equal(hot_heat(h, "good.example"), 5);
	hot_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_busiest_hour_counts_and_halves_with_each_day),
		cmocka_unit_test(what_is_seen_at_several_places_is_added_up),
		cmocka_unit_test(what_nobody_asks_for_any_more_is_forgotten),
		cmocka_unit_test(only_the_hottest_are_kept),
		cmocka_unit_test(
		    it_is_the_same_after_a_restart_and_as_much_colder),
		cmocka_unit_test(
		    what_two_have_seen_is_put_together_by_taking_the_higher),
		cmocka_unit_test(it_is_told_when_it_is_hotter_by_a_good_deal),
		cmocka_unit_test(
		    text_of_others_is_refused_and_bad_lines_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
