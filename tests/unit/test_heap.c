#include "common/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/mem.h"

#define N 1000
#define MANY 100000

struct item {
	uint64_t rank;
	uint32_t at;
};

static void
place(void *arg, uint32_t at)
{
	struct item *x = arg;

	x->at = at;
}

static void
put(struct heap *h, struct item *x, uint64_t rank)
{
	x->rank = rank;
	heap_put(h, rank, x);
}

static void
the_lowest_is_first_whatever_comes_and_goes(void **state)
{
	struct item item[N] = { 0 };
	const struct item *first;
	uint64_t lowest;
	struct heap h;

	(void)state;
	heap_init(&h, place);
	assert_null(heap_first(&h));
	srandom(1);
	for (int i = 0; i < 200000; i++) {
		struct item *x = &item[random() % N];

		if (x->at == 0)
			put(&h, x, (uint64_t)random() % 500);
		else
			heap_remove(&h, x->at);
		if (i % 97 != 0)
			continue;
		lowest = UINT64_MAX;
		for (int j = 0; j < N; j++) {
			if (item[j].at > 0)
				assert_ptr_equal(
				    h.entry[item[j].at - 1].item, &item[j]);
			if (item[j].at > 0 && item[j].rank < lowest)
				lowest = item[j].rank;
		}
		first = heap_first(&h);
		assert_true((first == NULL) == (lowest == UINT64_MAX));
		assert_true(first == NULL || first->rank == lowest);
	}
	heap_clear(&h);
}

static void
all_come_out_in_order_and_the_memory_goes(void **state)
{
	struct item *item = xcalloc(MANY, sizeof(*item));
	uint64_t before = 0;
	struct item *x;
	struct heap h;

	(void)state;
	heap_init(&h, place);
	srandom(2);
	for (int i = 0; i < MANY; i++)
		put(&h, &item[i], (uint64_t)random());
	while ((x = heap_first(&h)) != NULL) {
		assert_true(x->rank >= before);
		before = x->rank;
		heap_remove(&h, x->at);
		assert_int_equal(x->at, 0);
	}
	assert_int_equal(h.n, 0);
	assert_null(h.entry);
	free(item);
}

static double
cpu_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* One that comes and is first, while so many wait: the time it takes. */
static double
one_more(struct item *item, int waiting)
{
	struct item more = { 0 };
	double began;
	struct heap h;

	heap_init(&h, place);
	for (int i = 0; i < waiting; i++)
		put(&h, &item[i], (uint64_t)(i + 1) * 7919 % 99991 + 1);
	began = cpu_s();
	for (int i = 0; i < MANY; i++) {
		put(&h, &more, 0);
		assert_ptr_equal(heap_first(&h), &more);
		heap_remove(&h, more.at);
	}
	began = cpu_s() - began;
	heap_clear(&h);
	return began;
}

/* Linear would be two thousand times, a logarithm is about three. */
static void
one_more_is_as_quick_among_very_many(void **state)
{
	struct item *item = xcalloc(MANY, sizeof(*item));

	(void)state;
	assert_true(one_more(item, MANY) < 50 * one_more(item, 50) + 0.05);
	free(item);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_is_first_whatever_comes_and_goes),
		cmocka_unit_test(all_come_out_in_order_and_the_memory_goes),
		cmocka_unit_test(one_more_is_as_quick_among_very_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
