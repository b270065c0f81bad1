#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/bundle.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/challenge.h"
#include "sync/dns01.h"
#include "sync/driver_impl.h"
#include "sync/key.h"
#include "sync/keymaker.h"
#include "sync/limits.h"
#include "sync/outbox.h"
#include "sync/store.h"

#define TRIES_MAX 4       /* of one request, for what is nobody's fault */
#define TRY_FIRST_MS 1000 /* then 3, 9 s, but never beyond retry_first_s */

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

struct domain *
run_own(struct run *r)
{
	if (r->own == NULL) {
		r->own = xmalloc(sizeof(*r->own));
		*r->own = *r->d;
		r->own->extra = NULL;
		r->own->nextra = 0;
		r->d = r->own;
	}
	return r->own;
}

void
run_unpublish(struct run *r)
{
	if (r->token != NULL) {
		fault_point("F18");
		challenge_withdraw(r->driver->challenges, r->token);
	}
	free(r->token);
	r->token = NULL;
}

static void
run_free(struct run *r)
{
	LIST_REMOVE(r, link);
	run_unpublish(r);
	store_forget(r->driver->store, r);
	limits_cancel(r->driver->limits, r);
	dns01_cancel(r->driver->dns01, r);
	ca_cancel(r->ca, r->posting);
	keymaker_cancel(r->driver->keymaker, r);
	outbox_cancel(r->driver->outbox, r);
	loop_timer_free(&r->timer);
	json_decref(r->ask.payload);
	mem_wipe_free(r->key_pem);
	buf_clear(&r->first);
	order_clear(&r->order);
	free(r->first_ca);
	free(r->why);
	free(r->own);
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

void
run_tell(struct run *r, const struct err *e)
{
	driver_fn *fn = r->fn;
	void *arg = r->arg;
	const struct domain *d = r->d;
	struct domain *own = r->own;
	struct err copy;

	if (e != NULL)
		copy = *e;
	r->own = NULL;
	run_free(r);
	fn(arg, d, e != NULL ? &copy : NULL);
	free(own);
}

/* --- the journal: begin, or go on where somebody stopped -------------------- */

static void
journalled(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL)
		run_fail(r, e);
	else
		run_advance(r);
}

void
run_journal(struct run *r, const char *expected, const char *step,
    const char *url, const char *key_pem)
{
	struct err e;

	if (store_journal(r->driver->store, r->d->name, r->d->epoch, expected,
		step, url, key_pem, journalled, r, &e) == -1)
		run_fail(r, &e);
}

static void got_journal(void *, const struct store_order *, const struct err *);

/* Most often there is no journal yet; where there is one, it is read. */
static void
begun(void *arg, int64_t started_at, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL && strcmp(e->type, "STEP") == 0) {
		store_order(r->driver->store, r->d->name, got_journal, r);
		return;
	}
	mem_wipe_free(r->key_pem);
	r->key_pem = xstrdup("");
	if (e != NULL) {
		run_fail(r, e);
		return;
	}
	run_use_ca(r, r->ca);
	run_new_ticket(r, started_at);
	if (run_take_key(r, "")) {
		run_use_ca(r, run_ca_of(r->driver, r->order.url));
		r->url_saved = true;
		order_resume(&r->order);
		run_journal(r, "*", "key", r->order.url, r->key_pem);
		return;
	}
	run_advance(r);
}

static void
begin(struct run *r)
{
	fault_point("F1");
	store_begin(r->driver->store, r->d->name, r->d->epoch, begun, r);
}

static void
forgotten(void *arg, const struct err *e)
{
	if (e != NULL)
		run_fail(arg, e);
	else
		begin(arg);
}

/*
 * There is, or will be, a certificate whose key nobody has: it is worth nothing.
 * Of two the first is kept, and the second ordered at the next attempt.
 */
static void
begin_anew(struct run *r)
{
	struct err e;

	err_set(&e, ERR_BUG,
	    "the key of the order was lost with Redis's last writes; its "
	    "certificate is of no use");
	if (r->first.len > 0) {
		run_fail(r, &e);
		return;
	}
	log_warn("domain=%s url=%s %s: ordered anew", r->d->name, r->order.url,
	    e.text);
	run_new_order(r);
	store_abandon(r->driver->store, r->d->name, r->d->epoch, forgotten, r);
}

/*
 * A person has not made the record in time: the CA has forgotten the order.  Or
 * nobody knows which order it is about: one that was of before such journals were
 * refused.
 */
static bool
is_stale(const struct run *r, const struct store_order *saved)
{
	if (saved->url[0] == '\0' && strcmp(saved->step, "new") != 0)
		return true;
	return r->first.len == 0 && saved->key_pem[0] == '\0' &&
	       r->d->acme_dns_until > 0 &&
	       loop_wall_ms() >= r->d->acme_dns_until;
}

static void
got_journal(void *arg, const struct store_order *saved, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL) {
		run_fail(r, e);
		return;
	}
	if (saved->step[0] == '\0') {
		begin(r); /* it has gone meanwhile */
		return;
	}
	if (!run_resume_first(
		r, saved->first, saved->first_len, saved->first_ca) ||
	    is_stale(r, saved)) {
		store_abandon(
		    r->driver->store, r->d->name, r->d->epoch, forgotten, r);
		return;
	}
	r->key_pem = xstrdup(saved->key_pem);
	run_use_ca(r, run_ca_of(r->driver, saved->url));
	run_new_ticket(r, saved->started_at);
	log_info("domain=%s order resumes step=%s url=%s", r->d->name,
	    saved->step, saved->url);
	if (saved->url[0] != '\0') {
		r->order.url = xstrdup(saved->url);
		r->url_saved = true;
		order_resume(&r->order);
		if (r->key_pem[0] == '\0' && run_take_key(r, saved->url)) {
			run_journal(r, "*", "key", NULL, r->key_pem);
			return;
		}
	}
	/* What was read is still so. */
	run_journal(r, saved->step, saved->step, NULL, NULL);
}

void
driver_run(struct driver *dr, const struct domain *d, const char *not_second,
    driver_fn *fn, void *arg)
{
	struct run *r = xcalloc(1, sizeof(*r));

	r->driver = dr;
	r->fn = fn;
	r->arg = arg;
	r->d = d;
	r->not_second = not_second;
	r->ca = dr->ca;
	buf_init(&r->first, BUNDLE_MAX);
	run_new_order(r);
	r->deadline =
	    loop_now_ms() + (int64_t)dr->conf->acme.order_timeout_s * 1000;
	LIST_INSERT_HEAD(&dr->runs, r, link);
	begin(r);
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

/* The first look, at a moment of our choice, tells how long the CA takes. */
static void
learn(struct run *r, enum order_state was)
{
	if (r->first_look)
		pace_learn(&r->driver->pace[was], r->order.first_ms,
		    r->order.state != was);
	r->first_look = false;
}

/* The order's next state, logged in this one place. */
static void
take(struct run *r, const struct reply *reply)
{
	enum order_state was = r->order.state;
	struct err e = { 0 };

	/* Known by now, and good for this one reply. */
	r->order.account =
	    r->driver->conf->acme.dns_persist ? ca_account(r->ca) : NULL;
	if (order_got(&r->order, reply, &e) == -1) {
		if (e.kind == ERR_REFUSED)
			limits_failed(r->driver->limits, &r->ticket);
		if (!run_try_again(r, &e))
			run_fail(r, &e);
		return;
	}
	if (run_key_is_lost(r)) {
		begin_anew(r);
		return;
	}
	learn(r, was);
	if (r->order.state > r->furthest) {
		r->furthest = r->order.state;
		r->tries = 0;
	}
	if (was != r->order.state)
		log_debug("domain=%s order=%s->%s", r->d->name,
		    order_state_name(was), order_state_name(r->order.state));
	if (r->order.url != NULL && !r->url_saved) {
		r->url_saved = true;
		run_journal(r, "new", "ordered", r->order.url, NULL);
		return;
	}
	run_advance(r);
}

void
run_done(struct run *r)
{
	take(r, NULL);
}

static void
again(void *arg)
{
	run_answered(arg);
	run_advance(arg);
}

/* What no CA means to say: an answer cut short, a page of some proxy. */
bool
run_nonsense(const struct err *e)
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
	return run_nonsense(e);
}

/* Nobody's fault: ask the same once more, after a pause. */
bool
run_try_again(struct run *r, const struct err *e)
{
	int64_t pause = TRY_FIRST_MS;
	int64_t most = (int64_t)r->driver->conf->acme.retry_first_s * 1000;

	if (!may_pass(r, e) || ++r->tries >= TRIES_MAX)
		return false;
	for (int i = 1; i < r->tries; i++)
		pause *= 3;
	if (pause > most)
		pause = most;
	pause = run_until_fallback(r, pause);
	if (e->retry_ms > pause)
		pause = e->retry_ms;
	if (loop_now_ms() + pause > r->deadline)
		return false;
	log_debug("domain=%s order=%s again in %lld ms: %s", r->d->name,
	    order_state_name(r->order.state), (long long)pause, e->text);
	/* Whatever was lost on the way, the CA knows where the order is. */
	if (r->order.state == ORDER_DONE)
		order_refetch(&r->order);
	else if (r->order.url != NULL)
		order_resume(&r->order);
	run_wait(r, pause, again);
	return true;
}

/* A rate limit is everybody's; no order means that nothing was spent. */
static void
refused(struct run *r, const struct err *e)
{
	struct err why = *e;

	limits_refused(r->driver->limits, &r->ticket,
	    r->order.state == ORDER_NEW, ca_detail(r->ca), run_own(r)->action,
	    sizeof(r->d->action), &why);
	run_fail(r, &why);
}

static void
got_post(void *arg, const struct reply *reply, const struct err *e)
{
	struct run *r = arg;

	r->posting = 0;
	run_answered(r);
	if (e == NULL) {
		after_post(r);
		take(r, reply);
	} else if (order_refused(&r->order, e)) {
		log_info("domain=%s order=%s goes on without: %s", r->d->name,
		    order_state_name(r->order.state), e->text);
		run_new_ticket(r, 0);
		run_advance(r);
	} else if (!(r->tries > 0 && run_try_fallback(r, e)) &&
		   !run_try_again(r, e) && !run_try_fallback(r, e)) {
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
	run_asked(r);
	r->posting = ca_post(r->ca, r->ask.url, payload, got_post, r);
}

/* What the CA counts is spent before it is asked. */
static void
spent(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL) {
		run_fail(r, e);
		return;
	}
	r->spent = true;
	run_advance(r);
}

static void
answerable(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e == NULL) {
		fault_point("F6");
		take(r, NULL);
	} else if (!run_try_again(r, e)) {
		run_fail(r, e);
	}
}

/* RFC 8555 section 8.1: token "." thumbprint. */
static void
publish(struct run *r)
{
	const struct authz *a = order_authz(&r->order);
	char *keyauth;

	if (a->dns01) {
		run_present(r);
		return;
	}
	keyauth = xasprintf("%s.%s", a->token, ca_thumbprint(r->ca));
	run_unpublish(r);
	r->token = xstrdup(a->token);
	challenge_publish(
	    r->driver->challenges, a->token, keyauth, answerable, r);
	free(keyauth);
}

static void
make_csr(struct run *r)
{
	struct err e = { 0 };

	fault_point("F9");
	if (cert_csr(r->key_pem, r->order.names, r->order.nnames, &r->order.csr,
		&e) == -1)
		run_fail(r, &e);
	else
		take(r, NULL);
}

static void
key_saved(struct run *r)
{
	if (!r->key_flushing && !r->key_journaling)
		make_csr(r);
}

static void
key_flushed(void *arg)
{
	struct run *r = arg;

	r->key_flushing = false;
	key_saved(r);
}

static void
key_journaled(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL) {
		run_fail(r, e);
		return;
	}
	r->key_journaling = false;
	key_saved(r);
}

/* The key is in the journal, and on the disk, before a certificate for it can be. */
static void
got_key(void *arg, const char *pem, const struct err *why)
{
	struct run *r = arg;
	struct err e;

	if (why != NULL) {
		run_fail(r, why);
		return;
	}
	mem_wipe_free(r->key_pem);
	r->key_pem = xstrdup(pem);
	r->key_flushing = outbox_put_key(r->driver->outbox, r->d->name,
	    r->order.url, r->d->sha1, r->key_pem, key_flushed, r);
	r->key_journaling = true;
	fault_point("O1");
	if (store_journal(r->driver->store, r->d->name, r->d->epoch, "*", "key",
		r->order.url, r->key_pem, key_journaled, r, &e) == -1)
		run_fail(r, &e);
}

static void
need_csr(struct run *r)
{
	enum key_type type = run_key_type(r);
	char *pem;

	run_unpublish(r);
	run_withdraw(r);
	if (r->key_pem[0] != '\0') {
		make_csr(r);
	} else if (key_type_slow(type)) {
		keymaker_make(r->driver->keymaker, type, got_key, r);
	} else {
		pem = key_new(type);
		got_key(r, pem, NULL);
		mem_wipe_free(pem);
	}
}

void
run_advance(struct run *r)
{
	struct err e = { 0 };

	if (r->order.state == ORDER_NEW && r->url_saved) {
		/* The CA has let the order go while we were away. */
		r->url_saved = false;
		run_journal(r, "*", "new", "", NULL);
		return;
	}
	if (r->order.state == ORDER_NEW) {
		if (!r->spent)
			fault_point("F2");
		run_check_window(r);
	} else if (r->order.state == ORDER_AUTHZ) {
		fault_point("F5");
	}
	if (loop_now_ms() > r->deadline) {
		err_set(&e, ERR_AGAIN,
		    "the CA did not finish the order within %d s",
		    r->driver->conf->acme.order_timeout_s);
		run_fail(r, &e);
		return;
	}
	json_decref(r->ask.payload);
	r->ask.payload = NULL;
	r->order.first_ms = pace_first(&r->driver->pace[r->order.state]);
	r->first_look =
	    (r->order.state == ORDER_CHECK || r->order.state == ORDER_POLL) &&
	    r->order.polls == 1 && r->order.wait_ms == 0;
	if (order_ask(&r->order, &r->ask, &e) == -1) {
		run_fail(r, &e);
		return;
	}
	switch (r->ask.what) {
	case ASK_POST:
		if (r->order.state == ORDER_NEW && !r->spent)
			limits_spend(r->driver->limits, &r->ticket, spent, r);
		else
			run_wait(r, r->ask.delay_ms, post);
		break;
	case ASK_PUBLISH:
		publish(r);
		break;
	case ASK_CSR:
		need_csr(r);
		break;
	case ASK_NOTHING:
		run_finish(r);
		break;
	}
}
