#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sync/lowest.h"

static void
what_is_under_way_holds_back_what_was_seen(void **state)
{
	struct lowest l = { 0 };

	(void)state;
	assert_true(lowest_applied(&l, 7) == 7);
	lowest_add(&l, 5);
	lowest_add(&l, 9);
	assert_true(lowest_applied(&l, 7) == 4);
	assert_true(lowest_applied(&l, 3) == 3);
	assert_false(lowest_remove(&l, 9));
	assert_true(lowest_remove(&l, 5));
	assert_true(lowest_applied(&l, 7) == 7);
}

/* Against looking at all of them, for any order of coming and going. */
static void
it_is_the_lowest_of_all_that_are_left(void **state)
{
	size_t count[8] = { 0 };
	struct lowest l = { 0 };

	(void)state;
	srandom(1);
	for (int i = 0; i < 20000; i++) {
		int64_t gen = 1 + random() % 7, low = 0;

		if (random() % 2 == 0) {
			count[gen]++;
			lowest_add(&l, gen);
		} else if (count[gen] > 0) {
			count[gen]--;
			if (lowest_remove(&l, gen))
				for (int64_t g = 1; g < 8; g++)
					for (size_t n = count[g]; n > 0; n--)
						lowest_add(&l, g);
		}
		for (int64_t g = 7; g > 0; g--)
			if (count[g] > 0)
				low = g;
		assert_true(lowest_applied(&l, 8) == (low > 0 ? low - 1 : 8));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_under_way_holds_back_what_was_seen),
		cmocka_unit_test(it_is_the_lowest_of_all_that_are_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
