#include "sync/precheck.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/str.h"

/*
 * A sentence has 255 characters and may have to hold two names of 253: longer
 * ones lose their middle.
 */
#define SHOWN_MAX 72
#define WANTED_MAX 112

/* RFC 1035's 253 characters, less "_acme-challenge." */
#define BASE_MAX 237

/* An address or a network; IPv4 in IPv6 (::ffff:0:0/96) is IPv4. */
struct net {
	int family;
	unsigned int bits;
	uint8_t b[16];
};

/* What precheck() was asked, for those who look at one part of it. */
struct question {
	const char *name; /* a wildcard's base */
	const struct resolve_answer *answer;
	const struct conf_list *targets;
	const char (*target_addresses)[46];
	size_t ntarget_addresses;
};

/* What the addresses come to. */
struct tally {
	size_t ours, strays;
	const char *stray; /* the first, IPv6 preferred as the CA does */
};

static enum precheck_verdict judge(const struct question *, struct err *);
static enum precheck_verdict judge_wildcard(
    const struct question *, struct err *);
static struct tally count(const struct question *);
static bool is_ours(const struct question *, const char *address);
static bool leads_to_target(const struct question *);

static const char *
base(const char *name)
{
	return str_has_prefix(name, "*.") ? name + 2 : name;
}

static bool
same_name(const char *a, const char *b)
{
	size_t alen = strlen(a), blen = strlen(b);

	if (alen > 0 && a[alen - 1] == '.')
		alen--;
	if (blen > 0 && b[blen - 1] == '.')
		blen--;
	return alen > 0 && alen == blen && strncasecmp(a, b, alen) == 0;
}

/* Foreign text, made fit for a sentence: printable, and not too long. */
static const char *
show(char out[static SHOWN_MAX], const char *text)
{
	char clean[4 * 256];
	size_t len, tail = SHOWN_MAX / 2 - 2;

	str_printable(clean, sizeof(clean), text, strlen(text));
	len = strlen(clean);
	if (len < SHOWN_MAX)
		memcpy(out, clean, len + 1);
	else
		snprintf(out, SHOWN_MAX, "%.*s...%.*s", SHOWN_MAX / 2 - 2,
		    clean, (int)tail, clean + len - tail);
	return out;
}

static int
net_parse(struct net *n, const char *text)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const char *slash = strchr(text, '/');
	char address[INET6_ADDRSTRLEN];
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	int64_t bits;

	if (len >= sizeof(address))
		return -1;
	memcpy(address, text, len);
	address[len] = '\0';
	memset(n, 0, sizeof(*n));
	n->family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(n->family, address, n->b) != 1)
		return -1;
	bits = n->family == AF_INET6 ? 128 : 32;
	if (slash != NULL && str_int(slash + 1, 0, bits, &bits) == -1)
		return -1;
	if (n->family == AF_INET6 && bits >= 96 &&
	    memcmp(n->b, mapped, sizeof(mapped)) == 0) {
		n->family = AF_INET;
		memmove(n->b, n->b + sizeof(mapped), 4);
		bits -= 96;
	}
	n->bits = (unsigned int)bits;
	return 0;
}

static bool
net_has(const struct net *n, const struct net *address)
{
	size_t whole = n->bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> n->bits % 8);

	if (n->family != address->family)
		return false;
	if (memcmp(n->b, address->b, whole) != 0)
		return false;
	return n->bits % 8 == 0 ||
	       (n->b[whole] & mask) == (address->b[whole] & mask);
}

/*
 * What would be right, as "198.51.100.7 or a CNAME to edge.example": the first
 * target of each kind.  In a request to create (what does not exist) the
 * address gets its record type.
 */
static void
wanted(
    char out[static WANTED_MAX], const struct conf_list *targets, bool create)
{
	const char *name = NULL, *address = NULL, *word = "";
	char shown[SHOWN_MAX];
	struct net n;

	for (size_t i = 0; i < targets->n; i++) {
		if (net_parse(&n, targets->item[i]) == -1) {
			if (name == NULL)
				name = targets->item[i];
		} else if (address == NULL) {
			address = targets->item[i];
			if (create)
				word = n.family == AF_INET ? "an A record "
				                           : "an AAAA record ";
		}
	}
	if (address != NULL && create && strchr(address, '/') != NULL)
		word = "an address record in ";
	if (name != NULL)
		show(shown, name);
	if (name == NULL && address == NULL)
		snprintf(out, WANTED_MAX, "%s", "a record that leads here");
	else if (name == NULL)
		snprintf(out, WANTED_MAX, "%s%s", word, address);
	else if (address == NULL)
		snprintf(out, WANTED_MAX, "a CNAME to %s", shown);
	else if (create)
		snprintf(out, WANTED_MAX, "a CNAME to %s or %s%s", shown, word,
		    address);
	else
		snprintf(
		    out, WANTED_MAX, "%s or a CNAME to %s", address, shown);
}

enum precheck_verdict
precheck(const char *name, const struct resolve_answer *answer,
    const struct conf_list *targets, const char (*target_addresses)[46],
    size_t ntarget_addresses, const struct conf_list *caa_identities,
    struct err *e)
{
	const struct question q = { base(name), answer, targets,
		target_addresses, ntarget_addresses };
	/* A wildcard is proven by dns-01, wherever its base points. */
	enum precheck_verdict verdict =
	    str_has_prefix(name, "*.") ? judge_wildcard(&q, e) : judge(&q, e);
	struct err caa = { 0 };

	/* Where there is no order to come, CAA is not the owner's first care. */
	if (verdict != PRECHECK_OK && verdict != PRECHECK_PROBE)
		return verdict;
	if (precheck_caa(name, answer, caa_identities, &caa) == 0)
		return verdict;
	*e = caa;
	return caa.kind == ERR_AGAIN ? PRECHECK_AGAIN : PRECHECK_CAA;
}

/* There is no address: why, and what to do. */
static void
explain_none(const struct question *q, struct err *e)
{
	const struct resolve_answer *a = q->answer;
	char name[SHOWN_MAX], last[SHOWN_MAX], want[WANTED_MAX];

	show(name, q->name);
	wanted(want, q->targets, a->ncnames == 0);
	if (a->ncnames == 0)
		err_set(e, ERR_REFUSED,
		    "%s does not exist in DNS yet; create %s", name, want);
	else
		err_set(e, ERR_REFUSED,
		    "%s is a CNAME to %s, which has no address; expected %s",
		    name, show(last, a->cname[a->ncnames - 1]), want);
}

static void
explain_elsewhere(const struct question *q, const char *stray, struct err *e)
{
	const struct resolve_answer *a = q->answer;
	char name[SHOWN_MAX], last[SHOWN_MAX], want[WANTED_MAX];

	show(name, q->name);
	if (q->targets->n == 0) {
		err_set(e, ERR_REFUSED,
		    "%s points to %s; no dns targets are set, so only a probe "
		    "can tell whether that leads here",
		    name, stray);
		return;
	}
	wanted(want, q->targets, false);
	if (a->ncnames == 0)
		err_set(e, ERR_REFUSED, "%s points to %s; expected %s", name,
		    stray, want);
	else
		err_set(e, ERR_REFUSED,
		    "%s points to %s (by a CNAME to %s); expected %s", name,
		    stray, show(last, a->cname[a->ncnames - 1]), want);
}

static void
explain_stray(const struct question *q, const struct tally *t, struct err *e)
{
	bool v6 = strchr(t->stray, ':') != NULL;
	char name[SHOWN_MAX], more[32] = "";

	if (t->strays > 1)
		snprintf(more, sizeof(more), " and %zu more", t->strays - 1);
	err_set(e, ERR_REFUSED,
	    "%s also has %s %s%s, which %s not ours: remove %s, the CA %s",
	    show(name, q->name), v6 ? "AAAA" : "A", t->stray, more,
	    t->strays > 1 ? "are" : "is", t->strays > 1 ? "them" : "it",
	    v6 ? "prefers IPv6" : "may use any address");
}

static enum precheck_verdict
judge(const struct question *q, struct err *e)
{
	const struct resolve_answer *a = q->answer;
	bool unsure = a->a == RESOLVE_FAIL || a->aaaa == RESOLVE_FAIL;
	struct tally t = count(q);
	char name[SHOWN_MAX];

	memset(e, 0, sizeof(*e));
	if (t.ours > 0 && t.strays > 0) {
		explain_stray(q, &t, e);
		return PRECHECK_PENDING;
	}
	if (unsure && t.strays == 0) {
		err_set(e, ERR_AGAIN, "DNS does not answer for %s: %s",
		    show(name, q->name), a->error);
		return PRECHECK_AGAIN;
	}
	if (t.ours > 0)
		return PRECHECK_OK;
	if (t.strays > 0) {
		explain_elsewhere(q, t.stray, e);
		return PRECHECK_PROBE;
	}
	explain_none(q, e);
	return PRECHECK_PENDING;
}

/* There has to be room for the TXT record's name (RFC 8555 section 8.4). */
static enum precheck_verdict
judge_wildcard(const struct question *q, struct err *e)
{
	char name[SHOWN_MAX];

	memset(e, 0, sizeof(*e));
	if (strlen(q->name) <= BASE_MAX)
		return PRECHECK_OK;
	err_set(e, ERR_REFUSED,
	    "%s is too long for a wildcard: %d characters are possible, so "
	    "that there is room for the TXT record below it",
	    show(name, q->name), BASE_MAX);
	return PRECHECK_PENDING;
}

static struct tally
count(const struct question *q)
{
	const struct resolve_answer *a = q->answer;
	bool all = leads_to_target(q);
	struct tally t = { 0, 0, NULL };

	for (size_t i = 0; i < a->naddresses; i++) {
		if (all || is_ours(q, a->address[i])) {
			t.ours++;
			continue;
		}
		t.strays++;
		if (t.stray == NULL || (strchr(t.stray, ':') == NULL &&
					   strchr(a->address[i], ':') != NULL))
			t.stray = a->address[i];
	}
	return t;
}

static bool
is_ours(const struct question *q, const char *address)
{
	struct net found, n;

	if (net_parse(&found, address) == -1)
		return false;
	for (size_t i = 0; i < q->targets->n; i++)
		if (net_parse(&n, q->targets->item[i]) == 0 &&
		    net_has(&n, &found))
			return true;
	for (size_t i = 0; i < q->ntarget_addresses; i++)
		if (net_parse(&n, q->target_addresses[i]) == 0 &&
		    net_has(&n, &found))
			return true;
	return false;
}

bool
precheck_ours(const char *name, const struct resolve_answer *answer,
    const char *address, const struct conf_list *targets,
    const char (*target_addresses)[46], size_t ntarget_addresses)
{
	const struct question q = { base(name), answer, targets,
		target_addresses, ntarget_addresses };

	return leads_to_target(&q) || is_ours(&q, address);
}

/* True when the name is, or by CNAME comes to, a name of the fleet. */
static bool
leads_to_target(const struct question *q)
{
	const struct resolve_answer *a = q->answer;

	for (size_t i = 0; i < q->targets->n; i++) {
		if (same_name(q->name, q->targets->item[i]))
			return true;
		for (size_t j = 0; j < a->ncnames; j++)
			if (same_name(a->cname[j], q->targets->item[i]))
				return true;
	}
	return false;
}
