/*
 * Intake: a certificate that one node has to prove before the others get it.
 *
 * One that is stopped stays staged, and is tried again after a pause: it is a
 * good certificate to the CA, and another would cost of its limits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metric.h"
#include "sync/canary.h"
#include "sync/intake_impl.h"
#include "sync/renew.h"
#include "sync/roster.h"

/* What a work in hand needs while it waits for Redis. */
struct rollout {
	char sha1[41], node[64], why[256], tried[CANARY_TRIED_MAX];
	int64_t since, not_after;
};

static struct store_staged
as_staged(const struct rollout *r)
{
	return (struct store_staged){ .sha1 = r->sha1,
		.node = r->node,
		.why = r->why,
		.tried = r->tried,
		.since = r->since,
		.not_after = r->not_after };
}

static void
rollout_end(struct work *w)
{
	free(w->rollout);
	w->rollout = NULL;
}

/* Nothing is staged that is worth anything: what the domain needs is judged. */
static void
unstaged(void *arg, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	char name[DOMAIN_NAME_MAX];

	memcpy(name, w->name, sizeof(name));
	rollout_end(w);
	if (e != NULL) {
		work_written(w, e);
		return;
	}
	work_free(w);
	intake_take(in, name);
}

/* The nodes are at work from now on, as after an order. */
static void
promoted(void *arg, int64_t version, int64_t gen, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	char name[DOMAIN_NAME_MAX];

	memcpy(name, w->name, sizeof(name));
	rollout_end(w);
	if (e != NULL && strcmp(e->type, "WORSE") == 0) {
		/* What is served has got better meanwhile. */
		store_unstaged(in->store, name, in->epoch, unstaged, w);
		return;
	}
	if (e != NULL) {
		work_written(w, e);
		return;
	}
	log_info("domain=%s rollout=all version=%lld gen=%lld", name,
	    (long long)version, (long long)gen);
	metric_count(METRIC_ROLLOUT, METRIC_ROLLOUT_PROVEN, 0);
	intake_wait_for_proof(in, name, gen);
	work_free(w);
	intake_take(in, name);
}

static void
asked(void *arg, const struct err *e)
{
	struct work *w = arg;
	char reason[sizeof(w->d.reason)];
	int64_t next = loop_wall_ms() + w->in->conf->fleet.heartbeat_ms;
	bool news;

	if (e != NULL) {
		rollout_end(w);
		work_written(w, e);
		return;
	}
	snprintf(reason, sizeof(reason),
	    "the new certificate is being proven by node %s, the canary",
	    w->rollout->node);
	rollout_end(w);
	news =
	    work_say(&w->d, work_unless_in_use(&w->d, DOMAIN_CREATING), reason);
	work_put_down(w, next, news ? "status" : NULL);
}

static void
stopped(void *arg, const struct err *e)
{
	struct work *w = arg;
	struct domain *d = &w->d;
	int64_t now = loop_wall_ms(), pause;
	const struct conf *conf = w->in->conf;
	char reason[sizeof(d->reason)];

	if (e != NULL) {
		rollout_end(w);
		work_written(w, e);
		return;
	}
	d->attempts++;
	pause = renew_pause(d->attempts,
	    (int64_t)conf->acme.retry_first_s * 1000,
	    (int64_t)conf->acme.retry_max_s * 1000, 0, loop_random(UINT32_MAX));
	pause = renew_hurry(pause, d->not_after, now,
	    (int64_t)conf->acme.retry_first_s * 1000, 0);
	snprintf(reason, sizeof(reason),
	    "the new certificate was stopped at its canary%s%s: %.90s; %s",
	    w->rollout->node[0] != '\0' ? ", node " : "", w->rollout->node,
	    w->rollout->why,
	    d->version > 0 ? "the previous one stays" : "no node serves it");
	snprintf(d->last_error, sizeof(d->last_error), "%s", reason);
	log_error("domain=%s rollout=stopped canary=%s next_in_s=%lld "
		  "error=\"%s\"",
	    d->name, w->rollout->node, (long long)pause / 1000,
	    w->rollout->why);
	metric_count(METRIC_ROLLOUT, METRIC_ROLLOUT_STOPPED, 0);
	rollout_end(w);
	work_say(d, work_unless_in_use(d, DOMAIN_CREATING), reason);
	work_put_down(w, now + pause, "failed");
}

static void
promote(struct work *w)
{
	store_promote(
	    w->in->store, w->name, w->in->epoch, w->rollout->sha1, promoted, w);
}

static void
carry_out(
    struct work *w, enum canary_verdict verdict, const struct canary_next *next)
{
	struct rollout *r = w->rollout;
	struct store *store = w->in->store;
	struct store_staged s;
	int64_t pause = w->in->conf->fleet.canary_limit_ms;

	switch (verdict) {
	case CANARY_WAIT:
		rollout_end(w);
		work_put_down(w, next->at, NULL);
		return;
	case CANARY_PROMOTE:
		promote(w);
		return;
	case CANARY_ASK:
		memcpy(r->node, next->node, sizeof(r->node));
		r->why[0] = '\0';
		memcpy(r->tried, next->tried, sizeof(r->tried));
		s = as_staged(r);
		log_info("domain=%s rollout=canary node=%s", w->name, r->node);
		store_canary(
		    store, w->name, w->in->epoch, &s, next->at, asked, w);
		return;
	case CANARY_STOP:
		memcpy(r->why, next->why, sizeof(r->why));
		r->tried[0] = '\0';
		s = as_staged(r);
		s.node = "";
		memcpy(r->node, next->node, sizeof(r->node));
		store_canary(store, w->name, w->in->epoch, &s,
		    loop_wall_ms() + pause, stopped, w);
		return;
	}
}

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct work *w = arg;
	const struct conf *conf = w->in->conf;
	struct canary_rules rules = { .name = w->name,
		.favoured = conf->fleet.canary,
		.limit_ms = conf->fleet.canary_limit_ms,
		.look_ms = conf->fleet.heartbeat_ms,
		.now = loop_wall_ms() };
	struct store_staged s = as_staged(w->rollout);
	struct canary_next next;
	enum canary_verdict verdict;

	if (e != NULL) {
		log_warn("domain=%s nodes: %s", w->name, e->text);
		rollout_end(w);
		work_free(w);
		return;
	}
	verdict = canary_judge(&rules, &s, node, n, &next);
	carry_out(w, verdict, &next);
}

/*
 * An owner's certificate is served, or Let's Encrypt is off: it is only kept.
 * One that is about to end is not worth a trial any more.
 */
static void
got_staged(void *arg, const struct store_staged *s, const struct err *e)
{
	struct work *w = arg;
	const struct domain *d = &w->d;
	const struct conf *conf = w->in->conf;
	struct rollout *r;

	if (e != NULL) {
		log_warn("domain=%s staged: %s", w->name, e->text);
		work_free(w);
		return;
	}
	if (s->sha1[0] == '\0' ||
	    loop_wall_ms() >= s->at + (s->not_after - s->at) / 3 * 2) {
		store_unstaged(
		    w->in->store, w->name, w->in->epoch, unstaged, w);
		return;
	}
	r = w->rollout = xcalloc(1, sizeof(*r));
	snprintf(r->sha1, sizeof(r->sha1), "%s", s->sha1);
	snprintf(r->node, sizeof(r->node), "%s", s->node);
	snprintf(r->tried, sizeof(r->tried), "%s", s->tried);
	r->since = s->since;
	r->not_after = s->not_after;
	if (strcmp(conf->fleet.rollout, "canary") != 0 ||
	    d->custom_sha1[0] != '\0' || !d->letsencrypt)
		promote(w);
	else
		roster_ask(w->in->roster, got_nodes, w);
}

void
work_canary(struct work *w)
{
	store_staged(w->in->store, w->name, got_staged, w);
}
