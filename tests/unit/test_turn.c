#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sync/turn.h"

#define HOUR INT64_C(3600000)
#define NOW INT64_C(1767225600000)
#define MAX 300

static const struct limit account = { LIMIT_ORDERS, MAX, 3 * HOUR, "@ca" };

static void
the_first_one_has_the_next_place(void **state)
{
	struct turns *t = turns_new();

	(void)state;
	assert_int_equal(turns_take(t, &account, NOW + 5, NOW), NOW + 5);
	turns_free(t);
}

/* 300 were spent a minute ago, and all of them leave in the same minute. */
static void
as_many_as_there_are_places_have_different_moments(void **state)
{
	struct turns *t = turns_new();
	int64_t free_at = NOW + 3 * HOUR - 60000, last = 0, at;

	(void)state;
	for (int i = 0; i < MAX; i++) {
		at = turns_take(t, &account, free_at, NOW);
		assert_true(at >= free_at && at <= NOW + 3 * HOUR);
		assert_int_equal(at - last, i == 0 ? at : 60000 / MAX);
		last = at;
	}
	turns_free(t);
}

/* At no moment come more than their share, and none after the window. */
static void
where_too_many_wait_they_share_the_places(void **state)
{
	struct turns *t = turns_new();
	int64_t free_at = NOW + 60000, step = (3 * HOUR - 60000) / MAX, at;
	int come[MAX + 2] = { 0 };

	(void)state;
	for (int i = 0; i < 10000; i++) {
		at = turns_take(t, &account, free_at, NOW);
		assert_true(at >= free_at && at <= NOW + 3 * HOUR);
		come[(at - free_at) / step]++;
	}
	for (int i = 0; i < MAX; i++)
		assert_in_range(come[i], 10000 / (MAX + 1), 10000 / MAX + 1);
	turns_free(t);
}

static void
buckets_have_turns_of_their_own_and_are_forgotten(void **state)
{
	static const struct limit other = { LIMIT_DOMAIN, 50, 168 * HOUR,
		"shop.example@ca" };
	struct turns *t = turns_new();

	(void)state;
	turns_take(t, &account, NOW + 5, NOW);
	assert_int_equal(turns_take(t, &other, NOW + 5, NOW), NOW + 5);
	assert_true(turns_take(t, &account, NOW + 5, NOW) > NOW + 5);
	turns_forget(t, NOW + 3 * HOUR);
	assert_int_equal(turns_take(t, &account, NOW + 5, NOW), NOW + 5);
	assert_true(turns_take(t, &other, NOW + 5, NOW) > NOW + 5);
	turns_free(t);
}

static void
where_nothing_is_counted_nobody_waits_longer(void **state)
{
	static const struct limit none = { LIMIT_ORDERS, 0, 3 * HOUR, "@ca" };
	struct turns *t = turns_new();

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(turns_take(t, &none, NOW + 7, NOW), NOW + 7);
	turns_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_one_has_the_next_place),
		cmocka_unit_test(
		    as_many_as_there_are_places_have_different_moments),
		cmocka_unit_test(where_too_many_wait_they_share_the_places),
		cmocka_unit_test(
		    buckets_have_turns_of_their_own_and_are_forgotten),
		cmocka_unit_test(where_nothing_is_counted_nobody_waits_longer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
