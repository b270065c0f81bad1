#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/fair.h"

/* A request whose owner is its name. */
struct named {
	struct fair_item item;
	char name[4];
};

static void
put(struct fair *f, struct named *n, const char *key, const char *name)
{
	memset(n, 0, sizeof(*n));
	memcpy(n->name, name, strlen(name) + 1);
	fair_put(f, &n->item, key, 0, n->name);
}

static void
keys_take_turns_and_each_keeps_its_order(void **state)
{
	static const char *const expected[] = { "a1", "b1", "a2", "b2", "a3",
		"a4" };
	struct named n[6];
	struct fair f;

	(void)state;
	fair_init(&f, 100);
	put(&f, &n[0], "a", "a1");
	put(&f, &n[1], "a", "a2");
	put(&f, &n[2], "a", "a3");
	put(&f, &n[3], "a", "a4");
	put(&f, &n[4], "b", "b1");
	put(&f, &n[5], "b", "b2");
	assert_int_equal(f.waiting, 6);
	for (int i = 0; i < 6; i++)
		assert_string_equal(fair_next(&f), expected[i]);
	assert_null(fair_next(&f));
	for (int i = 0; i < 6; i++)
		fair_leave(&f, &n[i].item);
	assert_null(f.by_key);
	assert_int_equal(f.in_flight, 0);
}

static void
one_key_gets_three_quarters_and_all_get_max(void **state)
{
	struct named slow[10], other[2];
	struct fair f;

	(void)state;
	fair_init(&f, 4);
	for (int i = 0; i < 10; i++)
		put(&f, &slow[i], "slow", "s");
	for (int i = 0; i < 3; i++)
		assert_string_equal(fair_next(&f), "s");
	assert_null(fair_next(&f));
	put(&f, &other[0], "other", "o1");
	put(&f, &other[1], "other", "o2");
	assert_string_equal(fair_next(&f), "o1");
	assert_null(fair_next(&f));
	fair_leave(&f, &slow[0].item);
	assert_string_equal(fair_next(&f), "s");
	fair_leave(&f, &slow[1].item);
	assert_string_equal(fair_next(&f), "o2");
	for (int i = 0; i < 10; i++)
		fair_leave(&f, &slow[i].item);
	fair_leave(&f, &other[0].item);
	fair_leave(&f, &other[1].item);
	assert_null(f.by_key);
}

static void
small_numbers_still_move(void **state)
{
	struct named n[2];
	struct fair f;

	(void)state;
	fair_init(&f, 0); /* counts as one */
	put(&f, &n[0], "a", "1");
	put(&f, &n[1], "a", "2");
	assert_string_equal(fair_next(&f), "1");
	assert_null(fair_next(&f));
	fair_leave(&f, &n[0].item);
	assert_string_equal(fair_next(&f), "2");
	fair_leave(&f, &n[1].item);
}

static void
who_waits_may_leave_and_leave_again(void **state)
{
	struct named n[3];
	struct fair f;

	(void)state;
	fair_init(&f, 4);
	put(&f, &n[0], "a", "1");
	put(&f, &n[1], "a", "2");
	put(&f, &n[2], "b", "3");
	fair_leave(&f, &n[0].item);
	fair_leave(&f, &n[0].item);
	fair_leave(&f, &n[2].item);
	assert_string_equal(fair_next(&f), "2");
	assert_null(fair_next(&f));
	fair_leave(&f, &n[1].item);
	assert_null(f.by_key);
	assert_int_equal(f.waiting, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_take_turns_and_each_keeps_its_order),
		cmocka_unit_test(one_key_gets_three_quarters_and_all_get_max),
		cmocka_unit_test(small_numbers_still_move),
		cmocka_unit_test(who_waits_may_leave_and_leave_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
