/*
 * Intake: a certificate that one node has to prove before the others get it.
 *
 * One that is stopped stays staged, and is tried again after a pause: it is a
 * good certificate to the CA, and another would cost of its limits.  An owner's
 * own comes before it; while that is stopped, the CA's go on.
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
#include "sync/need.h"
#include "sync/renew.h"
#include "sync/roster.h"

/* What a work in hand needs while it waits for Redis. */
struct rollout {
	char sha1[41], node[64], why[256], tried[CANARY_TRIED_MAX];
	int64_t since, not_after, stops;
	bool custom; /* the owner's own */
};

static struct store_staged
as_staged(const struct rollout *r)
{
	return (struct store_staged){ .sha1 = r->sha1,
		.node = r->node,
		.why = r->why,
		.tried = r->tried,
		.since = r->since,
		.not_after = r->not_after,
		.custom = r->custom };
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
	if (e != NULL && strcmp(e->type, "WORSE") == 0) {
		/* What is served has got better meanwhile. */
		store_unstaged(in->store, name, in->epoch, w->rollout->custom,
		    unstaged, w);
		return;
	}
	rollout_end(w);
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
	enum domain_status status = work_unless_in_use(&w->d, DOMAIN_CREATING);
	bool news;

	if (e != NULL) {
		rollout_end(w);
		work_written(w, e);
		return;
	}
	snprintf(reason, sizeof(reason),
	    "the %s certificate is being proven by node %s, the canary",
	    w->rollout->custom ? "uploaded" : "new", w->rollout->node);
	/* As an upload that all nodes get at once. */
	if (w->rollout->custom)
		status = DOMAIN_CREATING;
	rollout_end(w);
	news = work_say(&w->d, status, reason);
	work_put_down(w, next, news ? "status" : NULL);
}

static int64_t
pause_after(const struct work *w, int64_t attempts)
{
	const struct conf *conf = w->in->conf;

	return renew_pause(attempts, (int64_t)conf->acme.retry_first_s * 1000,
	    (int64_t)conf->acme.retry_max_s * 1000, 0, loop_random(UINT32_MAX));
}

/*
 * Its owner is told, and can do something about it; whatever else the domain
 * needs goes on.
 */
static void
stopped_custom(struct work *w)
{
	const struct rollout *r = w->rollout;
	struct domain *d = &w->d;
	const char *rest = d->version > 0 ? "what was served before stays"
	                                  : "no node serves it";
	char reason[sizeof(d->reason)];

	if (r->node[0] != '\0')
		snprintf(reason, sizeof(reason),
		    "node %s, the canary, does not serve the uploaded "
		    "certificate: %.100s; %s",
		    r->node, r->why, rest);
	else
		snprintf(reason, sizeof(reason),
		    "the uploaded certificate was not served: %.120s; %s",
		    r->why, rest);
	snprintf(d->last_error, sizeof(d->last_error), "%s", reason);
	snprintf(d->action, sizeof(d->action),
	    "upload a certificate that HAProxy serves, or take this one away "
	    "(certfleet domains-ssl %s disable); it is tried again by itself, "
	    "should it be the node's fault",
	    d->name);
	work_say(d, DOMAIN_ACTION_REQUIRED, reason);
	log_error("domain=%s rollout=stopped canary=%s custom=yes "
		  "next_in_s=%lld error=\"%s\"",
	    d->name, r->node,
	    (long long)(d->custom_trial_at - loop_wall_ms()) / 1000, r->why);
	metric_count(METRIC_ROLLOUT, METRIC_ROLLOUT_STOPPED, 0);
	rollout_end(w);
	work_put_down(w,
	    need_next_at(d, loop_wall_ms(), intake_custom_before_ms(w->in)),
	    "failed");
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
	if (w->rollout->custom) {
		stopped_custom(w);
		return;
	}
	d->attempts++;
	pause = pause_after(w, d->attempts);
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
	struct store_staged s = as_staged(w->rollout);

	store_promote(w->in->store, w->name, w->in->epoch, &s, promoted, w);
}

static void
stop(struct work *w, const struct canary_next *next)
{
	struct rollout *r = w->rollout;
	int64_t again = loop_wall_ms() + w->in->conf->fleet.canary_limit_ms;
	struct store_staged s;

	memcpy(r->why, next->why, sizeof(r->why));
	r->tried[0] = '\0';
	s = as_staged(r);
	s.node = "";
	memcpy(r->node, next->node, sizeof(r->node));
	if (r->custom) {
		again = loop_wall_ms() + pause_after(w, r->stops + 1);
		w->d.custom_trial_at = again;
	}
	store_canary(
	    w->in->store, w->name, w->in->epoch, &s, again, stopped, w);
}

static void
carry_out(
    struct work *w, enum canary_verdict verdict, const struct canary_next *next)
{
	struct rollout *r = w->rollout;
	struct store *store = w->in->store;
	struct store_staged s;

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
		stop(w, next);
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
 * Is it still worth a trial?  Of the CA there is another when most of its time
 * is over, and instead of one that was imported and stopped when one is due.
 */
static bool
is_worth_it(const struct domain *d, const struct store_staged *s, int64_t now)
{
	if (s->sha1[0] == '\0')
		return false;
	if (s->custom)
		return now < s->not_after;
	if (s->imported && s->why[0] != '\0' && now >= renew_due(d))
		return false;
	return now < s->at + (s->not_after - s->at) / 3 * 2;
}

/* An owner's certificate is served, or Let's Encrypt is off: it is only kept. */
static bool
is_spare(const struct domain *d, const struct rollout *r)
{
	return !r->custom && (d->custom_sha1[0] != '\0' || !d->letsencrypt);
}

static void
got_staged(void *arg, const struct store_staged *s, const struct err *e)
{
	struct work *w = arg;
	const struct conf *conf = w->in->conf;
	struct rollout *r = w->rollout;

	if (e != NULL) {
		log_warn("domain=%s staged: %s", w->name, e->text);
		work_free(w);
		return;
	}
	if (!is_worth_it(&w->d, s, loop_wall_ms())) {
		store_unstaged(w->in->store, w->name, w->in->epoch, r->custom,
		    unstaged, w);
		return;
	}
	snprintf(r->sha1, sizeof(r->sha1), "%s", s->sha1);
	snprintf(r->node, sizeof(r->node), "%s", s->node);
	snprintf(r->tried, sizeof(r->tried), "%s", s->tried);
	r->since = s->since;
	r->not_after = s->not_after;
	r->stops = s->stops;
	if (strcmp(conf->fleet.rollout, "canary") != 0 || is_spare(&w->d, r))
		promote(w);
	else
		roster_ask(w->in->roster, got_nodes, w);
}

void
work_canary(struct work *w)
{
	w->rollout = xcalloc(1, sizeof(*w->rollout));
	w->rollout->custom = need_custom_trial(&w->d, loop_wall_ms());
	store_staged(w->in->store, w->name, w->rollout->custom, got_staged, w);
}
