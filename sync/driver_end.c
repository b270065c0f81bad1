/* The end of an order: a certificate in Redis, or a reason. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metric.h"
#include "sync/ari.h"
#include "sync/bundle.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/challenge.h"
#include "sync/driver_impl.h"
#include "sync/outbox.h"
#include "sync/renew.h"
#include "sync/store.h"

#define KEEP_ATTEMPTS 9 /* an order is waited for that often: a day */
#define PROOF_MS 10000  /* look at the nodes again, if none reports */
/* Or whoever leads by then, if we do not. */
#define LOOK_MS(conf) \
	((conf)->fleet.lease_ms < PROOF_MS ? (conf)->fleet.lease_ms : PROOF_MS)

static void
committed(void *arg, int64_t version, int64_t gen, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL) {
		run_fail(r, e);
		return;
	}
	metric_count(METRIC_ORDERS, METRIC_ORDER_ISSUED, 0);
	fault_point("F13");
	run_own(r)->version = version;
	run_own(r)->gen = gen;
	outbox_committed(r->driver->outbox, r->d->name, gen);
	log_info("domain=%s issued serial=%s version=%lld gen=%lld ca=\"%s\"",
	    r->d->name, r->d->serial, (long long)version, (long long)gen,
	    r->d->issuer);
	run_tell(r, NULL);
}

void
run_describe(struct run *r, const struct cert *cert, const char *ca)
{
	const struct conf *conf = r->driver->conf;
	struct domain *d = run_own(r);
	char id[sizeof(d->ari_id)];

	memcpy(d->serial, cert->serial, sizeof(d->serial));
	memcpy(d->sha1, cert->sha1, sizeof(d->sha1));
	memcpy(d->issuer, cert->issuer, sizeof(d->issuer));
	d->not_before = cert->not_before;
	d->not_after = cert->not_after;
	d->renew_at = renew_at(d->name, cert->not_before, cert->not_after,
	    conf->acme.renew_percent);
	cert_ari_id(cert, id, sizeof(id));
	ari_begin(d, ca, id, conf->acme.ari, loop_wall_ms(),
	    conf->acme.ari_poll_min_s);
	d->last_error[0] = '\0';
	d->action[0] = '\0';
	d->acme_dns_fqdn[0] = d->acme_dns_value[0] = '\0';
	d->acme_dns_account[0] = '\0';
	d->acme_dns_until = 0;
	d->attempts = 0;
	d->rate_limited_until = 0;
	d->next_at = loop_wall_ms() + LOOK_MS(conf);
}

/* Is it what was asked for, every name of it? */
static int
check_cert(const struct run *r, const struct cert *cert, struct err *e)
{
	int64_t now = loop_wall_ms();

	for (size_t i = 0; i < r->order.nnames; i++)
		if (cert_check(cert, r->key_pem, r->order.names[i], now, e) ==
		    -1)
			return -1;
	return 0;
}

/* Check what the CA sent, and make it the domain's in one step. */
void
run_finish(struct run *r)
{
	struct driver *dr = r->driver;
	struct err e = { 0 };
	struct cert cert = { 0 };
	struct buf bundle;
	const char *chain = r->order.chain;
	int64_t was = r->d->not_before;

	fault_point("F12");
	run_unpublish(r);
	run_withdraw(r);
	buf_init(&bundle, BUNDLE_MAX);
	if (cert_parse(&cert, chain, strlen(chain), &e) == -1 ||
	    check_cert(r, &cert, &e) == -1 ||
	    run_pack(r, &cert, &bundle, &e) == -1) {
		err_prefix(&e, "the CA's certificate");
		if (!run_try_again(r, &e))
			run_fail(r, &e);
	} else if (run_wants_second(r)) {
		limits_issued(dr->limits, &r->ticket);
		run_order_second(r, &bundle);
	} else {
		limits_issued(dr->limits, &r->ticket);
		outbox_put_bundle(dr->outbox, r->d->name, r->d->sha1,
		    r->d->not_after, bundle.p, bundle.len);
		fault_point("O2");
		store_commit(dr->store, r->d, r->d->next_at,
		    cert.not_before >= was, bundle.p, bundle.len, committed, r);
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
	run_tell(r, r->why);
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

	/* STEP: it is not ours that is there. */
	if (strcmp(e->type, "FENCED") == 0 || strcmp(e->type, "GONE") == 0 ||
	    strcmp(e->type, "STEP") == 0)
		return true;
	if (!later && !run_nonsense(e))
		return false;
	if (has_key && r->order.url != NULL && r->order.state != ORDER_DONE)
		return r->d->attempts < KEEP_ATTEMPTS;
	return later && !late;
}

/*
 * No certificate.  The journal stays when the CA may still finish the order;
 * after a verdict the next attempt begins a new one.
 */
void
run_fail(struct run *r, const struct err *e)
{
	bool keep = worth_keeping(r, e);

	metric_count(
	    METRIC_ORDERS, keep ? METRIC_ORDER_KEPT : METRIC_ORDER_FAILED, 0);
	/* Whoever leads now goes on with the order, and its challenge. */
	if (r->token != NULL && strcmp(e->type, "FENCED") == 0)
		challenge_leave(r->driver->challenges, r->token);
	run_unpublish(r);
	/* What its owner has removed nobody is to bring back. */
	if (strcmp(e->type, "GONE") == 0)
		outbox_drop(r->driver->outbox, r->d->name);
	if (keep) {
		run_tell(r, e);
		return;
	}
	free(r->why);
	r->why = xmalloc(sizeof(*r->why));
	*r->why = *e;
	outbox_drop(r->driver->outbox, r->d->name);
	run_withdraw(r);
	if (r->first.len > 0) {
		run_keep_first(r, abandoned);
		return;
	}
	store_abandon(r->driver->store, r->d->name, r->d->epoch, abandoned, r);
}
