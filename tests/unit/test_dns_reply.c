#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/dns_reply.h"
#include "sync/question.h"

/* A message under construction; the question is always for w.shop.example. */
struct made {
	uint8_t p[16384];
	size_t len;
};

static void
put_name(struct made *m, const char *name)
{
	while (*name != '\0') {
		size_t n = strcspn(name, ".");

		m->p[m->len++] = (uint8_t)n;
		memcpy(m->p + m->len, name, n);
		m->len += n;
		name += n + (name[n] == '.');
	}
	m->p[m->len++] = 0;
}

static void
put16(struct made *m, unsigned int v)
{
	m->p[m->len++] = (uint8_t)(v >> 8);
	m->p[m->len++] = (uint8_t)v;
}

static void
begin(struct made *m, const char *name)
{
	memset(m, 0, sizeof(*m));
	m->len = 12;
	m->p[2] = 0x81;
	m->p[5] = 1;
	put_name(m, name);
	put16(m, DNS_A);
	put16(m, 1);
}

/* section: 6 answer, 8 authority: where the header counts them. */
static void
put(struct made *m, size_t section, const char *owner, unsigned int type,
    const void *data, size_t len)
{
	m->p[section + 1]++;
	put_name(m, owner);
	put16(m, type);
	put16(m, 1);
	put16(m, 0);
	put16(m, 60);
	put16(m, (unsigned int)len);
	memcpy(m->p + m->len, data, len);
	m->len += len;
}

static void
put_cname(struct made *m, const char *owner, const char *target)
{
	struct made data = { .len = 0 };

	put_name(&data, target);
	put(m, 6, owner, DNS_CNAME, data.p, data.len);
}

static int
add(struct dns_reply *r, const struct made *m, enum dns_type type,
    struct err *e)
{
	memset(e, 0, sizeof(*e));
	return dns_reply_add(r, "w.shop.example", type, m->p, m->len, e);
}

static void
only_records_of_the_chain_count(void **state)
{
	struct dns_reply r = { 0 };
	struct made m;
	struct err e;

	(void)state;
	begin(&m, "w.shop.example");
	/* Out of order, and with strangers between. */
	put(&m, 6, "Edge.Example", DNS_A, "\xc6\x33\x64\x07", 4);
	put(&m, 6, "edge.example", DNS_AAAA, "0123456789abcdef", 16);
	put(&m, 6, "stranger.example", DNS_A, "\xcb\x00\x71\x09", 4);
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
	struct made m;
	struct err e;

	(void)state;
	begin(&m, "w.shop.example");
	put(&m, 6, "w.shop.example", DNS_CNAME, odd, sizeof(odd));
	assert_int_equal(add(&r, &m, DNS_A, &e), 0);
	assert_string_equal(r.cname[0], "a\\046b\\092\\010\\255-.test");
}

static void
names_have_at_most_255_bytes(void **state)
{
	char label[64], name[256];
	struct dns_reply r = { 0 };
	struct made m;
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
	struct made m;
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
	struct made m;
	struct err e;

	(void)state;
	begin(&m, "w.shop.example");
	put_cname(&m, "w.shop.example", "edge.example");
	put(&m, 6, "edge.example", DNS_A, "\xc6\x33\x64\x07", 4);
	for (size_t len = m.len; len-- > 0;) {
		struct made cut = m;
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
		struct made m;
		struct err e;

		begin(&m, "w.shop.example");
		put(&m, 6, "w.shop.example", DNS_CNAME, names[i].data,
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
	struct made m;
	struct err e;

	(void)state;
	begin(&m, "w.shop.example");
	for (int i = 0; i < RESOLVE_ADDRESSES_MAX; i++)
		put(&m, 6, "w.shop.example", DNS_A, "\xc6\x33\x64\x07", 4);
	assert_int_equal(add(&r, &m, DNS_A, &e), 0);
	assert_int_equal(r.naddresses, RESOLVE_ADDRESSES_MAX);
	memset(&r, 0, sizeof(r));
	put(&m, 6, "w.shop.example", DNS_A, "\xc6\x33\x64\x07", 4);
	assert_int_equal(add(&r, &m, DNS_A, &e), -1);
	assert_string_equal(e.text, "more than 64 addresses");

	memset(&r, 0, sizeof(r));
	begin(&m, "w.shop.example");
	put(&m, 6, "w.shop.example", DNS_A, "\xc6\x33\x64", 3);
	assert_int_equal(add(&r, &m, DNS_A, &e), -1);
	m.p[6] = 4; /* 1025 records, it says */
	assert_int_equal(add(&r, &m, DNS_A, &e), -1);
	assert_string_equal(e.text, "the reply has 1025 records");
}

static void
caa_records_are_taken_apart(void **state)
{
	struct dns_reply r = { 0 };
	struct made m;
	struct err e;
	uint8_t big[300] = "\x00\x05issue";

	(void)state;
	memset(big + 7, 'v', sizeof(big) - 7);
	begin(&m, "w.shop.example");
	put(&m, 6, "w.shop.example", DNS_CAA, "\x00\x05issueca.example", 17);
	put(&m, 6, "w.shop.example", DNS_CAA, "\x80\x03tbsx", 6);
	put(&m, 6, "w.shop.example", DNS_CAA, "\x01\x03tbs", 5);
	put(&m, 6, "w.shop.example", DNS_CAA, "\x40\x05issueca\0.x", 11);
	put(&m, 6, "w.shop.example", DNS_CAA, big, sizeof(big));
	put(&m, 6, "shop.example", DNS_CAA, "\x00\x05issueother", 12);
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
	put(&m, 6, "w.shop.example", DNS_CAA, "\x00\x06issue", 7);
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
	struct made m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		struct dns_reply r = { 0 };

		begin(&m, "w.shop.example");
		put_cname(&m, "w.shop.example", "edge.example");
		put(&m, 8, zones[i].soa, DNS_SOA, "x", 1);
		assert_int_equal(add(&r, &m, DNS_A, &e), 0);
		assert_int_equal(r.final, zones[i].final);
	}
}

static void
a_target_on_another_server_is_asked_for(void **state)
{
	struct question q;
	struct made m;

	(void)state;
	question_init(&q, DNS_A, "w.shop.example");
	begin(&m, "w.shop.example");
	put_cname(&m, "w.shop.example", "edge.example");
	assert_string_equal(question_got(&q, true, m.p, m.len), "edge.example");
	assert_false(q.done);
	begin(&m, "edge.example");
	put(&m, 6, "edge.example", DNS_A, "\xc6\x33\x64\x07", 4);
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
		cmocka_unit_test(a_target_on_another_server_is_asked_for),
		cmocka_unit_test(caa_asks_every_level_down_to_the_last_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
