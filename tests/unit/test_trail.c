#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/trail.h"
#include "tests/unit/dns_made.h"

#define NAME "_acme-challenge.shop.example"

static struct trail t;
static struct dns_made m;

/* What the resolver says. */
static void
zone(const char *at, bool is)
{
	struct dns_reply r = { .soa = is };

	assert_int_equal(t.step, TRAIL_ZONE);
	assert_string_equal(t.at, at);
	trail_got_zone(&t, is ? RESOLVE_OK : RESOLVE_NONE, &r, "");
}

/* Two name servers, by these names, and their addresses. */
static void
addresses(const char *a, const char *b)
{
	struct resolve_answer one = { .naddresses = 1 }, two = one;

	assert_int_equal(t.step, TRAIL_ADDRESSES);
	assert_int_equal(t.nhosts, 2);
	snprintf(one.address[0], sizeof(one.address[0]), "%s", a);
	snprintf(two.address[0], sizeof(two.address[0]), "%s", b);
	trail_got_addresses(&t, 1, &two);
	trail_got_addresses(&t, 0, &one);
	trail_know_addresses(&t);
	assert_int_equal(t.step, TRAIL_SERVERS);
	assert_int_equal(t.nasked, 2);
	assert_string_equal(t.server[0].address, a);
	assert_string_equal(t.server[1].address, b);
}

static void
hosts(const char *a, const char *b)
{
	struct dns_reply r = { .nhosts = 2 };

	assert_int_equal(t.step, TRAIL_HOSTS);
	snprintf(r.host[0], sizeof(r.host[0]), "%s", a);
	snprintf(r.host[1], sizeof(r.host[1]), "%s", b);
	trail_got_hosts(&t, RESOLVE_OK, &r, "");
	addresses("192.0.2.1", "192.0.2.2");
}

static void
to_servers(void)
{
	trail_begin(&t, NAME);
	zone("shop.example", true);
	assert_string_equal(t.answer.zone, "shop.example");
	hosts("ns1.example.net", "ns2.example.net");
}

/* An authoritative reply for the name, to be filled. */
static void
reply(void)
{
	begin(&m, t.answer.name);
	m.p[2] = 0x84;
}

static void
say(size_t server)
{
	trail_got_reply(&t, server, m.p, m.len);
}

static void
both_say(void)
{
	say(0);
	say(1);
	trail_heard_all(&t);
}

static void
say_cname(size_t server, const char *target)
{
	reply();
	put_cname(&m, t.answer.name, target);
	say(server);
}

/* Nothing there, says the zone. */
static void
say_none(size_t server, const char *soa)
{
	reply();
	put(&m, AUTHORITY, soa, DNS_SOA, "x", 1);
	say(server);
}

static void
done(const char *name, const char *in)
{
	assert_int_equal(t.step, TRAIL_DONE);
	assert_string_equal(t.answer.error, "");
	assert_int_equal(t.answer.result, RESOLVE_OK);
	assert_string_equal(t.answer.name, name);
	assert_string_equal(t.answer.zone, in);
}

static void
failed(const char *error)
{
	assert_int_equal(t.step, TRAIL_DONE);
	assert_int_equal(t.answer.result, RESOLVE_FAIL);
	assert_string_equal(t.answer.error, error);
	assert_string_equal(t.answer.zone, "");
}

static void
the_closest_zone_above_is_taken(void **state)
{
	(void)state;
	trail_begin(&t, "_ACME-challenge.a.b.Shop.example.");
	zone("a.b.shop.example", false);
	zone("b.shop.example", false);
	zone("shop.example", true);
	assert_int_equal(t.step, TRAIL_HOSTS);
	assert_string_equal(t.answer.zone, "shop.example");
	assert_string_equal(t.answer.name, "_acme-challenge.a.b.shop.example");
	assert_string_equal(t.answer.fqdn, t.answer.name);

	trail_begin(&t, NAME);
	zone("shop.example", false);
	zone("example", false);
	failed("no zone in DNS has " NAME);
	trail_begin(&t, "localhost");
	failed("no zone in DNS has localhost");
}

static void
the_soa_of_a_cname_target_is_another_zones(void **state)
{
	struct dns_reply r = { .soa = true, .ncnames = 1 };

	(void)state;
	trail_begin(&t, NAME);
	trail_got_zone(&t, RESOLVE_OK, &r, "");
	assert_int_equal(t.step, TRAIL_ZONE);
	zone("example", true);
	assert_string_equal(t.answer.zone, "example");
}

static void
values_of_each_server_are_kept(void **state)
{
	(void)state;
	to_servers();
	reply();
	put_txt(&m, NAME, "one");
	put_txt(&m, NAME, "two");
	say(0);
	say_none(1, "shop.example");
	trail_heard_all(&t);
	done(NAME, "shop.example");
	assert_int_equal(t.answer.nservers, 2);
	assert_int_equal(t.answer.server[0].result, RESOLVE_OK);
	assert_int_equal(t.answer.server[0].nvalues, 2);
	assert_string_equal(t.answer.server[0].value[1], "two");
	assert_string_equal(t.answer.server[0].host, "ns1.example.net");
	assert_int_equal(t.answer.server[1].result, RESOLVE_NONE);
	assert_string_equal(t.answer.server[1].host, "ns2.example.net");
}

static void
who_does_not_know_says_how(void **state)
{
	static const struct {
		int rcode;
		const char *error;
	} replies[] = {
		{ DNS_REFUSED, "refuses to answer for the zone (REFUSED)" },
		{ DNS_SERVFAIL, "fails (SERVFAIL)" },
		{ DNS_NOTAUTH, "does not serve the zone (NOTAUTH)" },
		{ 1, "answers with an error" },
		{ DNS_NOERROR, "does not serve the zone (lame)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		to_servers();
		begin(&m, NAME);
		put_target(&m, AUTHORITY, "", DNS_NS, "a.root.example");
		m.p[3] = (uint8_t)replies[i].rcode;
		say(0);
		trail_got_nothing(&t, 1, "does not answer", i == 0);
		trail_heard_all(&t);
		done(NAME, "shop.example");
		assert_int_equal(t.answer.server[0].result, RESOLVE_FAIL);
		assert_false(t.answer.server[0].silent);
		assert_string_equal(t.answer.server[0].error, replies[i].error);
		assert_int_equal(t.answer.server[1].no_route, i == 0);
		assert_int_equal(t.answer.server[1].silent, i != 0);
		assert_string_equal(
		    t.answer.server[1].error, "does not answer");
	}
	to_servers();
	trail_got_reply(&t, 0, m.p, 5);
	assert_string_equal(
	    t.answer.server[0].error, "answers what is no DNS message");
	reply();
	m.p[ANSWER + 1] = 1; /* and there is none */
	say(1);
	assert_string_equal(
	    t.answer.server[1].error, "answers what cannot be read");
}

static void
a_cname_is_followed_into_its_zone(void **state)
{
	(void)state;
	to_servers();
	say_cname(0, "token.acme.test");
	say_cname(1, "token.acme.test");
	trail_heard_all(&t);
	zone("acme.test", true);
	hosts("ns.acme.test", "ns2.acme.test");
	reply();
	put_txt(&m, "token.acme.test", "value");
	both_say();
	assert_int_equal(t.step, TRAIL_CUT);
	reply();
	put(&m, AUTHORITY, "acme.test", DNS_SOA, "x", 1);
	trail_got_cut(&t, m.p, m.len);
	done("token.acme.test", "acme.test");
	assert_string_equal(t.answer.fqdn, NAME);
	assert_int_equal(t.answer.server[1].nvalues, 1);
}

static void
what_is_behind_a_cname_only_its_own_servers_say(void **state)
{
	(void)state;
	to_servers();
	reply();
	put_cname(&m, NAME, "token.acme.test");
	put_txt(&m, "token.acme.test", "stale");
	both_say();
	assert_int_equal(t.answer.nservers, 0);
	zone("acme.test", true);
}

static void
a_cname_of_some_servers_only_is_not_followed(void **state)
{
	(void)state;
	to_servers();
	say_cname(0, "token.acme.test");
	say_none(1, "shop.example");
	trail_heard_all(&t);
	failed("not every name server has the same CNAME at " NAME
	       ": ns1.example.net shows one, ns2.example.net another or none");
	to_servers();
	say_cname(0, "token.acme.test");
	say_cname(1, "other.acme.test");
	trail_heard_all(&t);
	assert_int_equal(t.answer.result, RESOLVE_FAIL);
	/* Who is silent does not say otherwise. */
	to_servers();
	trail_got_nothing(&t, 0, "does not answer", false);
	say_cname(1, "token.acme.test");
	trail_heard_all(&t);
	zone("acme.test", true);
}

static void
loops_end(void **state)
{
	char name[64];

	(void)state;
	to_servers();
	say_cname(0, "token.acme.test");
	trail_heard_all(&t);
	zone("acme.test", true);
	hosts("ns.acme.test", "ns2.acme.test");
	say_cname(0, NAME);
	trail_heard_all(&t);
	failed("the CNAMEs run in a loop: " NAME);

	/* The same, in one reply. */
	to_servers();
	reply();
	put_cname(&m, NAME, "x.shop.example");
	put_cname(&m, "x.shop.example", NAME);
	both_say();
	zone("shop.example", true);
	hosts("ns1.example.net", "ns2.example.net");
	reply();
	put_cname(&m, "x.shop.example", NAME);
	put_cname(&m, NAME, "x.shop.example");
	both_say();
	failed("the CNAMEs run in a loop: " NAME);

	to_servers();
	for (int i = 0; i < TRAIL_TURNS_MAX; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		say_cname(0, name);
		trail_heard_all(&t);
		zone("example", true);
		hosts("ns1.example", "ns2.example");
	}
	say_cname(0, "last.example");
	trail_heard_all(&t);
	failed("too many CNAMEs and delegations, the last at n15.example");
}

static void
a_delegation_is_followed_to_its_servers(void **state)
{
	(void)state;
	to_servers();
	begin(&m, NAME); /* not authoritative */
	put_target(&m, AUTHORITY, NAME, DNS_NS, "ns1.provider.test");
	put_target(&m, AUTHORITY, NAME, DNS_NS, "ns2.provider.test");
	both_say();
	assert_string_equal(t.host[0], "ns1.provider.test");
	assert_string_equal(t.host[1], "ns2.provider.test");
	addresses("192.0.2.3", "192.0.2.4");
	reply();
	put_txt(&m, NAME, "value");
	both_say();
	done(NAME, NAME);
	assert_string_equal(t.answer.server[0].host, "ns1.provider.test");
	assert_int_equal(t.answer.server[0].nvalues, 1);
}

/* The same servers have both zones, so nobody refers to anybody. */
static void
a_zone_below_on_the_same_servers_is_found(void **state)
{
	(void)state;
	to_servers();
	say_none(0, NAME);
	say_none(1, NAME);
	trail_heard_all(&t);
	hosts("ns1.example.net", "ns3.example.net");
	assert_string_equal(t.answer.zone, NAME);

	to_servers();
	reply();
	put_txt(&m, NAME, "value");
	trail_got_nothing(&t, 0, "does not answer", false);
	say(1);
	trail_heard_all(&t);
	assert_int_equal(t.step, TRAIL_CUT);
	assert_int_equal(t.cut_server, 1);
	reply();
	put(&m, ANSWER, NAME, DNS_SOA, "x", 1);
	trail_got_cut(&t, m.p, m.len);
	hosts("ns1.example.net", "ns3.example.net");
	reply();
	put_txt(&m, NAME, "value");
	both_say();
	done(NAME, NAME);

	/* No answer, no zone. */
	to_servers();
	reply();
	put_txt(&m, NAME, "value");
	both_say();
	trail_got_cut(&t, NULL, 0);
	done(NAME, "shop.example");
}

static void
what_the_resolver_does_not_know_is_told(void **state)
{
	struct dns_reply r = { .nhosts = 2 };
	struct resolve_answer none = { .a = RESOLVE_NONE,
		.aaaa = RESOLVE_NONE },
			      fails = { .a = RESOLVE_FAIL };

	(void)state;
	trail_begin(&t, NAME);
	trail_got_zone(&t, RESOLVE_FAIL, NULL, "SOA of shop.example: late");
	failed("cannot find the zone of " NAME ": SOA of shop.example: late");

	trail_begin(&t, NAME);
	zone("shop.example", true);
	trail_got_hosts(&t, RESOLVE_NONE, NULL, "");
	failed("cannot find the name servers of shop.example: there are no NS "
	       "records");

	for (int i = 0; i < 2; i++) {
		trail_begin(&t, NAME);
		zone("shop.example", true);
		snprintf(r.host[0], sizeof(r.host[0]), "ns1.example.net");
		trail_got_hosts(&t, RESOLVE_OK, &r, "");
		trail_got_addresses(&t, 0, i == 0 ? &none : &fails);
		trail_got_addresses(&t, 1, &none);
		trail_know_addresses(&t);
		if (i == 0) {
			failed("no name server with an address serves "
			       "shop.example");
			continue;
		}
		done(NAME, "shop.example");
		assert_int_equal(t.answer.nservers, 1);
		assert_true(t.answer.server[0].silent);
		assert_string_equal(
		    t.answer.server[0].error, "cannot be looked up in DNS");
	}
}

static void
no_server_is_left_out_for_anothers_many_addresses(void **state)
{
	struct dns_reply r = { .nhosts = 3 };
	struct resolve_answer many = { .naddresses = 40 },
			      one = { .naddresses = 1 };

	(void)state;
	for (size_t i = 0; i < 40; i++)
		snprintf(many.address[i], 46, "192.0.2.%zu", i);
	snprintf(one.address[0], 46, "198.51.100.1");
	trail_begin(&t, NAME);
	zone("shop.example", true);
	for (int i = 0; i < 3; i++)
		snprintf(r.host[i], sizeof(r.host[i]), "ns%d.test", i);
	trail_got_hosts(&t, RESOLVE_OK, &r, "");
	trail_got_addresses(&t, 0, &many);
	trail_got_addresses(&t, 1, &many); /* the same, asked once */
	trail_got_addresses(&t, 2, &one);
	trail_know_addresses(&t);
	assert_int_equal(t.nasked, TRAIL_ADDRESSES_MAX + 1);
	assert_string_equal(t.server[1].address, "198.51.100.1");
	assert_string_equal(t.server[1].host, "ns2.test");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_closest_zone_above_is_taken),
		cmocka_unit_test(the_soa_of_a_cname_target_is_another_zones),
		cmocka_unit_test(values_of_each_server_are_kept),
		cmocka_unit_test(who_does_not_know_says_how),
		cmocka_unit_test(a_cname_is_followed_into_its_zone),
		cmocka_unit_test(
		    what_is_behind_a_cname_only_its_own_servers_say),
		cmocka_unit_test(a_cname_of_some_servers_only_is_not_followed),
		cmocka_unit_test(loops_end),
		cmocka_unit_test(a_delegation_is_followed_to_its_servers),
		cmocka_unit_test(a_zone_below_on_the_same_servers_is_found),
		cmocka_unit_test(what_the_resolver_does_not_know_is_told),
		cmocka_unit_test(
		    no_server_is_left_out_for_anothers_many_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
