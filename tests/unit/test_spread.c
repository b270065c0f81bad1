#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mem.h"
#include "sync/spread.h"

#define STEP 500
#define BURST 9 /* after a rest: one, and eight more */
#define NOW INT64_C(1767225600000)
#define MANY 3000

static void
those_who_come_one_by_one_never_wait(void **state)
{
	struct spread p = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(spread_take(&p, STEP, NOW + i * STEP), 0);
}

static void
a_few_at_once_begin_and_the_next_ones_wait_each_longer(void **state)
{
	struct spread p = { 0 };

	(void)state;
	for (int i = 0; i < BURST; i++)
		assert_int_equal(spread_take(&p, STEP, NOW), 0);
	for (int i = 1; i < 10; i++)
		assert_int_equal(spread_take(&p, STEP, NOW), i * STEP);
}

static int
by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* All are overdue; each comes when it was told to, a moment late. */
static void
many_begin_at_the_pace_and_none_comes_often(void **state)
{
	struct spread p = { 0 };
	int64_t *at = xcalloc(MANY, sizeof(*at)), now, wait;
	size_t left = MANY, begun = 0, asked = 0;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		at[i] = NOW;
	while (left > 0) {
		/* A tick of a second: whoever is due by then comes. */
		now = at[0] + 999 - at[0] % 1000;
		for (size_t i = 0; i < left && at[i] <= now; i++) {
			wait = spread_take(&p, STEP, now);
			asked++;
			at[i] = wait > 0 ? now + wait : INT64_MAX;
			begun += wait == 0;
		}
		assert_true(begun <= BURST + (size_t)((now - NOW) / STEP + 2));
		qsort(at, left, sizeof(*at), by_time);
		while (left > 0 && at[left - 1] == INT64_MAX)
			left--;
	}
	assert_int_equal(begun, MANY);
	assert_true(asked < 3 * MANY);
	/* Not slower than the pace, either. */
	assert_true(now - NOW < (int64_t)MANY * STEP * 11 / 10);
	free(at);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_who_come_one_by_one_never_wait),
		cmocka_unit_test(
		    a_few_at_once_begin_and_the_next_ones_wait_each_longer),
		cmocka_unit_test(many_begin_at_the_pace_and_none_comes_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
