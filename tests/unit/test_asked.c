#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/asked.h"

#define NOW INT64_C(1700000000000)
#define HOURS(n) ((n)*INT64_C(3600000))
#define DAYS(n) HOURS(24 * (n))

/* One whose certificate is age old, of 90 days. */
static struct domain
domain(int64_t age)
{
	struct domain d;

	domain_init(&d);
	memcpy(d.name, "www.example.com", sizeof("www.example.com"));
	memset(d.sha1, 'A', 40);
	d.status = DOMAIN_IN_USE;
	d.version = d.proven = 1;
	d.not_before = NOW - age;
	d.not_after = d.not_before + DAYS(90);
	d.renew_at = d.not_before + DAYS(60);
	return d;
}

static enum asked
ask(const struct domain *d, bool force, struct err *why)
{
	return asked_renewal(d, NOW, DAYS(10), force, why);
}

static void
a_certificate_of_some_days_is_renewed(void **state)
{
	struct domain d = domain(DAYS(2));
	struct err why = { 0 };

	(void)state;
	assert_int_equal(ask(&d, false, &why), ASKED_ORDER);
}

static void
a_young_one_is_renewed_by_force_only(void **state)
{
	struct domain d = domain(HOURS(23));
	struct err why = { 0 };

	(void)state;
	assert_int_equal(ask(&d, false, &why), ASKED_REFUSED);
	assert_int_equal(why.kind, ERR_REFUSED);
	assert_non_null(strstr(why.text, "--force"));
	assert_int_equal(ask(&d, true, &why), ASKED_ORDER);
	/* A renewal that is due anyway is no waste. */
	d.renew_at = NOW;
	assert_int_equal(ask(&d, false, &why), ASKED_ORDER);
}

static void
a_short_lived_one_is_young_for_a_tenth_of_its_life(void **state)
{
	struct domain d = domain(HOURS(15));
	struct err why = { 0 };

	(void)state;
	d.not_after = d.not_before + DAYS(6); /* a tenth: 14.4 hours */
	assert_int_equal(ask(&d, false, &why), ASKED_ORDER);
	d.not_before += HOURS(1);
	d.not_after += HOURS(1);
	assert_int_equal(ask(&d, false, &why), ASKED_REFUSED);
}

static void
an_expired_one_is_never_too_young(void **state)
{
	struct domain d = domain(HOURS(2));
	struct err why = { 0 };

	(void)state;
	d.not_after = NOW - 1;
	assert_int_equal(ask(&d, false, &why), ASKED_ORDER);
}

static void
what_a_custom_certificate_serves_is_not_renewed(void **state)
{
	struct domain d = domain(DAYS(2));
	struct err why = { 0 };

	(void)state;
	memset(d.custom_sha1, 'B', 40);
	d.status = DOMAIN_NOT_USED;
	d.custom_not_after = NOW + DAYS(30);
	assert_int_equal(ask(&d, true, &why), ASKED_REFUSED);
	assert_non_null(strstr(why.text, "custom certificate"));
	/* When that ends soon there has to be another one. */
	d.custom_not_after = NOW + DAYS(9);
	assert_int_equal(ask(&d, true, &why), ASKED_ORDER);
	d.letsencrypt = false;
	assert_int_equal(ask(&d, true, &why), ASKED_REFUSED);
}

static void
what_is_switched_off_is_not_renewed(void **state)
{
	struct domain d = domain(DAYS(2));
	struct err why = { 0 };

	(void)state;
	d.letsencrypt = false;
	d.status = DOMAIN_DISABLED;
	assert_int_equal(ask(&d, true, &why), ASKED_REFUSED);
	assert_non_null(strstr(why.text, "switched off"));
}

static void
what_is_being_revoked_is_followed_anyway(void **state)
{
	struct domain d = domain(DAYS(2));
	struct err why = { 0 };

	(void)state;
	memcpy(d.revoke, "superseded", sizeof("superseded"));
	assert_int_equal(ask(&d, true, &why), ASKED_REFUSED);
	assert_non_null(strstr(why.text, "revoked"));
}

static void
without_a_certificate_the_next_step_is_taken(void **state)
{
	struct domain d;
	struct err why = { 0 };

	(void)state;
	domain_init(&d);
	assert_int_equal(ask(&d, false, &why), ASKED_DNS_CHECK);
	d.status = DOMAIN_CREATING;
	assert_int_equal(ask(&d, false, &why), ASKED_ORDER);
	memcpy(d.acme_dns_value, "x", 2);
	d.status = DOMAIN_ACTION_REQUIRED;
	assert_int_equal(ask(&d, false, &why), ASKED_RECORD_CHECK);
}

static void
the_platforms_certificate_is_not_the_domains(void **state)
{
	struct domain d;
	struct err why = { 0 };

	(void)state;
	domain_init(&d);
	d.status = DOMAIN_IN_USE;
	assert_int_equal(ask(&d, true, &why), ASKED_REFUSED);
	assert_non_null(strstr(why.text, "platform"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_certificate_of_some_days_is_renewed),
		cmocka_unit_test(a_young_one_is_renewed_by_force_only),
		cmocka_unit_test(
		    a_short_lived_one_is_young_for_a_tenth_of_its_life),
		cmocka_unit_test(an_expired_one_is_never_too_young),
		cmocka_unit_test(
		    what_a_custom_certificate_serves_is_not_renewed),
		cmocka_unit_test(what_is_switched_off_is_not_renewed),
		cmocka_unit_test(what_is_being_revoked_is_followed_anyway),
		cmocka_unit_test(without_a_certificate_the_next_step_is_taken),
		cmocka_unit_test(the_platforms_certificate_is_not_the_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
