#include "sync/driver.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ari.h"
#include "sync/bundle.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/challenge.h"
#include "sync/fault.h"
#include "sync/key.h"
#include "sync/keymaker.h"
#include "sync/limits.h"
#include "sync/order.h"
#include "sync/renew.h"
#include "sync/store.h"

#define TRIES_MAX 4       /* of one request, for what is nobody's fault */
#define TRY_FIRST_MS 1000 /* then 3, 9 s */
#define KEEP_ATTEMPTS 9   /* an order is waited for that often: a day */
#define PROOF_MS 10000    /* look at the nodes again, if none reports */

/* A domain whose order is being worked on. */
struct run {
	LIST_ENTRY(run) link;
	struct driver *driver;
	struct ca *ca; /* at which the order is */
	driver_fn *fn;
	void *arg;
	struct domain d;
	struct order order;
	struct ticket ticket;
	bool spent;    /* for this newOrder */
	char *key_pem; /* the certificate's; "" until needed */
	struct event *timer;
	struct ask ask; /* payload is ours until it is sent */
	uint64_t posting;
	int64_t deadline;
	int tries;                 /* since the order last came further... */
	enum order_state furthest; /* ...than ever before */
	bool url_saved;
	char token[ORDER_TOKEN_MAX]; /* that is published, or "" */
	struct err why;              /* there will be no certificate */
};

struct driver {
	struct event_base *base;
	const struct conf *conf;
	const struct seal_ring *ring;
	struct store *store;
	struct ca *ca, *fallback; /* fallback may be NULL */
	struct challenges *challenges;
	struct limits *limits;
	struct keymaker *keymaker;
	LIST_HEAD(, run) runs;
};

static void advance(struct run *);
static void finish(struct run *);
static void fail(struct run *, const struct err *);
static bool try_again(struct run *, const struct err *);

struct driver *
driver_new(struct event_base *base, const struct conf *conf,
    const struct seal_ring *ring, struct store *store, struct ca *ca,
    struct challenges *challenges, struct limits *limits)
{
	struct driver *dr = xcalloc(1, sizeof(*dr));

	dr->base = base;
	dr->conf = conf;
	dr->ring = ring;
	dr->store = store;
	dr->ca = ca;
	dr->challenges = challenges;
	dr->limits = limits;
	dr->keymaker = keymaker_new(base);
	LIST_INIT(&dr->runs);
	return dr;
}

void
driver_fallback(struct driver *dr, struct ca *ca)
{
	dr->fallback = ca;
}

static void
unpublish(struct run *r)
{
	if (r->token[0] != '\0')
		challenge_withdraw(r->driver->challenges, r->token);
	r->token[0] = '\0';
}

static void
run_free(struct run *r)
{
	LIST_REMOVE(r, link);
	unpublish(r);
	store_forget(r->driver->store, r);
	limits_cancel(r->driver->limits, r);
	ca_cancel(r->ca, r->posting);
	keymaker_cancel(r->driver->keymaker, r);
	loop_timer_free(&r->timer);
	json_decref(r->ask.payload);
	mem_wipe_free(r->key_pem);
	order_clear(&r->order);
	free(r);
}

void
driver_free(struct driver *dr)
{
	if (dr == NULL)
		return;
	while (!LIST_EMPTY(&dr->runs))
		run_free(LIST_FIRST(&dr->runs));
	keymaker_free(dr->keymaker);
	free(dr);
}

void
driver_cancel(struct driver *dr, const void *arg)
{
	struct run *r, *next;

	for (r = LIST_FIRST(&dr->runs); r != NULL; r = next) {
		next = LIST_NEXT(r, link);
		if (r->arg == arg)
			run_free(r);
	}
}

static void
tell(struct run *r, const struct err *e)
{
	driver_fn *fn = r->fn;
	void *arg = r->arg;
	struct domain d = r->d;
	struct err copy;

	if (e != NULL)
		copy = *e;
	run_free(r);
	fn(arg, &d, e != NULL ? &copy : NULL);
}

/* --- the journal: begin, or go on where somebody stopped -------------------- */

static void
journalled(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL)
		fail(r, e);
	else
		advance(r);
}

static void
journal(struct run *r, const char *expected, const char *step, const char *url,
    const char *key_pem)
{
	struct err e;

	if (store_journal(r->driver->store, r->d.name, r->d.epoch, expected,
		step, url, key_pem, journalled, r, &e) == -1)
		fail(r, &e);
}

/* The CA that an order is at; the first one when there is no order yet. */
static struct ca *
ca_of(const struct driver *dr, const char *url)
{
	if (url[0] != '\0' && dr->fallback != NULL && !ca_owns(dr->ca, url) &&
	    ca_owns(dr->fallback, url))
		return dr->fallback;
	return dr->ca;
}

static const char *
or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* What is wanted of an order is said in the settings of its CA. */
static void
use_ca(struct run *r, struct ca *ca)
{
	const struct conf *c = r->driver->conf;
	bool second = ca == r->driver->fallback;

	r->ca = ca;
	r->order.profile =
	    or_null(second ? c->acme_fallback.profile : c->acme.profile);
	r->order.preferred = or_null(second ? c->acme_fallback.preferred_chain
					    : c->acme.preferred_chain);
	r->order.replaces = ari_replaces(&r->d, ca_directory(ca));
	r->order.ari_renewal =
	    r->order.replaces != NULL && ari_within(&r->d, loop_wall_ms());
}

/* What the CA counts of the order; at a CA we come from, renewals are known. */
static void
new_ticket(struct run *r, int64_t journal_ms)
{
	const char *directory = ca_directory(r->ca);

	limits_ticket(&r->ticket, &r->d, directory, journal_ms);
	if (r->order.ari_renewal)
		r->ticket.kind = LIMIT_ARI;
	else if (r->d.ca[0] != '\0' && strcmp(r->d.ca, directory) != 0)
		r->ticket.kind = LIMIT_NEW;
	r->spent = false;
}

static void
got_journal(void *arg, const struct store_order *saved, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL) {
		fail(r, e);
		return;
	}
	r->key_pem = xstrdup(saved->key_pem);
	use_ca(r, ca_of(r->driver, saved->url));
	new_ticket(r, saved->started_at);
	if (saved->step[0] == '\0') {
		fault_point("F1");
		journal(r, "", "new", NULL, NULL);
		return;
	}
	log_info("domain=%s order resumes step=%s url=%s", r->d.name,
	    saved->step, saved->url);
	if (saved->url[0] != '\0') {
		r->order.url = xstrdup(saved->url);
		r->url_saved = true;
		order_resume(&r->order);
	}
	journal(r, "*", saved->step, NULL, NULL);
}

static void
new_order(struct run *r)
{
	order_clear(&r->order);
	r->order.names[0] = r->d.name;
	r->order.nnames = 1;
	r->url_saved = false;
	r->furthest = ORDER_NEW;
	r->tries = 0;
}

void
driver_run(struct driver *dr, const struct domain *d, driver_fn *fn, void *arg)
{
	struct run *r = xcalloc(1, sizeof(*r));

	r->driver = dr;
	r->fn = fn;
	r->arg = arg;
	r->d = *d;
	r->d.extra = NULL;
	r->d.nextra = 0;
	r->ca = dr->ca;
	new_order(r);
	r->deadline =
	    loop_now_ms() + (int64_t)dr->conf->acme.order_timeout_s * 1000;
	LIST_INSERT_HEAD(&dr->runs, r, link);
	store_order(dr->store, r->d.name, got_journal, r);
}

/* --- what the order asks for -------------------------------------------------- */

/* Fault points of test builds: what is lost when we die right here. */
static void
before_post(const struct run *r)
{
	switch (r->order.state) {
	case ORDER_NEW:
		fault_point("F3");
		break;
	case ORDER_ANSWER:
		fault_point("F7");
		break;
	case ORDER_CHECK:
		fault_point("F8");
		break;
	case ORDER_FINALIZE:
		fault_point("F10");
		break;
	case ORDER_AUTHZ:
	case ORDER_PRESENT:
	case ORDER_POLL:
	case ORDER_DOWNLOAD:
	case ORDER_DONE:
	case ORDER_STATES:
		break;
	}
}

static void
after_post(const struct run *r)
{
	if (r->order.state == ORDER_NEW)
		fault_point("F4");
	else if (r->order.state == ORDER_FINALIZE)
		fault_point("F11");
}

/* The order's next state, logged in this one place. */
static void
take(struct run *r, const struct reply *reply)
{
	enum order_state was = r->order.state;
	struct err e = { 0 };

	if (order_got(&r->order, reply, &e) == -1) {
		if (e.kind == ERR_REFUSED)
			limits_failed(r->driver->limits, &r->ticket);
		if (!try_again(r, &e))
			fail(r, &e);
		return;
	}
	if (r->order.state > r->furthest) {
		r->furthest = r->order.state;
		r->tries = 0;
	}
	if (was != r->order.state)
		log_debug("domain=%s order=%s->%s", r->d.name,
		    order_state_name(was), order_state_name(r->order.state));
	if (r->order.url != NULL && !r->url_saved) {
		r->url_saved = true;
		journal(r, "new", "ordered", r->order.url, NULL);
		return;
	}
	advance(r);
}

static void
again(void *arg)
{
	advance(arg);
}

/* What no CA means to say: an answer cut short, a page of some proxy. */
static bool
nonsense(const struct err *e)
{
	return e->kind == ERR_BUG && e->type[0] == '\0';
}

/*
 * Nonsense may be over in a moment, and an order that exists is worth waiting
 * for: another would cost a second certificate.
 */
static bool
may_pass(const struct run *r, const struct err *e)
{
	if (e->kind == ERR_AGAIN)
		return true;
	if (r->order.url == NULL)
		return false;
	/* The CA was told to look, and the reply was lost: it looks. */
	if (r->order.state == ORDER_ANSWER && strcmp(e->type, "malformed") == 0)
		return true;
	return nonsense(e);
}

/* Is there a second CA for this domain, and the order not there already? */
static bool
has_fallback(const struct run *r)
{
	const struct ca *ca = r->driver->fallback;

	return ca != NULL && r->ca != ca && ca_thumbprint(ca)[0] != '\0' &&
	       r->d.version > 0;
}

/* No pause reaches beyond the moment from which the second CA may be used. */
static int64_t
until_fallback(const struct run *r, int64_t pause)
{
	int64_t left = renew_last_tenth(&r->d) - loop_wall_ms();

	return has_fallback(r) && left > 0 && left < pause ? left : pause;
}

/* Nobody's fault: ask the same once more, after a pause. */
static bool
try_again(struct run *r, const struct err *e)
{
	int64_t pause = TRY_FIRST_MS;

	if (!may_pass(r, e) || ++r->tries >= TRIES_MAX)
		return false;
	for (int i = 1; i < r->tries; i++)
		pause *= 3;
	pause = until_fallback(r, pause);
	if (e->retry_ms > pause)
		pause = e->retry_ms;
	if (loop_now_ms() + pause > r->deadline)
		return false;
	log_debug("domain=%s order=%s again in %lld ms: %s", r->d.name,
	    order_state_name(r->order.state), (long long)pause, e->text);
	/* Whatever was lost on the way, the CA knows where the order is. */
	if (r->order.state == ORDER_DONE)
		order_refetch(&r->order);
	else if (r->order.url != NULL)
		order_resume(&r->order);
	loop_after(r->driver->base, &r->timer, pause, again, r);
	return true;
}

/* A rate limit is everybody's; no order means that nothing was spent. */
static void
refused(struct run *r, const struct err *e)
{
	struct err why = *e;

	limits_refused(r->driver->limits, &r->ticket,
	    r->order.state == ORDER_NEW, ca_detail(r->ca), r->d.action,
	    sizeof(r->d.action), &why);
	fail(r, &why);
}

/*
 * The first CA is away, and the certificate ends soon: a new order at the
 * second one.  What the journal says of the first one's is overwritten.
 */
static bool
try_fallback(struct run *r, const struct err *e)
{
	struct ca *ca = r->driver->fallback;
	const struct domain *d = &r->d;
	struct err why = *e;

	if (e->kind != ERR_AGAIN || !has_fallback(r) ||
	    loop_wall_ms() < renew_last_tenth(d))
		return false;
	log_warn("domain=%s ca=%s: %s; its certificate ends soon, so the order "
		 "goes to ca=%s",
	    d->name, ca_directory(r->ca), e->text, ca_directory(ca));
	if (r->order.state == ORDER_NEW)
		limits_refused(r->driver->limits, &r->ticket, true, "",
		    r->d.action, sizeof(r->d.action), &why);
	unpublish(r);
	new_order(r);
	use_ca(r, ca);
	new_ticket(r, 0);
	journal(r, "*", "new", "", NULL);
	return true;
}

static void
got_post(void *arg, const struct reply *reply, const struct err *e)
{
	struct run *r = arg;

	r->posting = 0;
	if (e == NULL) {
		after_post(r);
		take(r, reply);
	} else if (order_refused(&r->order, e)) {
		log_info("domain=%s order=%s goes on without: %s", r->d.name,
		    order_state_name(r->order.state), e->text);
		new_ticket(r, 0);
		advance(r);
	} else if (!(r->tries > 0 && try_fallback(r, e)) && !try_again(r, e) &&
		   !try_fallback(r, e)) {
		refused(r, e);
	}
}

static void
post(void *arg)
{
	struct run *r = arg;
	json_t *payload = r->ask.payload;

	r->ask.payload = NULL;
	before_post(r);
	r->posting = ca_post(r->ca, r->ask.url, payload, got_post, r);
}

/* What the CA counts is spent before it is asked. */
static void
spent(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL) {
		fail(r, e);
		return;
	}
	r->spent = true;
	advance(r);
}

static void
answerable(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e == NULL) {
		fault_point("F6");
		take(r, NULL);
	} else if (!try_again(r, e)) {
		fail(r, e);
	}
}

/* RFC 8555 section 8.1: token "." thumbprint. */
static void
publish(struct run *r)
{
	const struct authz *a = order_authz(&r->order);
	char *keyauth = xasprintf("%s.%s", a->token, ca_thumbprint(r->ca));

	unpublish(r);
	memcpy(r->token, a->token, sizeof(r->token));
	challenge_publish(
	    r->driver->challenges, a->token, keyauth, answerable, r);
	free(keyauth);
}

static void
make_csr(struct run *r)
{
	const char *names[] = { r->d.name };
	struct err e = { 0 };

	fault_point("F9");
	if (cert_csr(r->key_pem, names, 1, &r->order.csr, &e) == -1)
		fail(r, &e);
	else
		take(r, NULL);
}

static void
key_saved(void *arg, const struct err *e)
{
	if (e != NULL)
		fail(arg, e);
	else
		make_csr(arg);
}

/* The key is in the journal before a certificate for it can exist. */
static void
got_key(void *arg, const char *pem, const struct err *why)
{
	struct run *r = arg;
	struct err e;

	if (why != NULL) {
		fail(r, why);
		return;
	}
	mem_wipe_free(r->key_pem);
	r->key_pem = xstrdup(pem);
	if (store_journal(r->driver->store, r->d.name, r->d.epoch, "*", "key",
		NULL, r->key_pem, key_saved, r, &e) == -1)
		fail(r, &e);
}

static void
need_csr(struct run *r)
{
	int type = key_type_parse(r->driver->conf->acme.key_type);
	char *pem;

	unpublish(r);
	if (r->key_pem[0] != '\0') {
		make_csr(r);
	} else if (type != -1 && key_type_slow((enum key_type)type)) {
		keymaker_make(
		    r->driver->keymaker, (enum key_type)type, got_key, r);
	} else {
		pem =
		    key_new(type != -1 ? (enum key_type)type : KEY_ECDSA_P256);
		got_key(r, pem, NULL);
		mem_wipe_free(pem);
	}
}

static void
advance(struct run *r)
{
	struct err e = { 0 };

	if (r->order.state == ORDER_NEW && r->url_saved)
		r->url_saved = false;
	if (r->order.state == ORDER_NEW)
		fault_point("F2");
	else if (r->order.state == ORDER_AUTHZ)
		fault_point("F5");
	if (loop_now_ms() > r->deadline) {
		err_set(&e, ERR_AGAIN,
		    "the CA did not finish the order within %d s",
		    r->driver->conf->acme.order_timeout_s);
		fail(r, &e);
		return;
	}
	json_decref(r->ask.payload);
	r->ask.payload = NULL;
	if (order_ask(&r->order, &r->ask, &e) == -1) {
		fail(r, &e);
		return;
	}
	switch (r->ask.what) {
	case ASK_POST:
		if (r->order.state == ORDER_NEW && !r->spent)
			limits_spend(r->driver->limits, &r->ticket, spent, r);
		else
			loop_after(r->driver->base, &r->timer, r->ask.delay_ms,
			    post, r);
		break;
	case ASK_PUBLISH:
		publish(r);
		break;
	case ASK_CSR:
		need_csr(r);
		break;
	case ASK_NOTHING:
		finish(r);
		break;
	}
}

/* --- the end -------------------------------------------------------------------- */

static void
committed(void *arg, int64_t version, int64_t gen, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL) {
		fail(r, e);
		return;
	}
	fault_point("F13");
	r->d.version = version;
	r->d.gen = gen;
	log_info("domain=%s issued serial=%s version=%lld gen=%lld ca=\"%s\"",
	    r->d.name, r->d.serial, (long long)version, (long long)gen,
	    r->d.issuer);
	tell(r, NULL);
}

static void
describe(struct run *r, const struct cert *cert)
{
	const struct conf *conf = r->driver->conf;
	struct domain *d = &r->d;
	char id[sizeof(d->ari_id)];

	memcpy(d->serial, cert->serial, sizeof(d->serial));
	memcpy(d->sha1, cert->sha1, sizeof(d->sha1));
	memcpy(d->issuer, cert->issuer, sizeof(d->issuer));
	d->not_before = cert->not_before;
	d->not_after = cert->not_after;
	d->renew_at = renew_at(d->name, cert->not_before, cert->not_after,
	    conf->acme.renew_percent);
	cert_ari_id(cert, id, sizeof(id));
	ari_begin(d, ca_directory(r->ca), id, conf->acme.ari, loop_wall_ms(),
	    conf->acme.ari_poll_min_s);
	d->last_error[0] = '\0';
	d->attempts = 0;
	d->rate_limited_until = 0;
	d->next_at = loop_wall_ms() + PROOF_MS;
}

/* Check what the CA sent, and make it the domain's in one step. */
static void
finish(struct run *r)
{
	struct driver *dr = r->driver;
	struct err e = { 0 };
	struct cert cert = { 0 };
	struct buf bundle;
	int64_t now = loop_wall_ms();
	const char *chain = r->order.chain;

	fault_point("F12");
	unpublish(r);
	buf_init(&bundle, BUNDLE_MAX);
	if (cert_parse(&cert, chain, strlen(chain), &e) == -1 ||
	    cert_check(&cert, r->key_pem, r->d.name, now, &e) == -1 ||
	    bundle_pack(dr->ring, r->d.name, &cert, r->key_pem, &bundle, &e) ==
		-1) {
		err_prefix(&e, "the CA's certificate");
		if (!try_again(r, &e))
			fail(r, &e);
	} else {
		limits_issued(dr->limits, &r->ticket);
		describe(r, &cert);
		store_commit(dr->store, &r->d, r->d.next_at, bundle.p,
		    bundle.len, committed, r);
	}
	buf_clear(&bundle);
	cert_clear(&cert);
}

static void
abandoned(void *arg, const struct err *e)
{
	struct run *r = arg;

	/* A journal that could not be removed is found by the next attempt. */
	(void)e;
	tell(r, &r->why);
}

/*
 * Is the order worth going on with?  Once there is a key there may be a
 * certificate, and only the CA can say that there is none; one that was
 * looked at (ORDER_DONE) and is no good will not become better.
 */
static bool
worth_keeping(const struct run *r, const struct err *e)
{
	bool late = loop_now_ms() > r->deadline;
	bool has_key = r->key_pem != NULL && r->key_pem[0] != '\0';
	/* An order that was made outlives a "slow down". */
	bool later = e->kind == ERR_AGAIN ||
	             (e->kind == ERR_LIMITED && r->order.url != NULL);

	if (strcmp(e->type, "FENCED") == 0 || strcmp(e->type, "GONE") == 0)
		return true;
	if (!later && !nonsense(e))
		return false;
	if (has_key && r->order.url != NULL && r->order.state != ORDER_DONE)
		return r->d.attempts < KEEP_ATTEMPTS;
	return later && !late;
}

/*
 * No certificate.  The journal stays when the CA may still finish the order;
 * after a verdict the next attempt begins a new one.
 */
static void
fail(struct run *r, const struct err *e)
{
	unpublish(r);
	if (worth_keeping(r, e)) {
		tell(r, e);
		return;
	}
	r->why = *e;
	store_abandon(r->driver->store, r->d.name, r->d.epoch, abandoned, r);
}
