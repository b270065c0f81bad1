#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/plan.h"

#define HOUR INT64_C(3600000)
#define WEEK (168 * HOUR)
#define NOW INT64_C(1767225600000)
#define NAMES 2000

static const struct limit fifty = { LIMIT_DOMAIN, 50, WEEK, "" };
static const struct limit account = { LIMIT_ORDERS, 300, 3 * HOUR, "" };
static const struct limit none = { LIMIT_ORDERS, 0, 3 * HOUR, "" };

static struct plan_name names[NAMES];
static struct plan_bucket orders, domains[NAMES];

/* n names in turn over so many domains, all ready now. */
static void
make(size_t n, size_t ndomains, const struct limit *of_account)
{
	memset(names, 0, sizeof(names));
	plan_bucket_init(&orders, of_account, NULL, 0, 0);
	for (size_t d = 0; d < ndomains; d++)
		plan_bucket_init(&domains[d], &fifty, NULL, 0, 0);
	for (size_t i = 0; i < n; i++)
		names[i] = (struct plan_name){ .domain = i % ndomains,
			.own = LIMIT_BUCKETS };
}

static void
clear(size_t ndomains)
{
	plan_bucket_clear(&orders);
	for (size_t d = 0; d < ndomains; d++)
		plan_bucket_clear(&domains[d]);
}

static int
by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* No window of that length has more than max of these names. */
static void
assert_within(size_t n, size_t domain, int64_t max, int64_t window)
{
	static int64_t at[NAMES];
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		if (domain == SIZE_MAX || names[i].domain == domain)
			at[found++] = names[i].at;
	qsort(at, found, sizeof(at[0]), by_time);
	for (size_t i = 0; i + (size_t)max < found; i++)
		assert_true(at[i + (size_t)max] - at[i] > window);
}

static void
fifty_come_at_once_and_fifty_each_week(void **state)
{
	(void)state;
	make(120, 1, &none);
	plan_run(&orders, domains, 1, names, 120, NOW);
	for (size_t i = 0; i < 120; i++) {
		int64_t weeks = (int64_t)i / 50;

		assert_true(names[i].at == NOW + weeks * (WEEK + 1));
		assert_int_equal(
		    names[i].why, i < 50 ? LIMIT_BUCKETS : LIMIT_DOMAIN);
	}
	clear(1);
}

static void
what_was_spent_before_counts(void **state)
{
	const int64_t spent[] = { NOW - 100 * HOUR, NOW - HOUR };
	const struct limit two = { LIMIT_DOMAIN, 2, WEEK, "" };

	(void)state;
	make(3, 1, &none);
	plan_bucket_clear(&domains[0]);
	plan_bucket_init(&domains[0], &two, spent, 2, 0);
	plan_run(&orders, domains, 1, names, 3, NOW);
	assert_true(names[0].at == NOW + 68 * HOUR + 1);
	assert_true(names[1].at == NOW + 167 * HOUR + 1);
	assert_true(names[2].at == names[0].at + WEEK + 1);
	clear(1);
}

static void
a_full_domain_holds_no_other_back(void **state)
{
	(void)state;
	make(200, 2, &account);
	domains[0].blocked = NOW + 10 * HOUR;
	plan_run(&orders, domains, 2, names, 200, NOW);
	assert_true(names[0].at == NOW + 10 * HOUR);
	assert_int_equal(names[0].why, LIMIT_DOMAIN);
	assert_true(names[1].at == NOW);
	assert_true(names[99].at == NOW);
	assert_true(names[101].at == NOW + WEEK + 1);
	clear(2);
}

static void
the_account_s_orders_are_shared(void **state)
{
	(void)state;
	make(700, 700, &account);
	plan_run(&orders, domains, 700, names, 700, NOW);
	assert_true(names[299].at == NOW);
	assert_true(names[300].at == NOW + 3 * HOUR + 1);
	assert_int_equal(names[300].why, LIMIT_ORDERS);
	assert_true(names[699].at == NOW + 2 * (3 * HOUR + 1));
	assert_within(700, SIZE_MAX, 300, 3 * HOUR);
	clear(700);
}

static void
what_is_a_name_s_own_holds_only_it_back(void **state)
{
	(void)state;
	make(3, 1, &account);
	names[0].ready = NOW + HOUR;
	names[0].own = LIMIT_FAILURES;
	plan_run(&orders, domains, 1, names, 3, NOW);
	assert_true(names[0].at == NOW + HOUR);
	assert_int_equal(names[0].why, LIMIT_FAILURES);
	assert_true(names[1].at == NOW && names[2].at == NOW);
	clear(1);
}

/* Two kinds of keys are two orders and two certificates of the domain. */
static void
a_name_with_two_certificates_has_both_or_waits(void **state)
{
	(void)state;
	make(30, 1, &account);
	for (size_t i = 0; i < 30; i++)
		names[i].more = 1;
	plan_run(&orders, domains, 1, names, 30, NOW);
	assert_true(names[24].at == NOW);
	assert_int_equal(names[24].why, LIMIT_BUCKETS);
	assert_true(names[25].at == NOW + WEEK + 1);
	assert_int_equal(names[25].why, LIMIT_DOMAIN);
	assert_int_equal(domains[0].n, 60);
	assert_int_equal(orders.n, 60);
	clear(1);

	make(1, 1, &account);
	names[0].more = 1;
	domains[0].max = 1;
	plan_run(&orders, domains, 1, names, 1, NOW);
	assert_true(names[0].at == NOW + WEEK + 1);
	assert_int_equal(names[0].why, LIMIT_DOMAIN);
	clear(1);
}

static void
no_window_of_any_bucket_is_ever_overdrawn(void **state)
{
	uint32_t dice = 1;

	(void)state;
	make(NAMES, 7, &account);
	for (size_t i = 0; i < NAMES; i++) {
		dice = dice * 1664525 + 1013904223;
		names[i].domain = (dice >> 16) % 3 * (dice >> 20) % 7;
		if (dice >> 28 == 0) {
			names[i].ready = NOW + (dice & 0xffffff);
			names[i].own = LIMIT_SET;
		}
	}
	plan_run(&orders, domains, 7, names, NAMES, NOW);
	assert_within(NAMES, SIZE_MAX, 300, 3 * HOUR);
	for (size_t d = 0; d < 7; d++)
		assert_within(NAMES, d, 50, WEEK);
	for (size_t i = 0; i < NAMES; i++)
		assert_true(
		    names[i].at >= NOW && names[i].at >= names[i].ready);
	clear(7);
}

static void
no_names_need_no_time(void **state)
{
	(void)state;
	make(0, 1, &account);
	plan_run(&orders, domains, 1, names, 0, NOW);
	plan_run(&orders, domains, 0, names, 0, NOW);
	clear(1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifty_come_at_once_and_fifty_each_week),
		cmocka_unit_test(what_was_spent_before_counts),
		cmocka_unit_test(a_full_domain_holds_no_other_back),
		cmocka_unit_test(the_account_s_orders_are_shared),
		cmocka_unit_test(what_is_a_name_s_own_holds_only_it_back),
		cmocka_unit_test(
		    a_name_with_two_certificates_has_both_or_waits),
		cmocka_unit_test(no_window_of_any_bucket_is_ever_overdrawn),
		cmocka_unit_test(no_names_need_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
