#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/conf.h"
#include "sync/limit.h"

#define HOUR INT64_C(3600000)
#define NOW INT64_C(1767225600000) /* 2026-01-01 00:00:00 UTC */
#define LE "https://acme-v02.api.letsencrypt.org/directory"
#define DOCS "see https://letsencrypt.org/docs/rate-limits/#"

static char big[] = "big.example=300", other[] = "other.example=7";
static char *overrides[] = { big, other };

static struct conf
lets_encrypt(void)
{
	struct conf c = { 0 };

	c.limits.certificates_per_domain = 50;
	c.limits.domain_window_h = 168;
	c.limits.certificates_per_set = 5;
	c.limits.set_window_h = 168;
	c.limits.orders_per_account = 300;
	c.limits.orders_window_h = 3;
	c.limits.failures_per_name = 5;
	c.limits.failures_window_h = 1;
	c.limits.hour_ms = 3600000;
	c.limits.domain_overrides.item = overrides;
	c.limits.domain_overrides.n = 2;
	return c;
}

static void
a_subdomain_spends_from_its_registered_domain(void **state)
{
	struct conf c = lets_encrypt();
	struct limit l;

	(void)state;
	limit_of(&c, LE, LIMIT_DOMAIN, "www.shop.example.co.uk", &l);
	assert_string_equal(
	    l.key, "example.co.uk@acme-v02.api.letsencrypt.org");
	assert_int_equal(l.max, 50);
	assert_true(l.window_ms == 168 * HOUR);
	limit_of(&c, LE, LIMIT_DOMAIN, "*.example.co.uk", &l);
	assert_string_equal(
	    l.key, "example.co.uk@acme-v02.api.letsencrypt.org");
}

static void
every_bucket_has_its_size_and_key(void **state)
{
	static const struct {
		enum limit_bucket bucket;
		int64_t max, hours;
		const char *key;
	} cases[] = {
		{ LIMIT_FAILURES, 5, 1, "www.a.example@ca.example:14000" },
		{ LIMIT_SET, 5, 168, "www.a.example@ca.example:14000" },
		{ LIMIT_DOMAIN, 50, 168, "a.example@ca.example:14000" },
		{ LIMIT_ORDERS, 300, 3, "@ca.example:14000" },
	};
	struct conf c = lets_encrypt();
	struct limit l;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		limit_of(&c, "https://ca.example:14000/dir", cases[i].bucket,
		    "www.a.example", &l);
		assert_string_equal(l.key, cases[i].key);
		assert_int_equal(l.max, cases[i].max);
		assert_true(l.window_ms == cases[i].hours * HOUR);
		assert_int_equal(limit_parse(limit_name(l.bucket)), l.bucket);
	}
}

static void
the_longest_name_fits_into_a_key(void **state)
{
	struct conf c = lets_encrypt();
	char name[DOMAIN_NAME_MAX], directory[512], subject[DOMAIN_NAME_MAX];
	struct limit l;

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(directory, 'b', sizeof(directory) - 1);
	memcpy(directory, "https://", 8);
	directory[sizeof(directory) - 1] = '\0';
	limit_of(&c, directory, LIMIT_SET, name, &l);
	limit_subject(&l, subject);
	assert_string_equal(subject, name);
	assert_true(strlen(l.key) < sizeof(l.key) - 1);
}

static void
an_override_is_of_one_registered_domain(void **state)
{
	struct conf c = lets_encrypt();
	struct limit l;

	(void)state;
	limit_of(&c, LE, LIMIT_DOMAIN, "a.b.big.example", &l);
	assert_int_equal(l.max, 300);
	limit_of(&c, LE, LIMIT_DOMAIN, "www.other.example", &l);
	assert_int_equal(l.max, 7);
	limit_of(&c, LE, LIMIT_DOMAIN, "www.verybig.example", &l);
	assert_int_equal(l.max, 50);
	limit_of(&c, LE, LIMIT_SET, "www.big.example", &l);
	assert_int_equal(l.max, 5);
}

static void
headroom_leaves_at_least_one(void **state)
{
	struct conf c = lets_encrypt();
	struct limit l;

	(void)state;
	c.limits.headroom_percent = 10;
	limit_of(&c, LE, LIMIT_DOMAIN, "a.example", &l);
	assert_int_equal(l.max, 45);
	c.limits.headroom_percent = 90;
	limit_of(&c, LE, LIMIT_SET, "a.example", &l);
	assert_int_equal(l.max, 1);
	c.limits.certificates_per_set = 0;
	limit_of(&c, LE, LIMIT_SET, "a.example", &l);
	assert_int_equal(l.max, 0);
}

static void
renewals_are_not_held_back_by_what_the_ca_exempts(void **state)
{
	struct domain d;

	(void)state;
	domain_init(&d);
	assert_int_equal(limit_kind_of(&d, NOW), LIMIT_NEW);
	d.version = 1;
	d.not_before = NOW - 60 * 24 * HOUR;
	assert_int_equal(limit_kind_of(&d, NOW), LIMIT_RENEWAL);
	d.not_before = NOW - 120 * 24 * HOUR;
	assert_int_equal(limit_kind_of(&d, NOW), LIMIT_NEW);
	domain_clear(&d);
	for (int b = 0; b < LIMIT_BUCKETS; b++) {
		enum limit_bucket bucket = (enum limit_bucket)b;

		assert_true(limit_asks(LIMIT_NEW, bucket));
		assert_false(limit_asks(LIMIT_ARI, bucket));
		assert_int_equal(limit_asks(LIMIT_RENEWAL, bucket),
		    bucket == LIMIT_SET || bucket == LIMIT_FAILURES);
	}
	/* The CA counts every certificate of a set, even those by ARI. */
	assert_true(limit_counts(LIMIT_ARI, LIMIT_SET));
	assert_false(limit_counts(LIMIT_ARI, LIMIT_DOMAIN));
	assert_false(limit_counts(LIMIT_RENEWAL, LIMIT_DOMAIN));
	assert_true(limit_counts(LIMIT_NEW, LIMIT_DOMAIN));
}

/* Boulder's own words (ratelimits/ and probs/). */
static void
the_anchor_names_the_bucket(void **state)
{
	static const struct {
		const char *detail;
		bool known;
		enum limit_bucket bucket;
	} cases[] = {
		{ "too many certificates (50) already issued for "
		  "\"example.com\" in the last 168h0m0s, retry after "
		  "2026-01-02 15:04:05 UTC: " DOCS
		  "new-certificates-per-registered-domain",
		    true, LIMIT_DOMAIN },
		{ "too many certificates (5) already issued for this exact "
		  "set of identifiers in the last 168h0m0s, retry after "
		  "2026-01-02 15:04:05 UTC: " DOCS
		  "new-certificates-per-exact-set-of-identifiers",
		    true, LIMIT_SET },
		{ "too many new orders (300) from this account in the last "
		  "3h0m0s, retry after 2026-01-02 15:04:05 UTC: " DOCS
		  "new-orders-per-account",
		    true, LIMIT_ORDERS },
		{ "too many failed authorizations (5) for \"example.com\" in "
		  "the last 1h0m0s, retry after 2026-01-02 15:04:05 UTC: " DOCS
		  "authorization-failures-per-identifier-per-account",
		    true, LIMIT_FAILURES },
		{ "too many new registrations (10) from this IP address in "
		  "the last 3h0m0s, retry after 2026-01-02 15:04:05 UTC: " DOCS
		  "new-registrations-per-ip-address",
		    false, LIMIT_SET },
		{ "retry after 2026-01-02T15:04:05Z, see "
		  "#new-orders-per-account.",
		    true, LIMIT_ORDERS },
	};
	struct limit_problem p;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		limit_problem(cases[i].detail, 0, NOW, &p);
		assert_int_equal(p.known, cases[i].known);
		assert_int_equal(p.bucket, cases[i].bucket);
		assert_false(p.paused);
		/* 2026-01-02 15:04:05 */
		assert_true(p.until == NOW + (24 + 15) * HOUR + 245000);
		limit_problem(cases[i].detail, 9000, NOW, &p);
		assert_true(p.until == NOW + 9000);
	}
}

static void
a_time_that_cannot_be_is_an_hour_or_a_month(void **state)
{
	static const char *const nothing[] = { "", "slow down", "retry after",
		"retry after soon", "retry after 2025-01-01 00:00:00 UTC",
		"retry after 2026-01-02", "#", "#new-orders", "retry after 2" };
	struct limit_problem p;

	(void)state;
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		limit_problem(nothing[i], 0, NOW, &p);
		assert_true(p.until == NOW + HOUR);
		assert_false(p.known);
		assert_int_equal(p.bucket, LIMIT_SET);
	}
	limit_problem("retry after 2099-01-01 00:00:00 UTC", 0, NOW, &p);
	assert_true(p.until == NOW + 30 * 24 * HOUR);
	limit_problem("", INT64_C(9000000000000), NOW, &p);
	assert_true(p.until == NOW + 30 * 24 * HOUR);
}

static void
a_pause_is_for_a_person_with_the_ca_s_link(void **state)
{
	static const char paused[] =
	    "Your account is temporarily prevented from requesting "
	    "certificates for example.com and possibly others. Please visit: "
	    "https://portal.letsencrypt.org/sfe/v1/unpause?jwt=eyJh.eyJp.c2ln";
	char lure[1500] = "temporarily prevented from requesting https://";
	struct limit_problem p;

	(void)state;
	limit_problem(paused, 0, NOW, &p);
	assert_true(p.paused);
	assert_string_equal(p.url, "https://portal.letsencrypt.org/sfe/v1/"
				   "unpause?jwt=eyJh.eyJp.c2ln");
	/* With a time it ends by itself. */
	limit_problem(paused, 60000, NOW, &p);
	assert_false(p.paused);
	/* What does not fit is no link; nor is another scheme. */
	memset(lure + strlen(lure), 'x', 1200);
	limit_problem(lure, 0, NOW, &p);
	assert_true(p.paused);
	assert_string_equal(p.url, "");
	limit_problem("temporarily prevented from requesting; visit "
		      "javascript:alert(1)",
	    0, NOW, &p);
	assert_string_equal(p.url, "");
	limit_problem("temporarily prevented from requesting: "
		      "https://ca.example/a\n\"b\"",
	    0, NOW, &p);
	assert_string_equal(p.url, "https://ca.example/a");
}

static void
only_a_certain_refusal_gives_back(void **state)
{
	struct err e = { 0 };

	(void)state;
	err_set(&e, ERR_LIMITED, "429");
	assert_true(limit_refused(&e));
	err_set(&e, ERR_REFUSED, "caa");
	snprintf(e.type, sizeof(e.type), "rejectedIdentifier");
	assert_true(limit_refused(&e));
	/* The reply was lost, or it was 500: there may be an order. */
	err_set(&e, ERR_AGAIN, "reply lost");
	assert_false(limit_refused(&e));
	snprintf(e.type, sizeof(e.type), "serverInternal");
	assert_false(limit_refused(&e));
	/* A reply that cannot be read is no refusal. */
	err_set(&e, ERR_BUG, "the body is too large");
	assert_false(limit_refused(&e));
}

static void
who_waits_is_told_why_and_until_when(void **state)
{
	struct conf c = lets_encrypt();
	struct limit l;
	struct err e;

	(void)state;
	limit_of(&c, LE, LIMIT_DOMAIN, "www.example.com", &l);
	assert_int_equal(limit_wait(&e, &l, false, NOW + HOUR, NOW), -1);
	assert_string_equal(e.text,
	    "at most 50 certificates per week for example.com: next one free "
	    "at 2026-01-01 01:00:00 UTC");
	assert_true(e.retry_ms == HOUR);
	assert_true(limit_waits(&e));
	limit_of(&c, LE, LIMIT_ORDERS, "www.example.com", &l);
	limit_wait(&e, &l, false, NOW, NOW);
	assert_string_equal(e.text, "at most 300 orders in 3 hours of our "
				    "account: next one free at 2026-01-01 "
				    "00:00:00 UTC");
	assert_true(e.retry_ms > 0);
	err_set(&e, ERR_LIMITED, "CA says so");
	assert_false(limit_waits(&e));
}

static void
nobody_comes_early_and_not_all_at_once(void **state)
{
	int64_t first = INT64_MAX, last = 0;

	(void)state;
	for (uint32_t r = 0; r < 1000; r++) {
		int64_t pause = limit_pause(NOW + 168 * HOUR, NOW, r);

		assert_true(pause > 168 * HOUR);
		assert_true(pause <= 168 * HOUR + 60001);
		first = pause < first ? pause : first;
		last = pause > last ? pause : last;
	}
	assert_true(last - first > 30000);
	assert_in_range(limit_pause(NOW - 5, NOW, 7), 1, 101);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_subdomain_spends_from_its_registered_domain),
		cmocka_unit_test(every_bucket_has_its_size_and_key),
		cmocka_unit_test(the_longest_name_fits_into_a_key),
		cmocka_unit_test(an_override_is_of_one_registered_domain),
		cmocka_unit_test(headroom_leaves_at_least_one),
		cmocka_unit_test(
		    renewals_are_not_held_back_by_what_the_ca_exempts),
		cmocka_unit_test(the_anchor_names_the_bucket),
		cmocka_unit_test(a_time_that_cannot_be_is_an_hour_or_a_month),
		cmocka_unit_test(a_pause_is_for_a_person_with_the_ca_s_link),
		cmocka_unit_test(only_a_certain_refusal_gives_back),
		cmocka_unit_test(who_waits_is_told_why_and_until_when),
		cmocka_unit_test(nobody_comes_early_and_not_all_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
