#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "sync/ari.h"
#include "sync/cert.h"

#define HOUR (3600 * 1000LL)
#define DAY (24 * HOUR)

static const char ca[] = "https://ca.example/d";

/* RFC 9773 appendix A. */
static const char appendix_a[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt\n"
    "cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS\n"
    "BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu\n"
    "7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf\n"
    "qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B\n"
    "yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb\n"
    "+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK\n"
    "-----END CERTIFICATE-----\n";

static int
parse(const char *text, struct ari *a, struct err *e)
{
	json_t *body = json_loads(text, 0, NULL);
	int rc;

	assert_non_null(body);
	rc = ari_parse(a, body, e);
	json_decref(body);
	return rc;
}

#define WINDOW(start, end, more)                                       \
	"{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end \
	"\"}" more "}"

static void
the_name_of_a_certificate_is_that_of_the_rfc(void **state)
{
	struct cert c = { .chain = xstrdup(appendix_a) };
	char id[128], small[20];

	(void)state;
	cert_ari_id(&c, id, sizeof(id));
	assert_string_equal(id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
	cert_ari_id(&c, small, sizeof(small));
	assert_string_equal(small, "");
	cert_clear(&c);
	c.chain = xstrdup("no certificate");
	cert_ari_id(&c, id, sizeof(id));
	assert_string_equal(id, "");
	cert_clear(&c);
}

/* The example of section 4.2. */
static void
a_window_and_its_explanation_are_read(void **state)
{
	struct err e = { 0 };
	struct ari a;

	(void)state;
	assert_int_equal(
	    parse(WINDOW("2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z",
		      ",\"explanationURL\":"
		      "\"https://acme.example.com/docs/ari\""),
		&a, &e),
	    0);
	assert_true(a.start == 1735790400000);
	assert_true(a.end == a.start + DAY);
	assert_string_equal(
	    a.explanation_url, "https://acme.example.com/docs/ari");
}

static void
times_may_have_fractions_and_offsets(void **state)
{
	struct err e = { 0 };
	struct ari a;

	(void)state;
	assert_int_equal(parse(WINDOW("2025-01-02T05:30:00.123456789+01:30",
				   "2025-01-01T23:00:01-05:00", ""),
			     &a, &e),
	    0);
	assert_true(a.start == 1735790400000);
	assert_true(a.end == a.start + 1000);
	assert_string_equal(a.explanation_url, "");
}

static void
a_window_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"suggestedWindow\":{}}",
		"{\"suggestedWindow\":{\"start\":1,\"end\":2}}",
		WINDOW("2025-01-03T04:00:00Z", "2025-01-03T04:00:00Z", ""),
		WINDOW("2025-01-03T04:00:00Z", "2025-01-02T04:00:00Z", ""),
		WINDOW("2025-01-02", "2025-01-03T04:00:00Z", ""),
		WINDOW("2025-01-02T04:00:00", "2025-01-03T04:00:00Z", ""),
		WINDOW("2025-02-30T04:00:00Z", "2025-03-03T04:00:00Z", ""),
		WINDOW("2025-13-01T04:00:00Z", "2026-03-03T04:00:00Z", ""),
		WINDOW("2025-01-02 04:00:00Z", "2025-01-03T04:00:00Z", ""),
		WINDOW("2025-01-02T24:00:00Z", "2025-01-03T04:00:00Z", ""),
		WINDOW("2025-01-02T04:00:00.Z", "2025-01-03T04:00:00Z", ""),
		WINDOW("2025-01-02T04:00:00Zx", "2025-01-03T04:00:00Z", ""),
		WINDOW(
		    "2025-01-02T04:00:00Z\\u0000", "2026-01-03T04:00:00Z", ""),
		WINDOW("2025-1-2T4:00:00Z", "2025-01-03T04:00:00Z", ""),
		WINDOW("", "", ""),
	};
	struct ari a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *body = json_loads(bad[i], JSON_ALLOW_NUL, NULL);
		struct err e = { 0 };

		assert_non_null(body);
		if (ari_parse(&a, body, &e) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_int_equal(e.kind, ERR_BUG);
		json_decref(body);
	}
}

static void
only_https_is_shown_to_people(void **state)
{
	static const char *const bad[] = { "http://ca.example/", "https://",
		"javascript:alert(1)", "https://ca.example/ a",
		"https://ca.example/\\u001b[31m", "https://ca.example/\\\"x",
		"https://ca.example/<b>", "https://ca.ex\\u00e4mple/" };
	struct ari a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text = xasprintf(
		    WINDOW("2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z",
			",\"explanationURL\":\"%s\""),
		    bad[i]);
		struct err e = { 0 };

		assert_int_equal(parse(text, &a, &e), 0);
		assert_string_equal(a.explanation_url, "");
		free(text);
	}
}

static void
a_pick_is_stable_and_spread_over_the_whole_window(void **state)
{
	int64_t start = 1735790400000, end = start + DAY;
	int in_hour[24] = { 0 };
	char name[32];

	(void)state;
	for (int i = 0; i < 24000; i++) {
		int64_t at;

		snprintf(name, sizeof(name), "n%d.example", i);
		at = ari_pick(name, start, end);
		assert_true(at == ari_pick(name, start, end));
		assert_true(at >= start && at < end && at % 1000 == 0);
		in_hour[(at - start) / HOUR]++;
	}
	for (int h = 0; h < 24; h++)
		assert_in_range(in_hour[h], 850, 1150);
	assert_true(ari_pick("a.example", start, end) !=
		    ari_pick("a.example", start + HOUR, end + HOUR) - HOUR);
	assert_true(ari_pick("a.example", start, start + 5) == start);
}

static struct domain
served(void)
{
	struct domain d;

	domain_init(&d);
	memcpy(d.name, "www.example.com", sizeof("www.example.com"));
	d.version = d.proven = 1;
	d.not_before = 100 * DAY;
	d.not_after = 190 * DAY;
	d.renew_at = 160 * DAY;
	return d;
}

static void
the_window_decides_when_a_domain_is_renewed(void **state)
{
	struct ari a = { 150 * DAY, 151 * DAY, "https://ca.example/why" };
	struct domain d = served();

	(void)state;
	ari_take(&d, &a, 110 * DAY);
	assert_true(d.renew_at >= a.start && d.renew_at < a.end);
	assert_true(d.ari_start == a.start && d.ari_end == a.end);
	assert_string_equal(d.explanation_url, "https://ca.example/why");
	assert_false(ari_within(&d, a.start - 1));
	assert_true(ari_within(&d, a.start));
	assert_false(ari_within(&d, a.end));
}

static void
a_window_in_the_past_means_now(void **state)
{
	struct ari a = { 101 * DAY, 102 * DAY, "" };
	struct domain d = served();

	(void)state;
	ari_take(&d, &a, 110 * DAY);
	assert_true(d.renew_at == 110 * DAY);
}

static void
a_window_at_the_end_must_not_let_the_certificate_lapse(void **state)
{
	struct ari a = { 189 * DAY, 300 * DAY, "" };
	struct domain d = served();

	(void)state;
	ari_take(&d, &a, 110 * DAY);
	assert_true(d.renew_at == 181 * DAY);
}

static void
polls_keep_between_their_bounds(void **state)
{
	(void)state;
	assert_true(ari_next_poll(5, 0, 3600, 86400) == 5 + 6 * HOUR);
	assert_true(ari_next_poll(5, 2 * HOUR, 3600, 86400) == 5 + 2 * HOUR);
	assert_true(ari_next_poll(5, 1, 3600, 86400) == 5 + HOUR);
	assert_true(ari_next_poll(5, INT64_MAX, 3600, 86400) == 5 + DAY);
}

static void
a_new_certificate_forgets_the_old_window(void **state)
{
	struct domain d = served();

	(void)state;
	d.ari_start = d.ari_end = 5;
	memcpy(d.explanation_url, "https://x", 10);
	ari_begin(&d, "https://ca.example/d", "a.b", true, 100 * DAY, 3600);
	assert_string_equal(d.ca, "https://ca.example/d");
	assert_string_equal(d.ari_id, "a.b");
	assert_true(d.ari_start == 0 && d.ari_end == 0);
	assert_string_equal(d.explanation_url, "");
	assert_true(d.ari_poll_at == 100 * DAY + HOUR);
	/* Six minutes of life have no hour to wait. */
	d.not_after = d.not_before + 360000;
	ari_begin(&d, "https://ca.example/d", "a.b", true, 100 * DAY, 3600);
	assert_true(d.ari_poll_at == 100 * DAY + 7200);
	ari_begin(&d, "https://ca.example/d", "", true, 100 * DAY, 3600);
	assert_true(d.ari_poll_at == 0);
	ari_begin(&d, "https://ca.example/d", "a.b", false, 100 * DAY, 3600);
	assert_true(d.ari_poll_at == 0);
}

static void
replaces_is_for_the_ca_that_has_told_a_window(void **state)
{
	struct domain d = served();

	(void)state;
	ari_begin(&d, ca, "a.b", true, 100 * DAY, 3600);
	assert_null(ari_replaces(&d, ca, false));
	d.ari_end = 5;
	assert_string_equal(ari_replaces(&d, ca, false), "a.b");
	assert_null(ari_replaces(&d, "https://other.example/d", false));
	d.version = 0;
	assert_null(ari_replaces(&d, ca, false));
}

static void
of_two_certificates_each_has_a_predecessor_of_its_own(void **state)
{
	struct domain d = served();

	(void)state;
	ari_begin(&d, ca, "a.b", true, 100 * DAY, 3600);
	d.ari_end = 5;
	assert_null(ari_replaces(&d, ca, true));
	memcpy(d.ari_id_second, "c.d", 4);
	assert_string_equal(ari_replaces(&d, ca, true), "c.d");
	assert_string_equal(ari_replaces(&d, ca, false), "a.b");
	assert_null(ari_replaces(&d, "https://other.example/d", true));
	ari_begin(&d, ca, "e.f", true, 100 * DAY, 3600);
	assert_string_equal(d.ari_id_second, "");
}

static void
two_certificates_may_be_of_two_cas(void **state)
{
	static const char other[] = "https://other.example/d";
	struct domain d = served();

	(void)state;
	ari_begin(&d, ca, "a.b", true, 100 * DAY, 3600);
	d.ari_end = 5;
	memcpy(d.ari_id_second, "c.d", 4);
	assert_string_equal(ari_ca(&d, true), ca);
	ari_second(&d, other, "e.f");
	assert_string_equal(ari_ca(&d, false), ca);
	assert_string_equal(ari_ca(&d, true), other);
	assert_string_equal(ari_replaces(&d, other, true), "e.f");
	assert_string_equal(ari_replaces(&d, ca, false), "a.b");
	assert_null(ari_replaces(&d, ca, true));
	assert_null(ari_replaces(&d, other, false));
	ari_begin(&d, other, "g.h", true, 100 * DAY, 3600);
	assert_string_equal(ari_ca(&d, true), other);
	assert_string_equal(d.ca_second, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_name_of_a_certificate_is_that_of_the_rfc),
		cmocka_unit_test(a_window_and_its_explanation_are_read),
		cmocka_unit_test(times_may_have_fractions_and_offsets),
		cmocka_unit_test(a_window_that_is_none_is_refused),
		cmocka_unit_test(only_https_is_shown_to_people),
		cmocka_unit_test(
		    a_pick_is_stable_and_spread_over_the_whole_window),
		cmocka_unit_test(the_window_decides_when_a_domain_is_renewed),
		cmocka_unit_test(a_window_in_the_past_means_now),
		cmocka_unit_test(
		    a_window_at_the_end_must_not_let_the_certificate_lapse),
		cmocka_unit_test(polls_keep_between_their_bounds),
		cmocka_unit_test(a_new_certificate_forgets_the_old_window),
		cmocka_unit_test(replaces_is_for_the_ca_that_has_told_a_window),
		cmocka_unit_test(
		    of_two_certificates_each_has_a_predecessor_of_its_own),
		cmocka_unit_test(two_certificates_may_be_of_two_cas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
