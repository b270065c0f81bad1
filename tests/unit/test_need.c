#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/need.h"

#define NOW INT64_C(1700000000000)
#define DAYS(n) ((n)*INT64_C(86400000))

static struct domain
domain(const char *name)
{
	struct domain d;

	domain_init(&d);
	strncpy(d.name, name, sizeof(d.name) - 1);
	return d;
}

static void
a_new_domain_needs_a_certificate(void **state)
{
	struct domain d = domain("www.example.com");

	(void)state;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CERTIFICATE);
}

static void
a_fresh_certificate_needs_proof_before_anything_else(void **state)
{
	struct domain d = domain("www.example.com");

	(void)state;
	d.version = 2;
	d.proven = 1;
	d.renew_at = NOW - 1;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_PROOF);
}

static void
a_proven_certificate_needs_nothing_until_its_renewal(void **state)
{
	struct domain d = domain("www.example.com");

	(void)state;
	d.version = d.proven = 1;
	d.renew_at = NOW + 1;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_NOTHING);
	assert_int_equal(need_of(&d, NOW + 1, DAYS(10)), NEED_CERTIFICATE);
	d.ari_poll_at = NOW;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_RENEWAL_INFO);
	assert_int_equal(need_of(&d, NOW - 1, DAYS(10)), NEED_NOTHING);
	assert_int_equal(need_of(&d, NOW + 1, DAYS(10)), NEED_CERTIFICATE);
}

static void
a_domain_that_is_switched_off_never_reaches_the_ca(void **state)
{
	struct domain d = domain("*.example.com");

	(void)state;
	d.letsencrypt = false;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_SWITCH_OFF);
}

static void
a_wildcard_is_ordered_until_a_person_has_to_make_a_record(void **state)
{
	struct domain d = domain("*.example.com");

	(void)state;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CERTIFICATE);
	strncpy(d.acme_dns_value, "value", sizeof(d.acme_dns_value) - 1);
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_DNS01);
	/* The CA's wish to renew later does not end the wait. */
	d.version = d.proven = 1;
	d.ari_poll_at = NOW - 1;
	d.renew_at = NOW + DAYS(1);
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_DNS01);
	d.proven = 0;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_PROOF);
	d.proven = 1;
	d.letsencrypt = false;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_SWITCH_OFF);
}

/* Its owner's certificate is served and proven, and ends in so many days. */
static struct domain
custom(int days)
{
	struct domain d = domain("www.example.com");

	d.version = d.proven = 3;
	memset(d.custom_sha1, 'A', 40);
	d.custom_not_after = NOW + DAYS(days);
	return d;
}

/* With a managed one behind it that is renewed in so many days. */
static struct domain
spare(int days, int renew_days)
{
	struct domain d = custom(days);

	memset(d.sha1, 'B', 40);
	d.renew_at = NOW + DAYS(renew_days);
	d.not_after = d.renew_at + DAYS(30);
	return d;
}

static void
a_custom_certificate_is_proven_then_needs_nothing(void **state)
{
	struct domain d = custom(50);

	(void)state;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_NOTHING);
	assert_true(need_next_at(&d, NOW, DAYS(10)) == NOW + DAYS(40));
	d.proven = 2;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_PROOF);
	d = custom(50);
	memcpy(d.name, "*.example.com", sizeof("*.example.com"));
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_NOTHING);
}

static void
a_managed_one_is_made_in_time_before_a_custom_one_ends(void **state)
{
	struct domain d = custom(10);

	(void)state;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CERTIFICATE);
	assert_true(need_next_at(&d, NOW, DAYS(10)) == NOW);
	/* It is there: it waits, and is itself renewed. */
	d = spare(9, 20);
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_NOTHING);
	assert_true(need_next_at(&d, NOW, DAYS(10)) == NOW + DAYS(8));
	d = spare(9, 3);
	assert_true(need_next_at(&d, NOW, DAYS(10)) == NOW + DAYS(3));
	d = spare(9, -1);
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CERTIFICATE);
}

static void
it_takes_over_a_day_before_or_when_it_may(void **state)
{
	struct domain d = spare(1, 20);

	(void)state;
	assert_int_equal(need_of(&d, NOW - 1, DAYS(10)), NEED_NOTHING);
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_TAKE_OVER);
	d = spare(50, 20);
	d.custom_left_at = NOW - 1;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_TAKE_OVER);
	/* But not with one that is no better. */
	d.not_after = NOW;
	d.renew_at = NOW - 1;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CERTIFICATE);
	d = custom(50);
	d.custom_left_at = NOW - 1;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CERTIFICATE);
}

static void
without_letsencrypt_a_custom_one_serves_to_its_end(void **state)
{
	struct domain d = spare(1, 20);

	(void)state;
	d.letsencrypt = false;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_NOTHING);
	assert_true(need_next_at(&d, NOW, DAYS(10)) == NOW + DAYS(1));
	assert_int_equal(need_of(&d, NOW + DAYS(1), DAYS(10)), NEED_OWNER);
}

/* A domain whose certificate came with generation 7. */
static int
judge(const struct store_node *nodes, size_t n, char *why)
{
	struct domain d = domain("www.example.com");

	d.version = 1;
	d.gen = 7;
	return need_proven(&d, nodes, n, why, 256);
}

static void
every_live_node_must_have_applied_the_generation(void **state)
{
	struct store_node nodes[] = {
		{ .id = "n1", .live = true, .gens = { 1, { 7 } } },
		{ .id = "n2", .live = true, .gens = { 1, { 6 } } },
	};
	char why[256];

	(void)state;
	assert_int_equal(judge(nodes, 2, why), 0);
	assert_string_equal(why, "certificate issued; served by 1 of 2 nodes, "
				 "waiting for n2");
	nodes[1].gens.gen[0] = 8;
	assert_int_equal(judge(nodes, 2, why), 1);
	assert_string_equal(why, "served by 2 nodes");
}

static void
a_node_that_is_gone_is_not_waited_for(void **state)
{
	struct store_node nodes[] = {
		{ .id = "n1", .live = true, .gens = { 1, { 7 } } },
		{ .id = "n2", .live = false, .gens = { 1, { 0 } } },
	};
	char why[256];

	(void)state;
	assert_int_equal(judge(nodes, 2, why), 1);
}

static void
without_a_live_node_nothing_is_proven(void **state)
{
	struct store_node gone = {
		.id = "n1", .live = false, .gens = { 1, { 9 } }
	};
	char why[256];

	(void)state;
	assert_int_equal(judge(NULL, 0, why), 0);
	assert_int_equal(judge(&gone, 1, why), 0);
	assert_string_equal(why, "no node is live");
}

static void
a_node_that_cannot_take_it_is_named_with_its_reason(void **state)
{
	struct store_node nodes[] = {
		{ .id = "n1",
		    .live = true,
		    .gens = { 1, { 7 } },
		    .errors = "a.www.example.com=other; "
			      "www.example.com=needs 17400 bytes; b=x" },
	};
	char why[256];

	(void)state;
	assert_int_equal(judge(nodes, 1, why), -1);
	assert_string_equal(why, "node n1: needs 17400 bytes");
}

static void
another_domains_failure_does_not_matter(void **state)
{
	struct store_node nodes[] = {
		{ .id = "n1",
		    .live = true,
		    .gens = { 1, { 7 } },
		    .errors = "a.www.example.com=www.example.com=no; "
			      "www.example.community=no" },
	};
	char why[256];

	(void)state;
	assert_int_equal(judge(nodes, 1, why), 1);
}

static void
what_is_staged_is_proven_before_anything_is_ordered(void **state)
{
	struct domain d = domain("www.example.com");

	(void)state;
	memcpy(d.canary, "-", 2);
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CANARY);
	d.version = d.proven = 1;
	d.renew_at = NOW - 1;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CANARY);
}

static void
a_stopped_upload_leaves_what_else_there_is_to_do(void **state)
{
	struct domain d = domain("www.example.com");

	(void)state;
	d.version = d.proven = 1;
	d.renew_at = NOW - 1;
	d.custom_trial_at = 1;
	assert_true(need_custom_trial(&d, NOW));
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CANARY);
	d.custom_trial_at = NOW + 1;
	assert_false(need_custom_trial(&d, NOW));
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CERTIFICATE);
	d.custom_trial_at = NOW;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_CANARY);
}

static void
switched_off_it_serves_until_the_upload_on_trial_does(void **state)
{
	struct domain d = domain("www.example.com");

	(void)state;
	d.letsencrypt = false;
	d.version = d.proven = 1;
	d.custom_trial_at = NOW + 1;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_NOTHING);
	d.custom_trial_at = 0;
	assert_int_equal(need_of(&d, NOW, DAYS(10)), NEED_SWITCH_OFF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_domain_needs_a_certificate),
		cmocka_unit_test(
		    a_fresh_certificate_needs_proof_before_anything_else),
		cmocka_unit_test(
		    a_proven_certificate_needs_nothing_until_its_renewal),
		cmocka_unit_test(
		    a_domain_that_is_switched_off_never_reaches_the_ca),
		cmocka_unit_test(
		    a_wildcard_is_ordered_until_a_person_has_to_make_a_record),
		cmocka_unit_test(
		    a_custom_certificate_is_proven_then_needs_nothing),
		cmocka_unit_test(
		    a_managed_one_is_made_in_time_before_a_custom_one_ends),
		cmocka_unit_test(it_takes_over_a_day_before_or_when_it_may),
		cmocka_unit_test(
		    without_letsencrypt_a_custom_one_serves_to_its_end),
		cmocka_unit_test(
		    every_live_node_must_have_applied_the_generation),
		cmocka_unit_test(a_node_that_is_gone_is_not_waited_for),
		cmocka_unit_test(without_a_live_node_nothing_is_proven),
		cmocka_unit_test(
		    a_node_that_cannot_take_it_is_named_with_its_reason),
		cmocka_unit_test(another_domains_failure_does_not_matter),
		cmocka_unit_test(
		    what_is_staged_is_proven_before_anything_is_ordered),
		cmocka_unit_test(
		    a_stopped_upload_leaves_what_else_there_is_to_do),
		cmocka_unit_test(
		    switched_off_it_serves_until_the_upload_on_trial_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
