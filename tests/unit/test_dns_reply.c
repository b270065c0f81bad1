#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/dns_reply.h"
#include "sync/question.h"
#include "tests/unit/dns_made.h"

static int
add(struct dns_reply *r, const struct dns_made *m, enum dns_type type,
    struct err *e)
{
	memset(e, 0, sizeof(*e));
	return dns_reply_add(r, "w.shop.example", type, m->p, m->len, e);
}

static void
only_records_of_the_chain_count(void **state)
{
	struct dns_reply r = { 0 };
	struct dns_made m;
	struct err e;

	(void)state;
	begin(&m, "w.shop.example");
	/* Out of order, and with strangers between. */
	put(&m, ANSWER, "Edge.Example", DNS_A, "\xc6\x33\x64\x07", 4);
	put(&m, ANSWER, "edge.example", DNS_AAAA, "0123456789abcdef", 16);
	put(&m, ANSWER, "stranger.example", DNS_A, "\xcb\x00\x71\x09", 4);
	put_cname(&m, "stranger.example", "ours.example");
	put_cname(&m, "CDN.example", "EDGE.example");
	put_cname(&m, "W.shop.EXAMPLE", "cdn.Example");
	assert_int_equal(add(&r, &m, DNS_A, &e), 0);
	assert_int_equal(r.ncnames, 2);
	assert_string_equal(r.cname[0], "cdn.example");
	assert_string_equal(r.cname[1], "edge.example");
	assert_int_equal(r.naddresses, 1);
	assert_string_equal(r.address[0], "198.51.100.7");
}

static void
a_name_is_given_with_what_cannot_be_printed_escaped(void **state)
{
	static const char odd[] = "\x07"
				  "a.b\\\n\xff-\x04TEST";
	struct dns_reply r = { 0 };
	struct dns_made m;
	struct err e;

	(void)state;
	begin(&m, "w.shop.example");
	put(&m, ANSWER, "w.shop.example", DNS_CNAME, odd, sizeof(odd));
	assert_int_equal(add(&r, &m, DNS_A, &e), 0);
	assert_string_equal(r.cname[0], "a\\046b\\092\\010\\255-.test");
}

static void
names_have_at_most_255_bytes(void **state)
{
	char label[64], name[256];
	struct dns_reply r = { 0 };
	struct dns_made m;
	struct err e;

	(void)state;
	memset(label, 'x', 63);
	label[63] = '\0';
	snprintf(
	    name, sizeof(name), "%s.%s.%s.%.61s", label, label, label, label);
	begin(&m, "w.shop.example");
	put_cname(&m, "w.shop.example", name); /* 253, the longest there is */
	assert_int_equal(add(&r, &m, DNS_A, &e), 0);
	assert_string_equal(r.cname[0], name);

	memset(&r, 0, sizeof(r));
	snprintf(name, sizeof(name), "%s.%s.%s.%s", label, label, label, label);
	begin(&m, "w.shop.example");
	put_cname(&m, "w.shop.example", name);
	m.len--; /* and a fifth label after 255 characters */
	m.p[m.len++] = 1;
	m.p[m.len++] = 'y';
	m.p[m.len++] = 0;
	assert_int_equal(add(&r, &m, DNS_A, &e), -1);
}

static void
loops_and_long_chains_are_refused(void **state)
{
	struct dns_reply r = { 0 };
	struct dns_made m;
	struct err e;
	char from[32], to[32];

	(void)state;
	begin(&m, "w.shop.example");
	put_cname(&m, "w.shop.example", "b.example");
	put_cname(&m, "b.example", "w.shop.example");
	assert_int_equal(add(&r, &m, DNS_A, &e), -1);
	assert_int_equal(e.kind, ERR_AGAIN);
	assert_string_equal(e.text, "its CNAMEs run in a loop");

	memset(&r, 0, sizeof(r));
	begin(&m, "w.shop.example");
	put_cname(&m, "w.shop.example", "w.shop.example");
	assert_int_equal(add(&r, &m, DNS_A, &e), -1);

	for (int n = RESOLVE_CNAMES_MAX; n <= RESOLVE_CNAMES_MAX + 1; n++) {
		memset(&r, 0, sizeof(r));
		begin(&m, "w.shop.example");
		put_cname(&m, "w.shop.example", "n0.example");
		for (int i = 1; i < n; i++) {
			snprintf(from, sizeof(from), "n%d.example", i - 1);
			snprintf(to, sizeof(to), "n%d.example", i);
			put_cname(&m, from, to);
		}
		assert_int_equal(
		    add(&r, &m, DNS_A, &e), n == RESOLVE_CNAMES_MAX ? 0 : -1);
	}
	assert_string_equal(e.text, "more than 8 CNAMEs");
}

static void
every_message_cut_short_is_refused(void **state)
{
	struct dns_made m;
	struct err e;

	(void)state;
	begin(&m, "w.shop.example");
	put_cname(&m, "w.shop.example", "edge.example");
	put(&m, ANSWER, "edge.example", DNS_A, "\xc6\x33\x64\x07", 4);
	for (size_t len = m.len; len-- > 0;) {
		struct dns_made cut = m;
		struct dns_reply r = { 0 };

		cut.len = len;
		assert_int_equal(add(&r, &cut, DNS_A, &e), -1);
		assert_string_equal(e.text, "the reply is malformed");
	}
}

static void
pointers_only_lead_back(void **state)
{
	static const struct {
		const char *data;
		size_t len;
		int result;
	} names[] = {
		{ "\x03"
		  "cdn\xc0\x0e",
		    6, 0 }, /* cdn.shop.example */
		{ "\xc0\xff", 2, -1 },
		{ "\xc0\x2c", 2, -1 }, /* itself */
		{ "\x01x\xc0\x2c", 4, -1 },
		{ "\x80", 1, -1 },
		{ "\x40", 1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct dns_reply r = { 0 };
		struct dns_made m;
		struct err e;

		begin(&m, "w.shop.example");
		put(&m, ANSWER, "w.shop.example", DNS_CNAME, names[i].data,
		    names[i].len);
		assert_int_equal(m.len - names[i].len, 0x3a);
		if (names[i].len > 1 && names[i].data[1] == '\x2c')
			m.p[0x3b] = 0x3a;
		if (names[i].len > 3 && names[i].data[3] == '\x2c')
			m.p[0x3d] = 0x3a;
		assert_int_equal(add(&r, &m, DNS_A, &e), names[i].result);
		if (names[i].result == 0)
			assert_string_equal(r.cname[0], "cdn.shop.example");
	}
}

static void
more_than_fits_is_refused_whole(void **state)
{
	struct dns_reply r = { 0 };
	struct dns_made m;
	struct err e;

	(void)state;
	begin(&m, "w.shop.example");
	for (int i = 0; i < RESOLVE_ADDRESSES_MAX; i++)
		put(&m, ANSWER, "w.shop.example", DNS_A, "\xc6\x33\x64\x07", 4);
	assert_int_equal(add(&r, &m, DNS_A, &e), 0);
	assert_int_equal(r.naddresses, RESOLVE_ADDRESSES_MAX);
	memset(&r, 0, sizeof(r));
	put(&m, ANSWER, "w.shop.example", DNS_A, "\xc6\x33\x64\x07", 4);
	assert_int_equal(add(&r, &m, DNS_A, &e), -1);
	assert_string_equal(e.text, "more than 64 addresses");

	memset(&r, 0, sizeof(r));
	begin(&m, "w.shop.example");
	put(&m, ANSWER, "w.shop.example", DNS_A, "\xc6\x33\x64", 3);
	assert_int_equal(add(&r, &m, DNS_A, &e), -1);
	m.p[6] = 4; /* 1025 records, it says */
	assert_int_equal(add(&r, &m, DNS_A, &e), -1);
	assert_string_equal(e.text, "the reply has 1025 records");
}

static void
caa_records_are_taken_apart(void **state)
{
	struct dns_reply r = { 0 };
	struct dns_made m;
	struct err e;
	uint8_t big[300] = "\x00\x05issue";

	(void)state;
	memset(big + 7, 'v', sizeof(big) - 7);
	begin(&m, "w.shop.example");
	put(&m, ANSWER, "w.shop.example", DNS_CAA, "\x00\x05issueca.example",
	    17);
	put(&m, ANSWER, "w.shop.example", DNS_CAA, "\x80\x03tbsx", 6);
	put(&m, ANSWER, "w.shop.example", DNS_CAA, "\x01\x03tbs", 5);
	put(&m, ANSWER, "w.shop.example", DNS_CAA, "\x40\x05issueca\0.x", 11);
	put(&m, ANSWER, "w.shop.example", DNS_CAA, big, sizeof(big));
	put(&m, ANSWER, "shop.example", DNS_CAA, "\x00\x05issueother", 12);
	assert_int_equal(add(&r, &m, DNS_CAA, &e), 0);
	assert_int_equal(r.ncaas, 5);
	assert_string_equal(r.caas[0].tag, "issue");
	assert_string_equal(r.caas[0].value, "ca.example");
	assert_int_equal(r.caas[0].critical, 0);
	assert_int_equal(r.caas[1].critical, 1);
	assert_int_equal(r.caas[2].critical, 1);
	assert_string_equal(r.caas[2].value, "");
	/* Cut, they could name a CA that they do not name. */
	assert_int_equal(r.caas[3].critical, 0);
	assert_string_equal(r.caas[3].value, "");
	assert_string_equal(r.caas[4].value, "");

	memset(&r, 0, sizeof(r));
	begin(&m, "w.shop.example");
	put(&m, ANSWER, "w.shop.example", DNS_CAA, "\x00\x06issue", 7);
	assert_int_equal(add(&r, &m, DNS_CAA, &e), -1);
}

/* RFC 2308: who has looked says so with the SOA of the zone. */
static void
nothing_found_is_final_by_the_right_soa(void **state)
{
	static const struct {
		const char *soa;
		int final;
	} zones[] = {
		{ "edge.example", 1 },
		{ "example", 1 },
		{ "", 1 },
		{ "dge.example", 0 },
		{ "shop.example", 0 },
	};
	struct dns_made m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		struct dns_reply r = { 0 };

		begin(&m, "w.shop.example");
		put_cname(&m, "w.shop.example", "edge.example");
		put(&m, AUTHORITY, zones[i].soa, DNS_SOA, "x", 1);
		assert_int_equal(add(&r, &m, DNS_A, &e), 0);
		assert_int_equal(r.final, zones[i].final);
	}
}

static void
a_target_on_another_server_is_asked_for(void **state)
{
	struct question q;
	struct dns_made m;

	(void)state;
	question_init(&q, DNS_A, "w.shop.example");
	begin(&m, "w.shop.example");
	put_cname(&m, "w.shop.example", "edge.example");
	assert_string_equal(question_got(&q, true, m.p, m.len), "edge.example");
	assert_false(q.done);
	begin(&m, "edge.example");
	put(&m, ANSWER, "edge.example", DNS_A, "\xc6\x33\x64\x07", 4);
	assert_null(question_got(&q, true, m.p, m.len));
	assert_true(q.done);
	assert_int_equal(q.result, RESOLVE_OK);
	assert_string_equal(q.reply->address[0], "198.51.100.7");
	question_clear(&q);

	/* Not when it does not exist. */
	question_init(&q, DNS_A, "w.shop.example");
	begin(&m, "w.shop.example");
	put_cname(&m, "w.shop.example", "edge.example");
	assert_null(question_got(&q, false, m.p, m.len));
	assert_int_equal(q.result, RESOLVE_NONE);
	assert_int_equal(q.reply->ncnames, 1);
	question_clear(&q);
}

static void
caa_asks_every_level_down_to_the_last_label(void **state)
{
	struct question q;

	(void)state;
	question_init(&q, DNS_CAA, "w.shop.example");
	assert_string_equal(question_got(&q, false, NULL, 0), "shop.example");
	assert_string_equal(question_got(&q, true, NULL, 0), "example");
	assert_null(question_got(&q, true, NULL, 0));
	assert_int_equal(q.result, RESOLVE_NONE);
	question_clear(&q);

	/* An address question does not climb. */
	question_init(&q, DNS_A, "w.shop.example");
	assert_null(question_got(&q, false, NULL, 0));
	assert_int_equal(q.result, RESOLVE_NONE);
	question_clear(&q);
}

static void
strings_of_a_txt_record_are_one_value(void **state)
{
	struct dns_reply r = { 0 };
	struct dns_made m;
	struct err e;
	char longest[256];
	uint8_t big[2 * 200 + 2];

	(void)state;
	memset(big, 'v', sizeof(big));
	big[0] = big[201] = 200;
	memset(longest, 'v', 255);
	longest[255] = '\0';
	begin(&m, "w.shop.example");
	put(&m, ANSWER, "w.shop.example", DNS_TXT, "\3one\0\4 two", 10);
	put(&m, ANSWER, "w.shop.example", DNS_TXT, "", 0);
	put(&m, ANSWER, "w.shop.example", DNS_TXT, "\3a\0b", 4);
	put(&m, ANSWER, "w.shop.example", DNS_TXT, big, sizeof(big));
	put_txt(&m, "other.example", "stranger");
	assert_int_equal(add(&r, &m, DNS_TXT, &e), 0);
	assert_true(dns_reply_found(&r));
	assert_int_equal(r.ntxts, 4);
	assert_string_equal(r.txt[0], "one two");
	assert_string_equal(r.txt[1], "");
	assert_string_equal(r.txt[2], ""); /* cut, it could be another */
	assert_string_equal(r.txt[3], longest);

	memset(&r, 0, sizeof(r));
	begin(&m, "w.shop.example");
	put(&m, ANSWER, "w.shop.example", DNS_TXT, "\5four", 5);
	assert_int_equal(add(&r, &m, DNS_TXT, &e), -1);
	assert_string_equal(e.text, "the reply is malformed");
}

static void
a_challenge_is_found_among_more_values_than_fit(void **state)
{
	static const char last[] =
	    "0123456789012345678901234567890123456789012";
	struct dns_reply r = { 0 };
	struct dns_made m;
	struct err e;
	char value[32];

	(void)state;
	begin(&m, "w.shop.example");
	for (int i = 0; i < DNS_TXTS_MAX + 10; i++) {
		snprintf(value, sizeof(value), "v=spf%d", i);
		put_txt(&m, "w.shop.example", value);
	}
	put_txt(&m, "w.shop.example", last);
	assert_int_equal(add(&r, &m, DNS_TXT, &e), 0);
	assert_int_equal(r.ntxts, DNS_TXTS_MAX);
	assert_string_equal(r.txt[0], last);
	assert_string_equal(r.txt[1], "v=spf1");
}

static void
name_servers_and_the_top_of_a_zone_are_found(void **state)
{
	struct dns_reply r = { 0 };
	struct dns_made m;
	struct err e;

	(void)state;
	begin(&m, "w.shop.example");
	put_target(&m, ANSWER, "w.shop.example", DNS_NS, "NS1.Example.net");
	put_target(&m, ANSWER, "w.shop.example", DNS_NS, "ns2.example.net");
	put_target(&m, ANSWER, "shop.example", DNS_NS, "ns3.example.net");
	assert_int_equal(add(&r, &m, DNS_NS, &e), 0);
	assert_int_equal(r.nhosts, 2);
	assert_string_equal(r.host[0], "ns1.example.net");
	assert_string_equal(r.host[1], "ns2.example.net");

	memset(&r, 0, sizeof(r));
	for (int i = 2; i <= DNS_HOSTS_MAX; i++)
		put_target(&m, ANSWER, "w.shop.example", DNS_NS, "ns.example");
	assert_int_equal(add(&r, &m, DNS_NS, &e), -1);
	assert_string_equal(e.text, "more than 26 name servers");

	memset(&r, 0, sizeof(r));
	begin(&m, "w.shop.example");
	put(&m, ANSWER, "w.shop.example", DNS_SOA, "x", 1);
	assert_int_equal(add(&r, &m, DNS_SOA, &e), 0);
	assert_true(r.soa);

	/* Of a zone above: this is not the top of one. */
	memset(&r, 0, sizeof(r));
	begin(&m, "w.shop.example");
	put(&m, AUTHORITY, "shop.example", DNS_SOA, "x", 1);
	assert_int_equal(add(&r, &m, DNS_SOA, &e), 0);
	assert_false(dns_reply_found(&r));
	assert_true(r.final);
	assert_string_equal(r.zone, "shop.example");
}

static void
a_referral_leads_down_and_to_the_name(void **state)
{
	static const struct {
		const char *owner;
		bool refers;
	} zones[] = {
		{ "w.shop.example", true },
		{ "_acme-challenge.w.shop.example", true },
		{ "SHOP.example", false },                  /* to itself */
		{ "example", false },                       /* up */
		{ "", false }, { "x.shop.example", false }, /* aside */
	};
	struct dns_referral r;
	struct dns_made m;

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		begin(&m, "_acme-challenge.w.shop.example");
		put_target(
		    &m, AUTHORITY, zones[i].owner, DNS_NS, "NS1.example.net");
		put_target(
		    &m, AUTHORITY, zones[i].owner, DNS_NS, "ns2.example.net");
		put_target(
		    &m, AUTHORITY, "y.shop.example", DNS_NS, "ns3.example");
		assert_int_equal(
		    dns_referral_read(&r, "_acme-challenge.w.shop.example",
			"shop.example", m.p, m.len),
		    zones[i].refers);
		assert_int_equal(r.nhosts, zones[i].refers ? 2 : 0);
		if (!zones[i].refers)
			continue;
		assert_string_equal(r.zone, zones[i].owner);
		assert_string_equal(r.host[0], "ns1.example.net");
		assert_string_equal(r.host[1], "ns2.example.net");
		for (size_t len = 0; len < m.len; len++)
			dns_referral_read(&r, "_acme-challenge.w.shop.example",
			    "shop.example", m.p, len);
		put_txt(&m, "_acme-challenge.w.shop.example", "x");
		assert_false(
		    dns_referral_read(&r, "_acme-challenge.w.shop.example",
			"shop.example", m.p, m.len));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_records_of_the_chain_count),
		cmocka_unit_test(
		    a_name_is_given_with_what_cannot_be_printed_escaped),
		cmocka_unit_test(names_have_at_most_255_bytes),
		cmocka_unit_test(loops_and_long_chains_are_refused),
		cmocka_unit_test(every_message_cut_short_is_refused),
		cmocka_unit_test(pointers_only_lead_back),
		cmocka_unit_test(more_than_fits_is_refused_whole),
		cmocka_unit_test(caa_records_are_taken_apart),
		cmocka_unit_test(nothing_found_is_final_by_the_right_soa),
		cmocka_unit_test(strings_of_a_txt_record_are_one_value),
		cmocka_unit_test(
		    a_challenge_is_found_among_more_values_than_fit),
		cmocka_unit_test(name_servers_and_the_top_of_a_zone_are_found),
		cmocka_unit_test(a_referral_leads_down_and_to_the_name),
		cmocka_unit_test(a_target_on_another_server_is_asked_for),
		cmocka_unit_test(caa_asks_every_level_down_to_the_last_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
