#include "sync/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain.h"
#include "common/mem.h"
#include "sync/acme.h"
#include "sync/authz.h"
#include "sync/chain.h"
#include "sync/rfc3339.h"

#define CHAIN_MAX (64 * 1024)
#define PAUSE_FIRST_MS 250
#define PAUSE_MAX_MS 3000

static int ask_new(struct order *, struct ask *, struct err *);
static int got_new(struct order *, const struct reply *, struct err *);
static int ask_authz(struct order *, struct ask *, struct err *);
static int got_authz(struct order *, const struct reply *, struct err *);
static int ask_present(struct order *, struct ask *, struct err *);
static int got_present(struct order *, const struct reply *, struct err *);
static int ask_answer(struct order *, struct ask *, struct err *);
static int got_answer(struct order *, const struct reply *, struct err *);
static int ask_check(struct order *, struct ask *, struct err *);
static int got_check(struct order *, const struct reply *, struct err *);
static int ask_poll(struct order *, struct ask *, struct err *);
static int ask_finalize(struct order *, struct ask *, struct err *);
static int got_finalize(struct order *, const struct reply *, struct err *);
static int got_order(struct order *, const struct reply *, struct err *);
static int ask_download(struct order *, struct ask *, struct err *);
static int got_download(struct order *, const struct reply *, struct err *);

/*
 * An order is a dialogue.  In each state there is one thing to ask for and
 * one way to take the reply:
 *
 *	NEW -> AUTHZ[0], AUTHZ[1]... -> PRESENT[i] -> ANSWER[i] -> CHECK[i]
 *	    -> FINALIZE -> POLL -> DOWNLOAD -> DONE
 *
 * TXT records of dns-01 are there for all authorizations before the first is
 * answered: that takes long, or a person's time, and names may share a record.
 *
 * Every reply that carries the order object goes through follow(), so that
 * the CA's status alone decides where we are.  A saved order resumes in POLL
 * for the same reason: whatever was lost, the CA knows.
 */
static const struct {
	const char *name;
	int (*ask)(struct order *, struct ask *, struct err *);
	int (*got)(struct order *, const struct reply *, struct err *);
} states[ORDER_STATES] = {
	/* clang-format off */
	[ORDER_NEW]      = { "new",      ask_new,      got_new },
	[ORDER_AUTHZ]    = { "authz",    ask_authz,    got_authz },
	[ORDER_PRESENT]  = { "present",  ask_present,  got_present },
	[ORDER_ANSWER]   = { "answer",   ask_answer,   got_answer },
	[ORDER_CHECK]    = { "check",    ask_check,    got_check },
	[ORDER_POLL]     = { "poll",     ask_poll,     got_order },
	[ORDER_FINALIZE] = { "finalize", ask_finalize, got_finalize },
	[ORDER_DOWNLOAD] = { "download", ask_download, got_download },
	[ORDER_DONE]     = { "done",     NULL,         NULL },
	/* clang-format on */
};

const char *
order_state_name(enum order_state s)
{
	return states[s].name;
}

/* What the owner must read stays a plain sentence; the rest says where. */
static int
failed(const struct order *o, struct err *e)
{
	if (e->kind == ERR_REFUSED)
		return -1;
	return err_prefix(e, "order, %s", states[o->state].name);
}

int
order_ask(struct order *o, struct ask *ask, struct err *e)
{
	*ask = (struct ask){ .what = ASK_NOTHING };
	if (o->state == ORDER_DONE)
		return 0;
	return states[o->state].ask(o, ask, e) == -1 ? failed(o, e) : 0;
}

int
order_got(struct order *o, const struct reply *r, struct err *e)
{
	if (o->state == ORDER_DONE)
		return 0;
	o->wait_ms = r != NULL ? r->retry_ms : 0;
	return states[o->state].got(o, r, e) == -1 ? failed(o, e) : 0;
}

static void
enter(struct order *o, enum order_state s, unsigned int polls)
{
	o->state = s;
	o->polls = polls;
}

void
order_resume(struct order *o)
{
	if (o->state == ORDER_DONE)
		return;
	o->state = o->url != NULL ? ORDER_POLL : ORDER_NEW;
	o->resumed = o->url != NULL;
	o->current = 0;
	o->polls = 0;
	o->wait_ms = 0;
	chain_forget(o);
}

/*
 * What a CA says to "replaces": RFC 9773 section 5, and what CAs really say.
 * The cause may be our own order whose reply was lost.
 */
static bool
about_replaces(const struct err *e)
{
	static const char *const types[] = { "alreadyReplaced", "conflict",
		"malformed", "notFound", "unauthorized" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], e->type) == 0)
			return true;
	return false;
}

bool
order_refused(struct order *o, const struct err *e)
{
	if (o->state == ORDER_NEW && o->replaces != NULL && about_replaces(e)) {
		o->replaces = NULL;
		o->ari_renewal = false;
		return true;
	}
	if (o->state == ORDER_DOWNLOAD && o->chain != NULL &&
	    e->kind != ERR_AGAIN) {
		o->state = ORDER_DONE;
		return true;
	}
	return false;
}

void
order_refetch(struct order *o)
{
	chain_forget(o);
	enter(o, ORDER_DOWNLOAD, 0);
}

bool
order_dns01(const struct order *o)
{
	for (size_t i = 0; i < o->nnames; i++)
		if (domain_wildcard(o->names[i]))
			return true;
	return false;
}

bool
order_can_persist(const struct order *o)
{
	for (size_t i = 0; i < o->nauthz; i++)
		if (!o->authz[i].valid && o->authz[i].persist == NULL)
			return false;
	return o->nauthz > 0;
}

void
order_persist(struct order *o)
{
	for (size_t i = 0; i < o->nauthz; i++) {
		struct authz *a = &o->authz[i];

		if (a->valid || a->persists)
			continue;
		free(a->challenge_url);
		a->challenge_url = a->persist_url;
		a->persist_url = NULL;
		a->answered = a->persist_answered;
		a->persists = true;
	}
}

const struct authz *
order_authz(const struct order *o)
{
	return &o->authz[o->current < o->nauthz ? o->current : 0];
}

static void
keep(char **dst, const char *src)
{
	char *copy = xstrdup(src);

	free(*dst);
	*dst = copy;
}

/*
 * When to look again: at once where nothing is known, else after the first
 * pause, then with growing ones, unless the CA said when.
 */
static int64_t
pace(const struct order *o)
{
	int64_t pause = o->first_ms > 0 ? o->first_ms : PAUSE_FIRST_MS;

	if (o->wait_ms > 0)
		return o->wait_ms;
	if (o->polls == 0)
		return 0;
	for (unsigned int i = 1; i < o->polls && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

/*
 * The next authorization that is not valid.  With the last one valid the order
 * is ready (section 7.1.6) and needs no look; to a CA that thinks otherwise,
 * and answers orderNotReady, the order comes back as a resumed one.
 */
static void
next_challenge(struct order *o)
{
	const struct authz *a;

	o->wait_ms = 0;
	for (o->current = 0; o->current < o->nauthz; o->current++)
		if (!o->authz[o->current].valid)
			break;
	a = &o->authz[o->current];
	if (o->current == o->nauthz)
		enter(o, o->resumed ? ORDER_POLL : ORDER_FINALIZE, 0);
	else if (!a->present)
		enter(o, ORDER_PRESENT, 0);
	else
		enter(o, a->answered ? ORDER_CHECK : ORDER_ANSWER, 0);
}

/* What is waited for, perhaps by a person, ends with the earliest of these. */
static void
note_expiry(struct order *o, json_t *object)
{
	const char *text =
	    json_string_value(json_object_get(object, "expires"));
	int64_t at;

	if (text != NULL && rfc3339(text, &at) == 0 &&
	    (o->expires == 0 || at < o->expires))
		o->expires = at;
}

/* The list of section 7.1.3, when it is not known yet. */
static int
take_authzs(struct order *o, json_t *order, struct err *e)
{
	json_t *list = json_object_get(order, "authorizations");
	size_t n = json_array_size(list);

	if (o->nauthz > 0)
		return 0;
	if (n > o->nnames || n > ORDER_NAMES_MAX)
		return err_set(e, ERR_BUG,
		    "%zu authorizations for %zu names; one each was expected",
		    n, o->nnames);
	for (size_t i = 0; i < n; i++)
		if (acme_keep_url(&o->authz[i].url, json_array_get(list, i),
			"authorization", e) == -1)
			return -1;
	o->nauthz = n;
	return 0;
}

static void
forget_authzs(struct order *o)
{
	for (size_t i = 0; i < ORDER_NAMES_MAX; i++) {
		free(o->authz[i].url);
		free(o->authz[i].challenge_url);
		free(o->authz[i].persist_url);
		free(o->authz[i].persist);
		free(o->authz[i].token);
		o->authz[i] = (struct authz){ 0 };
	}
	o->nauthz = 0;
	o->current = 0;
	o->expires = 0;
}

/*
 * An invalid order is over.  One that was loaded and has no error ran out of
 * time while we were away: nobody's fault, so start again.
 */
static int
got_invalid(struct order *o, json_t *order, struct err *e)
{
	json_t *problem = json_object_get(order, "error");
	char what[300];

	if (problem == NULL && o->resumed && o->nauthz == 0) {
		forget_authzs(o);
		keep(&o->url, NULL);
		o->resumed = false;
		enter(o, ORDER_NEW, 0);
		return 0;
	}
	snprintf(what, sizeof(what), "CA refused the order for %s",
	    o->nnames > 0 ? o->names[0] : "no name");
	return acme_refusal(e, problem, what);
}

/* RFC 8555 section 7.1.6: the order's status says what happens next. */
static int
follow(struct order *o, json_t *order, struct err *e)
{
	const char *status = acme_status(order);
	json_t *certificate = json_object_get(order, "certificate");

	if (strcmp(status, "invalid") == 0)
		return got_invalid(o, order, e);
	if (acme_keep_url(&o->finalize, json_object_get(order, "finalize"),
		"finalize", e) == -1)
		return -1;
	if (certificate != NULL &&
	    acme_keep_url(&o->certificate, certificate, "certificate", e) == -1)
		return -1;
	o->processing = strcmp(status, "processing") == 0;
	if (strcmp(status, "pending") == 0) {
		note_expiry(o, order);
		if (take_authzs(o, order, e) == -1)
			return -1;
		if (o->nauthz == 0)
			return err_set(e, ERR_BUG,
			    "order is pending without authorizations");
		if (o->current < o->nauthz)
			enter(o, ORDER_AUTHZ, 0);
		else
			enter(o, ORDER_POLL, o->polls + 1);
	} else if (strcmp(status, "ready") == 0) {
		enter(o, ORDER_FINALIZE, 0);
	} else if (strcmp(status, "processing") == 0) {
		enter(o, ORDER_POLL, o->polls + 1);
	} else if (strcmp(status, "valid") == 0) {
		enter(o, ORDER_DOWNLOAD, 0);
	} else {
		return err_set(e, ERR_BUG,
		    "this is not an order object: its status is none");
	}
	return 0;
}

/* Section 7.4: POST newOrder, 201 with the order's URL in Location. */
static int
ask_new(struct order *o, struct ask *ask, struct err *e)
{
	json_t *ids = json_array();

	(void)e;
	for (size_t i = 0; i < o->nnames; i++)
		json_array_append_new(ids, json_pack("{s:s, s:s}", "type",
					       "dns", "value", o->names[i]));
	ask->what = ASK_POST;
	ask->url = "newOrder"; /* resolved by ca.c from the directory */
	ask->payload = json_pack("{s:o}", "identifiers", ids);
	if (o->replaces != NULL)
		json_object_set_new(
		    ask->payload, "replaces", json_string(o->replaces));
	if (o->profile != NULL)
		json_object_set_new(
		    ask->payload, "profile", json_string(o->profile));
	return 0;
}

static int
got_new(struct order *o, const struct reply *r, struct err *e)
{
	json_t *id, *list = json_object_get(r->body, "identifiers");
	const char *name;
	size_t i;

	if (r->location[0] == '\0' || strlen(r->location) >= ACME_URL_MAX)
		return err_set(e, ERR_BUG, "no Location in the reply");
	json_array_foreach (list, i, id) {
		name = json_string_value(json_object_get(id, "value"));
		if (name == NULL || !authz_is_for(name, o->names, o->nnames))
			return err_set(e, ERR_BUG,
			    "CA made an order for a name nobody asked for");
	}
	keep(&o->url, r->location);
	forget_authzs(o);
	return follow(o, r->body, e);
}

/* Section 7.5: POST-as-GET an authorization; a valid one needs no work. */
static int
ask_authz(struct order *o, struct ask *ask, struct err *e)
{
	(void)e;
	ask->what = ASK_POST;
	ask->url = o->authz[o->current].url;
	return 0;
}

static int
got_authz(struct order *o, const struct reply *r, struct err *e)
{
	struct authz *a = &o->authz[o->current];

	if (authz_take_name(a, r->body, o->names, o->nnames, e) == -1)
		return -1;
	a->valid = strcmp(acme_status(r->body), "valid") == 0;
	a->present = false;
	a->dns01 = order_dns01(o);
	if (!a->valid) {
		if (strcmp(acme_status(r->body), "pending") != 0)
			return authz_lost(a, r->body, e);
		if (authz_take_challenge(a, r->body, e) == -1)
			return -1;
		authz_take_persist(a, r->body, o->account);
		note_expiry(o, r->body);
	}
	if (++o->current == o->nauthz)
		next_challenge(o);
	return 0;
}

/* Sections 8.3, 8.4: what proves it must be visible before we answer. */
static int
ask_present(struct order *o, struct ask *ask, struct err *e)
{
	(void)o, (void)e;
	ask->what = ASK_PUBLISH;
	return 0;
}

static int
got_present(struct order *o, const struct reply *r, struct err *e)
{
	struct authz *a = &o->authz[o->current];

	(void)r, (void)e;
	a->present = true;
	for (size_t i = 0; a->dns01 && i < o->nauthz; i++)
		o->authz[i].present = true;
	/* To tell the CA twice is a conflict; it is looking already. */
	if (a->answered)
		enter(o, ORDER_CHECK, 1);
	else
		enter(o, ORDER_ANSWER, 0);
	return 0;
}

/* Section 7.5.1: an empty object says "go and look". */
static int
ask_answer(struct order *o, struct ask *ask, struct err *e)
{
	(void)e;
	ask->what = ASK_POST;
	ask->url = o->authz[o->current].challenge_url;
	ask->payload = json_object();
	return 0;
}

static int
got_answer(struct order *o, const struct reply *r, struct err *e)
{
	(void)r, (void)e;
	o->authz[o->current].answered = true;
	enter(o, ORDER_CHECK, 1);
	return 0;
}

/* The same POST-as-GET, until the CA has made up its mind. */
static int
ask_check(struct order *o, struct ask *ask, struct err *e)
{
	ask->delay_ms = pace(o);
	return ask_authz(o, ask, e);
}

static int
got_check(struct order *o, const struct reply *r, struct err *e)
{
	const char *status = acme_status(r->body);

	if (strcmp(status, "valid") == 0) {
		o->authz[o->current].valid = true;
		next_challenge(o);
	} else if (strcmp(status, "pending") == 0) {
		o->polls++;
	} else {
		return authz_lost(&o->authz[o->current], r->body, e);
	}
	return 0;
}

static int
ask_poll(struct order *o, struct ask *ask, struct err *e)
{
	(void)e;
	ask->what = ASK_POST;
	ask->url = o->url;
	ask->delay_ms = pace(o);
	return 0;
}

static int
ask_finalize(struct order *o, struct ask *ask, struct err *e)
{
	(void)e;
	if (o->csr == NULL) {
		ask->what = ASK_CSR;
		return 0;
	}
	ask->what = ASK_POST;
	ask->url = o->finalize;
	ask->payload = json_pack("{s:s}", "csr", o->csr);
	return 0;
}

/* Without reply it was the CSR that we asked for. */
static int
got_finalize(struct order *o, const struct reply *r, struct err *e)
{
	if (r != NULL)
		return got_order(o, r, e);
	if (o->csr == NULL)
		return err_set(e, ERR_BUG, "no CSR was set");
	return 0;
}

static int
got_order(struct order *o, const struct reply *r, struct err *e)
{
	return follow(o, r->body, e);
}

/* Section 7.4.2: the chain comes as PEM, end-entity certificate first. */
static int
ask_download(struct order *o, struct ask *ask, struct err *e)
{
	if (o->certificate == NULL)
		return err_set(e, ERR_BUG, "valid order without certificate");
	ask->what = ASK_POST;
	ask->url = chain_url(o);
	return 0;
}

static int
got_download(struct order *o, const struct reply *r, struct err *e)
{
	bool pem = r->text != NULL && strlen(r->text) == r->len &&
	           strstr(r->text, "-----BEGIN CERTIFICATE-----") != NULL;

	/* Of alternates a bad one is only passed over. */
	if (o->chain == NULL && !pem)
		return err_set(e, ERR_BUG, "certificate is not PEM");
	if (o->chain == NULL && r->len > CHAIN_MAX)
		return err_set(e, ERR_BUG,
		    "certificate chain has %zu bytes; at most %d are accepted",
		    r->len, CHAIN_MAX);
	if (chain_take(o, pem && r->len <= CHAIN_MAX ? r->text : "", r->link))
		o->state = ORDER_DONE;
	return 0;
}

void
order_clear(struct order *o)
{
	forget_authzs(o);
	free(o->url);
	free(o->finalize);
	free(o->certificate);
	free(o->csr);
	chain_forget(o);
	memset(o, 0, sizeof(*o));
}
