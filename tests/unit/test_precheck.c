#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/precheck.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A list from "a b c"; the text is kept in the list's own memory. */
struct words {
	char text[512];
	char *item[16];
	struct conf_list list;
};

static const struct conf_list *
words(struct words *w, const char *text)
{
	char *p = w->text, *word;

	snprintf(w->text, sizeof(w->text), "%s", text);
	w->list.item = w->item;
	w->list.n = 0;
	while ((word = strsep(&p, " ")) != NULL)
		if (*word != '\0')
			w->item[w->list.n++] = word;
	return &w->list;
}

/* What a case says of DNS, in one line each. */
struct dns {
	const char *addresses, *chain;
	enum resolve_result a, aaaa;
};

static void
answer(struct resolve_answer *out, const struct dns *dns)
{
	struct words w;

	memset(out, 0, sizeof(*out));
	out->a = dns->a;
	out->aaaa = dns->aaaa;
	out->caa = RESOLVE_NONE;
	words(&w, dns->addresses);
	for (size_t i = 0; i < w.list.n; i++)
		snprintf(out->address[out->naddresses++], 46, "%s", w.item[i]);
	words(&w, dns->chain);
	for (size_t i = 0; i < w.list.n; i++)
		snprintf(out->cname[out->ncnames++], 256, "%s", w.item[i]);
	if (dns->a == RESOLVE_FAIL || dns->aaaa == RESOLVE_FAIL)
		snprintf(out->error, sizeof(out->error), "SERVFAIL");
}

#define OK RESOLVE_OK
#define NONE RESOLVE_NONE
#define FAIL RESOLVE_FAIL
#define L40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L60 L40 "aaaaaaaaaaaaaaaaaaaa"
#define FLEET "198.51.100.7 2001:db8::7 edge.example"

static const struct {
	const char *name, *targets;
	struct dns dns;
	enum precheck_verdict verdict;
	const char *text; /* "": none */
} cases[] = {
	/* A wildcard is proven by dns-01, wherever its base points. */
	{ "*.shop.example", FLEET, { "203.0.113.9", "", OK, NONE }, PRECHECK_OK,
	    "" },
	{ "*.shop.example", FLEET, { "", "", FAIL, FAIL }, PRECHECK_OK, "" },
	{ "*." L60 "." L60 "." L60 ".abcde." L40 ".example", FLEET,
	    { "", "", NONE, NONE }, PRECHECK_OK, "" },
	{ "*." L60 "." L60 "." L60 ".abcdef." L40 ".example", FLEET,
	    { "", "", NONE, NONE }, PRECHECK_PENDING,
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...aaaaaaaaaaaaaaaaaaaaaaaaaa."
	    "example is too long for a wildcard: 237 characters are possible, "
	    "so that there is room for the TXT record below it" },
	/* Ours. */
	{ "www.shop.example", FLEET, { "198.51.100.7", "", OK, NONE },
	    PRECHECK_OK, "" },
	{ "www.shop.example", FLEET,
	    { "198.51.100.7 2001:0DB8:0::7", "", OK, OK }, PRECHECK_OK, "" },
	{ "www.shop.example", "198.51.100.0/24",
	    { "198.51.100.255 198.51.100.0", "", OK, NONE }, PRECHECK_OK, "" },
	{ "www.shop.example", "2001:db8::/33",
	    { "2001:db8:7fff::1", "", NONE, OK }, PRECHECK_OK, "" },
	{ "www.shop.example", "0.0.0.0/0", { "203.0.113.9", "", OK, NONE },
	    PRECHECK_OK, "" },
	{ "www.shop.example", "::ffff:198.51.100.7",
	    { "198.51.100.7", "", OK, NONE }, PRECHECK_OK, "" },
	{ "www.shop.example", "::ffff:198.51.100.0/120",
	    { "198.51.100.9", "", OK, NONE }, PRECHECK_OK, "" },
	{ "www.shop.example", "198.51.100.7",
	    { "::ffff:198.51.100.7", "", NONE, OK }, PRECHECK_OK, "" },
	{ "*.shop.example", FLEET, { "198.51.100.7", "", OK, NONE },
	    PRECHECK_OK, "" },
	/* By name: in the chain, itself, or by what the name resolves to. */
	{ "www.shop.example", "edge.example",
	    { "203.0.113.9", "cdn.example EDGE.example.", OK, NONE },
	    PRECHECK_OK, "" },
	{ "www.shop.example", "edge.example.",
	    { "203.0.113.9", "edge.example", OK, NONE }, PRECHECK_OK, "" },
	{ "edge.example", "edge.example", { "203.0.113.9", "", OK, NONE },
	    PRECHECK_OK, "" },
	{ "shop.example", "edge.example", { "192.0.2.80", "", OK, NONE },
	    PRECHECK_OK, "" },
	/* One that only ends in our name is not ours. */
	{ "www.shop.example", "edge.example",
	    { "203.0.113.9", "evil-edge.example", OK, NONE }, PRECHECK_PROBE,
	    "www.shop.example points to 203.0.113.9 (by a CNAME to "
	    "evil-edge.example); expected a CNAME to edge.example" },
	/* Elsewhere. */
	{ "www.shop.example", FLEET, { "203.0.113.9", "", OK, NONE },
	    PRECHECK_PROBE,
	    "www.shop.example points to 203.0.113.9; expected 198.51.100.7 "
	    "or a CNAME to edge.example" },
	{ "www.shop.example", "198.51.100.0/25",
	    { "198.51.100.128", "", OK, NONE }, PRECHECK_PROBE,
	    "www.shop.example points to 198.51.100.128; expected "
	    "198.51.100.0/25" },
	{ "www.shop.example", "198.51.100.7", { "2001:db8::5", "", NONE, OK },
	    PRECHECK_PROBE,
	    "www.shop.example points to 2001:db8::5; expected 198.51.100.7" },
	/* Beside ours. */
	{ "www.shop.example", FLEET, { "198.51.100.7 2001:db8::5", "", OK, OK },
	    PRECHECK_PENDING,
	    "www.shop.example also has AAAA 2001:db8::5, which is not ours: "
	    "remove it, the CA prefers IPv6" },
	{ "www.shop.example", FLEET,
	    { "198.51.100.7 203.0.113.9", "", OK, NONE }, PRECHECK_PENDING,
	    "www.shop.example also has A 203.0.113.9, which is not ours: "
	    "remove it, the CA may use any address" },
	{ "www.shop.example", FLEET,
	    { "203.0.113.9 198.51.100.7 2001:db8::5", "", OK, OK },
	    PRECHECK_PENDING,
	    "www.shop.example also has AAAA 2001:db8::5 and 1 more, which are "
	    "not ours: remove them, the CA prefers IPv6" },
	/* A known stray is enough, whatever the other question came to. */
	{ "www.shop.example", FLEET,
	    { "198.51.100.7 203.0.113.9", "", OK, FAIL }, PRECHECK_PENDING,
	    "www.shop.example also has A 203.0.113.9, which is not ours: "
	    "remove it, the CA may use any address" },
	/* Nothing there. */
	{ "www.shop.example", FLEET, { "", "", NONE, NONE }, PRECHECK_PENDING,
	    "www.shop.example does not exist in DNS yet; create a CNAME to "
	    "edge.example or an A record 198.51.100.7" },
	{ "shop.example", "2001:db8::7", { "", "", NONE, NONE },
	    PRECHECK_PENDING,
	    "shop.example does not exist in DNS yet; create an AAAA record "
	    "2001:db8::7" },
	{ "shop.example", "198.51.100.0/24", { "", "", NONE, NONE },
	    PRECHECK_PENDING,
	    "shop.example does not exist in DNS yet; create an address record "
	    "in 198.51.100.0/24" },
	{ "www.shop.example", "edge.example", { "", "old.example", NONE, NONE },
	    PRECHECK_PENDING,
	    "www.shop.example is a CNAME to old.example, which has no "
	    "address; expected a CNAME to edge.example" },
	/* No answer is no knowledge. */
	{ "www.shop.example", FLEET, { "", "", FAIL, FAIL }, PRECHECK_AGAIN,
	    "DNS does not answer for www.shop.example: SERVFAIL" },
	{ "www.shop.example", FLEET, { "", "", NONE, FAIL }, PRECHECK_AGAIN,
	    "DNS does not answer for www.shop.example: SERVFAIL" },
	{ "www.shop.example", FLEET, { "198.51.100.7", "", OK, FAIL },
	    PRECHECK_AGAIN,
	    "DNS does not answer for www.shop.example: SERVFAIL" },
	/* Nothing to compare with: a probe tells, where there is something. */
	{ "www.shop.example", "", { "198.51.100.7", "", OK, NONE },
	    PRECHECK_PROBE,
	    "www.shop.example points to 198.51.100.7; no dns targets are set, "
	    "so only a probe can tell whether that leads here" },
	{ "www.shop.example", "", { "", "", NONE, NONE }, PRECHECK_PENDING,
	    "www.shop.example does not exist in DNS yet; create a record that "
	    "leads here" },
	{ "www.shop.example", "", { "", "", FAIL, FAIL }, PRECHECK_AGAIN,
	    "DNS does not answer for www.shop.example: SERVFAIL" },
	/* A target that is neither address, network nor name matches none. */
	{ "www.shop.example", "198.51.100.7/33",
	    { "198.51.100.7", "", OK, NONE }, PRECHECK_PROBE,
	    "www.shop.example points to 198.51.100.7; expected a CNAME to "
	    "198.51.100.7/33" },
};

static const char resolved[][46] = { "192.0.2.80", "2001:db8:80::1" };

static void
every_address_must_be_ours(void **state)
{
	const struct conf_list none = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct resolve_answer a;
		struct words w;
		struct err e;

		answer(&a, &cases[i].dns);
		assert_int_equal(
		    precheck(cases[i].name, &a, words(&w, cases[i].targets),
			resolved, COUNT(resolved), &none, &e),
		    cases[i].verdict);
		assert_string_equal(e.text, cases[i].text);
	}
}

static void
a_sentence_never_loses_its_end_to_long_names(void **state)
{
	const struct conf_list none = { 0 };
	struct dns dns = { "203.0.113.9", "", OK, NONE };
	struct resolve_answer a;
	char name[254], target[254];
	struct words w;
	struct err e;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	memset(target, 't', sizeof(target) - 1);
	name[253] = target[253] = '\0';
	answer(&a, &dns);
	memset(a.cname[0], '\n', 255);
	a.ncnames = 1;
	precheck(name, &a, words(&w, target), NULL, 0, &none, &e);
	assert_null(strchr(e.text, '\n'));
	a.ncnames = 0;
	precheck(name, &a, words(&w, target), NULL, 0, &none, &e);
	assert_non_null(strstr(e.text, "; expected a CNAME to ttt"));
	assert_string_equal(e.text + strlen(e.text) - 3, "ttt");
}

/* Sets are written "flag tag value|flag tag value". */
static void
caa(struct resolve_answer *a, const char *set)
{
	char copy[512], *p = copy, *record;

	memset(a, 0, sizeof(*a));
	a->caa = *set != '\0' ? RESOLVE_OK : RESOLVE_NONE;
	snprintf(a->caa_name, sizeof(a->caa_name), "shop.example");
	snprintf(copy, sizeof(copy), "%s", set);
	while ((record = strsep(&p, "|")) != NULL && *record != '\0') {
		struct resolve_caa *c = &a->caas[a->ncaas++];

		c->critical = *strsep(&record, " ") == '1';
		snprintf(c->tag, sizeof(c->tag), "%s", strsep(&record, " "));
		snprintf(c->value, sizeof(c->value), "%s", record);
	}
}

#define ADD "; add: shop.example. CAA 0 issue \"letsencrypt.org\""

static const struct {
	const char *name, *set, *text; /* text "": may issue */
} sets[] = {
	{ "shop.example", "", "" },
	{ "shop.example", "0 issue letsencrypt.org", "" },
	{ "shop.example", "0 ISSUE LetsEncrypt.ORG", "" },
	{ "shop.example", "1 issue  \t letsencrypt.org \t", "" },
	{ "shop.example", "0 issue other.test", "" },
	{ "shop.example", "0 iodef mailto:a@b.example", "" },
	{ "shop.example", "0 issue digicert.com|0 issue letsencrypt.org", "" },
	{ "shop.example", "0 issue ;|0 issue letsencrypt.org", "" },
	{ "shop.example", "0 issue digicert.com",
	    "CAA of shop.example allows only \"digicert.com\"" ADD },
	{ "shop.example", "0 issue digicert.com; a=b|0 issue sectigo.com",
	    "CAA of shop.example allows only \"digicert.com\"" ADD },
	{ "shop.example", "0 issue ;",
	    "CAA of shop.example allows no CA at all" ADD },
	{ "shop.example", "0 issue ",
	    "CAA of shop.example allows no CA at all" ADD },
	/* A longer name is another CA. */
	{ "shop.example", "0 issue letsencrypt.org.evil.example",
	    "CAA of shop.example allows only "
	    "\"letsencrypt.org.evil.example\"" ADD },
	/* issuewild rules wildcards alone, and only them. */
	{ "shop.example", "0 issuewild digicert.com", "" },
	{ "*.shop.example", "0 issue letsencrypt.org", "" },
	{ "*.shop.example", "0 issue digicert.com",
	    "CAA of shop.example allows only \"digicert.com\"" ADD },
	{ "*.shop.example", "0 issue letsencrypt.org|0 issuewild ;",
	    "CAA of shop.example allows no CA at all; add: shop.example. CAA "
	    "0 issuewild \"letsencrypt.org\"" },
	{ "*.shop.example", "0 issue ;|0 issuewild letsencrypt.org", "" },
	/* Critical. */
	{ "shop.example", "0 tbs x|0 issue letsencrypt.org", "" },
	{ "shop.example", "0 issue letsencrypt.org|1 tbs x",
	    "CAA of shop.example has the critical tag \"tbs\", which the CA "
	    "does not know: remove that record" },
	{ "shop.example", "1 iodef mailto:a@b.example", "" },
	/* Parameters, RFC 8657. */
	{ "shop.example",
	    "0 issue letsencrypt.org; validationmethods=dns-01,http-01", "" },
	{ "shop.example",
	    "0 issue letsencrypt.org;validationmethods = http-01;", "" },
	{ "shop.example", "0 issue letsencrypt.org; validationmethods=dns-01",
	    "CAA of shop.example allows \"letsencrypt.org\" only with "
	    "validationmethods=dns-01; expected http-01 among them" },
	{ "*.shop.example", "0 issue letsencrypt.org; validationmethods=dns-01",
	    "" },
	{ "shop.example",
	    "0 issue letsencrypt.org; validationmethods=xhttp-01,http-012",
	    "CAA of shop.example allows \"letsencrypt.org\" only with "
	    "validationmethods=xhttp-01,http-012; expected http-01 among "
	    "them" },
	{ "shop.example",
	    "0 issue letsencrypt.org; validationmethods=dns-01|"
	    "0 issue letsencrypt.org; validationmethods=http-01",
	    "" },
	{ "shop.example",
	    "0 issue letsencrypt.org; accounturi=https://ca.example/acct/1",
	    "" },
	/* Malformed names nobody. */
	{ "shop.example", "0 issue letsencrypt.org; novalue",
	    "CAA of shop.example allows no CA at all" ADD },
	{ "shop.example", "0 issue lets encrypt.org",
	    "CAA of shop.example allows no CA at all" ADD },
	{ "shop.example", "0 issue letsencrypt.org; =x",
	    "CAA of shop.example allows no CA at all" ADD },
	{ "shop.example", "0 issue letsencrypt.org; a=b c",
	    "CAA of shop.example allows no CA at all" ADD },
	{ "shop.example",
	    "0 issue letsencrypt.org; validationmethods=http-01; "
	    "validationmethods=http-01",
	    "CAA of shop.example allows no CA at all" ADD },
};

static void
caa_decides_who_may_issue(void **state)
{
	struct words w;
	const struct conf_list *ids = words(&w, "letsencrypt.org other.test");

	(void)state;
	for (size_t i = 0; i < COUNT(sets); i++) {
		struct err e = { 0 };
		struct resolve_answer a;

		caa(&a, sets[i].set);
		assert_int_equal(precheck_caa(sets[i].name, &a, ids, &e),
		    sets[i].text[0] == '\0' ? 0 : -1);
		assert_string_equal(e.text, sets[i].text);
	}
}

static void
caa_that_cannot_be_read_is_tried_again(void **state)
{
	const struct conf_list none = { 0 };
	struct words w, ids;
	struct resolve_answer a;
	struct err e;

	(void)state;
	answer(&a, &(struct dns){ "198.51.100.7", "", OK, NONE });
	a.caa = RESOLVE_FAIL;
	words(&w, FLEET);
	assert_int_equal(precheck("shop.example", &a, &w.list, NULL, 0,
			     words(&ids, "letsencrypt.org"), &e),
	    PRECHECK_AGAIN);
	assert_int_equal(e.kind, ERR_AGAIN);
	/* Without an identity it is not judged. */
	assert_int_equal(
	    precheck("shop.example", &a, &w.list, NULL, 0, &none, &e),
	    PRECHECK_OK);
}

static void
caa_matters_only_where_an_order_would_come(void **state)
{
	static const struct {
		struct dns dns;
		enum precheck_verdict verdict;
	} table[] = {
		{ { "198.51.100.7", "", OK, NONE }, PRECHECK_CAA },
		{ { "203.0.113.9", "", OK, NONE }, PRECHECK_CAA },
		{ { "", "", NONE, NONE }, PRECHECK_PENDING },
		{ { "198.51.100.7 203.0.113.9", "", OK, NONE },
		    PRECHECK_PENDING },
		{ { "", "", FAIL, FAIL }, PRECHECK_AGAIN },
	};
	struct words w, ids;

	(void)state;
	words(&w, FLEET);
	words(&ids, "letsencrypt.org");
	for (size_t i = 0; i < COUNT(table); i++) {
		struct resolve_answer a, set;
		struct err e;

		answer(&a, &table[i].dns);
		caa(&set, "0 issue digicert.com");
		a.caa = RESOLVE_OK;
		a.ncaas = set.ncaas;
		a.caas[0] = set.caas[0];
		snprintf(a.caa_name, sizeof(a.caa_name), "shop.example");
		assert_int_equal(precheck("shop.example", &a, &w.list, NULL, 0,
				     &ids.list, &e),
		    table[i].verdict);
		assert_int_equal(e.kind, table[i].verdict == PRECHECK_AGAIN
					     ? ERR_AGAIN
					     : ERR_REFUSED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_address_must_be_ours),
		cmocka_unit_test(a_sentence_never_loses_its_end_to_long_names),
		cmocka_unit_test(caa_decides_who_may_issue),
		cmocka_unit_test(caa_that_cannot_be_read_is_tried_again),
		cmocka_unit_test(caa_matters_only_where_an_order_would_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
