#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sync/renew.h"

#define DAY (24LL * 3600 * 1000)

static void
ninety_days_are_renewed_about_day_sixty(void **state)
{
	int64_t at = renew_at("www.example.com", 0, 90 * DAY, 67);

	(void)state;
	assert_in_range(at, 60 * DAY, 63 * DAY);
}

static void
forty_five_days_are_renewed_about_day_thirty(void **state)
{
	int64_t at = renew_at("www.example.com", DAY, 46 * DAY, 67);

	(void)state;
	assert_in_range(at, 31 * DAY, 33 * DAY);
}

static void
names_issued_together_are_renewed_apart(void **state)
{
	unsigned int buckets[10] = { 0 };
	char name[64];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		int64_t at, late;

		snprintf(name, sizeof(name), "shop%d.example.com", i);
		at = renew_at(name, 0, 90 * DAY, 67);
		assert_true(at == renew_at(name, 0, 90 * DAY, 67));
		late = at - 90 * DAY / 100 * 67;
		buckets[late / (90 * DAY / 50 / 10 + 1)]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(buckets[i], 60, 140);
}

static void
a_late_renewal_is_still_before_the_end(void **state)
{
	char name[64];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "shop%d.example.com", i);
		assert_in_range(renew_at(name, 0, 1000000, 99), 990000, 995000);
	}
}

static void
a_certificate_without_lifetime_is_renewed_at_its_end(void **state)
{
	(void)state;
	assert_true(renew_at("a.example", 500, 500, 67) == 500);
	assert_true(renew_at("a.example", 500, 100, 67) == 100);
}

static void
pauses_double_up_to_a_day(void **state)
{
	static const int64_t minutes[] = { 5, 5, 10, 20, 40, 80, 160, 320, 640,
		1280, 1440, 1440 };

	(void)state;
	for (int64_t i = 0; i < 12; i++) {
		int64_t most = renew_pause(i, 5 * 60000, DAY, 0, 0);
		int64_t least = renew_pause(i, 5 * 60000, DAY, 0, 999);

		assert_true(most == minutes[i] * 60000);
		assert_in_range(least, most * 3 / 4, most * 76 / 100);
	}
	assert_true(renew_pause(INT64_MAX, 5 * 60000, DAY, 0, 0) == DAY);
}

static void
what_the_ca_asks_for_is_obeyed(void **state)
{
	(void)state;
	assert_true(renew_pause(1, 1000, DAY, 7 * DAY, 500) == 7 * DAY);
}

static void
what_ends_soon_is_tried_more_often(void **state)
{
	int64_t now = 1000 * DAY, hour = DAY / 24, five = 300000;

	(void)state;
	/* Plenty of time: nothing changes. */
	assert_true(renew_hurry(DAY, now + 30 * DAY, now, five, 0) == DAY);
	assert_true(
	    renew_hurry(DAY, now + 2 * DAY, now, five, 0) == 2 * DAY / 10);
	assert_true(renew_hurry(DAY, now + hour / 10, now, five, 0) == five);
	/* What the CA asked for counts more, but is no reason to wait longer. */
	assert_true(
	    renew_hurry(DAY, now + DAY, now, five, 8 * hour) == 8 * hour);
	assert_true(renew_hurry(hour, now + hour, now, five, DAY) == hour);
	assert_true(
	    renew_hurry(five / 2, now + hour / 10, now, five, 0) == five / 2);
	/* It has ended, or there is none. */
	assert_true(renew_hurry(DAY, now, now, five, 0) == DAY);
	assert_true(renew_hurry(DAY, 0, now, five, 0) == DAY);
}

static void
a_certificate_is_urgent_in_its_last_ninth_and_just_after(void **state)
{
	struct domain d;

	(void)state;
	domain_init(&d);
	assert_false(renew_urgent(&d, DAY));
	d.version = 1;
	d.not_before = 0;
	d.not_after = 90 * DAY;
	assert_true(renew_urgent_at(&d) == 80 * DAY);
	assert_false(renew_urgent(&d, 80 * DAY - 1));
	assert_true(renew_urgent(&d, 80 * DAY));
	assert_true(renew_urgent(&d, 99 * DAY));
	assert_false(renew_urgent(&d, 100 * DAY));
	d.version = 0;
	assert_false(renew_urgent(&d, 85 * DAY));
}

static void
the_earlier_of_renewal_and_question_is_due(void **state)
{
	struct domain d;

	(void)state;
	domain_init(&d);
	d.not_before = 0;
	d.not_after = 90 * DAY;
	d.renew_at = 60 * DAY;
	assert_true(renew_last_tenth(&d) == 81 * DAY);
	assert_true(renew_due(&d) == 60 * DAY);
	assert_false(renew_ask(&d, 5 * DAY));
	d.ari_poll_at = 5 * DAY;
	assert_true(renew_due(&d) == 5 * DAY);
	assert_false(renew_ask(&d, 5 * DAY - 1));
	assert_true(renew_ask(&d, 5 * DAY));
	assert_false(renew_ask(&d, 60 * DAY));
	d.ari_poll_at = 70 * DAY;
	assert_true(renew_due(&d) == 60 * DAY);
}

static void
one_that_was_gone_back_to_is_renewed_as_late_as_is_safe(void **state)
{
	struct domain d = {
		.not_before = 0, .not_after = 90 * DAY, .renew_at = 60 * DAY
	};

	(void)state;
	assert_true(renew_rolled_back(&d, 61 * DAY) == 80 * DAY);
	assert_true(renew_rolled_back(&d, 5 * DAY) == 80 * DAY);
	assert_true(renew_rolled_back(&d, 84 * DAY) == 87 * DAY);
	d.renew_at = 85 * DAY;
	assert_true(renew_rolled_back(&d, 61 * DAY) == 85 * DAY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ninety_days_are_renewed_about_day_sixty),
		cmocka_unit_test(forty_five_days_are_renewed_about_day_thirty),
		cmocka_unit_test(names_issued_together_are_renewed_apart),
		cmocka_unit_test(a_late_renewal_is_still_before_the_end),
		cmocka_unit_test(
		    a_certificate_without_lifetime_is_renewed_at_its_end),
		cmocka_unit_test(pauses_double_up_to_a_day),
		cmocka_unit_test(what_the_ca_asks_for_is_obeyed),
		cmocka_unit_test(what_ends_soon_is_tried_more_often),
		cmocka_unit_test(
		    a_certificate_is_urgent_in_its_last_ninth_and_just_after),
		cmocka_unit_test(the_earlier_of_renewal_and_question_is_due),
		cmocka_unit_test(
		    one_that_was_gone_back_to_is_renewed_as_late_as_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
