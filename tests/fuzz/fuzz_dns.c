/*
 * DNS replies: whatever the bytes, what comes out is in bounds, printable and
 * hangs together, the question ends within a known number of replies, and the
 * judgement over it is one sentence.  The same for name servers that say
 * whatever they like, and what is read can be asked for.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync/precheck.h"
#include "sync/question.h"
#include "sync/trail.h"
#include "sync/visible.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAME "w.shop.example"
/* Each level of CAA may follow a whole chain. */
#define REPLIES_MAX (3 * (RESOLVE_CNAMES_MAX + 2))

static void
check(int ok)
{
	if (!ok)
		abort();
}

static void
check_name(const char *name)
{
	check(memchr(name, '\0', 256) != NULL);
	for (; *name != '\0'; name++)
		check(*name > ' ' && *name <= '~' &&
		      !(*name >= 'A' && *name <= 'Z'));
}

/* The bytes of a name and its text are the same thing. */
static void
check_way_back(const char *name)
{
	uint8_t query[DNS_QUERY_MAX];
	struct dns_message m = { query, 0 };
	size_t at = DNS_HEADER;
	char back[256];

	m.len = dns_query_make(query, 0x2b2b, name, DNS_TXT);
	/* Text with many escapes is longer than what it stands for. */
	if (m.len == 0)
		return;
	check(dns_message_name(&m, &at, back) == 0);
	check(strcmp(back, name) == 0 && at == m.len - 4);
	query[2] |= 0x80;
	check(dns_query_is_answered(query, query, m.len));
}

/* As many as its type has, and of no other type. */
static void
check_kinds(const struct dns_reply *r, enum dns_type type)
{
	bool is_address = type == DNS_A || type == DNS_AAAA;

	check(is_address || r->naddresses == 0);
	check(type == DNS_CAA || r->ncaas == 0);
	check(type == DNS_TXT || r->ntxts == 0);
	check(type == DNS_NS || r->nhosts == 0);
	check(type == DNS_SOA || !r->soa);
	check(r->naddresses <= RESOLVE_ADDRESSES_MAX);
	check(r->ncaas <= RESOLVE_CAA_MAX);
	check(r->ntxts <= DNS_TXTS_MAX);
	check(r->nhosts <= DNS_HOSTS_MAX);
	check_name(r->zone);
	check(r->final || r->zone[0] == '\0');
	check(!r->final || !dns_reply_found(r));
}

static void
check_reply(const struct dns_reply *r, enum dns_type type)
{
	uint8_t address[16];

	check(r->ncnames <= RESOLVE_CNAMES_MAX);
	check_kinds(r, type);
	for (size_t i = 0; i < r->ntxts; i++)
		check(memchr(r->txt[i], '\0', 256) != NULL);
	for (size_t i = 0; i < r->nhosts; i++)
		check_name(r->host[i]);
	for (size_t i = 0; i < r->ncnames; i++) {
		check_name(r->cname[i]);
		check_way_back(r->cname[i]);
		for (size_t j = 0; j < i; j++)
			check(strcmp(r->cname[i], r->cname[j]) != 0);
	}
	for (size_t i = 0; i < r->naddresses; i++)
		check(inet_pton(type == DNS_A ? AF_INET : AF_INET6,
			  r->address[i], address) == 1);
	for (size_t i = 0; i < r->ncaas; i++) {
		check(memchr(r->caas[i].tag, '\0', 16) != NULL);
		check(memchr(r->caas[i].value, '\0', 256) != NULL);
		check(r->caas[i].critical == 0 || r->caas[i].critical == 1);
	}
}

static void
ask(struct question *q, enum dns_type type, const uint8_t *message, size_t len)
{
	const char *next = NAME;
	int replies = 0;

	question_init(q, type, NAME);
	while (next != NULL) {
		check(replies++ < REPLIES_MAX);
		check_name(next);
		next = question_got(q, true, message, len);
		if (q->reply != NULL)
			check_reply(q->reply, type);
	}
	check(q->done);
}

static void
judge(const struct resolve_answer *answer)
{
	char network[] = "198.51.100.0/24", target[] = "edge.example";
	char ca[] = "ca.example";
	char *items[] = { network, target, ca };
	const struct conf_list targets = { items, 2 }, ids = { items + 2, 1 };
	enum precheck_verdict verdict;
	struct err e;

	verdict = precheck(NAME, answer, &targets, NULL, 0, &ids, &e);
	check((verdict == PRECHECK_OK) == (e.text[0] == '\0'));
	check((verdict == PRECHECK_AGAIN) == (e.kind == ERR_AGAIN));
	for (const char *p = e.text; *p != '\0'; p++)
		check((unsigned char)*p >= ' ' && *p != 0x7f);
}

static void
check_sentence(const char *text)
{
	for (; *text != '\0'; text++)
		check((unsigned char)*text >= ' ' && *text != 0x7f);
}

/* What the resolver knows: the same names, every time. */
static void
know_servers(struct trail *t)
{
	struct resolve_answer addresses = { .naddresses = 1 };

	for (size_t i = 0; i < t->nhosts; i++) {
		check_name(t->host[i]);
		snprintf(addresses.address[0], sizeof(addresses.address[0]),
		    "192.0.2.%zu", i);
		trail_got_addresses(t, i, &addresses);
	}
	trail_know_addresses(t);
}

/* One step, in which every server says the same. */
static void
step(struct trail *t, const uint8_t *data, size_t size)
{
	static struct dns_reply top = { .soa = true }, hosts = { .nhosts = 2 };

	switch (t->step) {
	case TRAIL_ZONE:
		check_name(t->at);
		trail_got_zone(t, RESOLVE_OK, &top, "");
		return;
	case TRAIL_HOSTS:
		snprintf(hosts.host[0], 256, "ns1.example");
		snprintf(hosts.host[1], 256, "ns2.example");
		trail_got_hosts(t, RESOLVE_OK, &hosts, "");
		return;
	case TRAIL_ADDRESSES:
		know_servers(t);
		return;
	case TRAIL_SERVERS:
		for (size_t i = 0; i < t->nasked; i++)
			trail_got_reply(t, i, data, i == 1 ? size / 2 : size);
		trail_heard_all(t);
		return;
	case TRAIL_CUT:
		trail_got_cut(t, data, size);
		return;
	case TRAIL_DONE:
		return;
	}
}

static void
follow_trail(const uint8_t *data, size_t size)
{
	static struct trail t;
	char text[] = "value", *value[] = { text }, why[256];
	int steps = 0, seen;

	trail_begin(&t, NAME);
	while (t.step != TRAIL_DONE) {
		check(steps++ < 6 * (TRAIL_TURNS_MAX + 2));
		check_name(t.answer.name);
		check(dns_name_is_within(t.answer.name, t.answer.zone));
		step(&t, data, size);
	}
	check((t.answer.result == RESOLVE_FAIL) == (t.answer.error[0] != '\0'));
	check_sentence(t.answer.error);
	check(t.answer.nservers <= AUTHORITY_SERVERS_MAX);
	seen = visible(&t.answer, value, 1, why, sizeof(why));
	check((seen == 1) == (why[0] == '\0'));
	check(seen == 0 || t.answer.result == RESOLVE_OK);
	check_sentence(why);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type more[] = { DNS_TXT, DNS_NS, DNS_SOA };
	struct resolve_answer answer;
	struct question a, aaaa, caa, other;

	ask(&a, DNS_A, data, size);
	ask(&aaaa, DNS_AAAA, data, size);
	ask(&caa, DNS_CAA, data, size);
	question_fill(&answer, &a, &aaaa, &caa);
	judge(&answer);
	question_clear(&a);
	question_clear(&aaaa);
	question_clear(&caa);
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		ask(&other, more[i], data, size);
		question_clear(&other);
	}
	follow_trail(data, size);
	return 0;
}
