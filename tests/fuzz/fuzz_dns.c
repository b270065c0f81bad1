/*
 * DNS replies: whatever the bytes, what comes out is in bounds, printable and
 * hangs together, the question ends within a known number of replies, and the
 * judgement over it is one sentence.
 */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sync/precheck.h"
#include "sync/question.h"

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

static void
check_reply(const struct dns_reply *r, enum dns_type type)
{
	uint8_t address[16];

	check(r->ncnames <= RESOLVE_CNAMES_MAX);
	check(r->naddresses <= RESOLVE_ADDRESSES_MAX);
	check(r->ncaas <= RESOLVE_CAA_MAX);
	check(type == DNS_CAA ? r->naddresses == 0 : r->ncaas == 0);
	for (size_t i = 0; i < r->ncnames; i++) {
		check_name(r->cname[i]);
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolve_answer answer;
	struct question a, aaaa, caa;

	ask(&a, DNS_A, data, size);
	ask(&aaaa, DNS_AAAA, data, size);
	ask(&caa, DNS_CAA, data, size);
	question_fill(&answer, &a, &aaaa, &caa);
	judge(&answer);
	question_clear(&a);
	question_clear(&aaaa);
	question_clear(&caa);
	return 0;
}
