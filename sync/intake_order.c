/* Intake: a domain that needs a certificate, from the DNS check to the order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/ca.h"
#include "sync/check.h"
#include "sync/dns01.h"
#include "sync/driver.h"
#include "sync/intake_impl.h"
#include "sync/limit.h"
#include "sync/renew.h"
#include "sync/spread.h"

/* Its order has ended: the place is another's. */
static void
leave(struct work *w)
{
	struct intake *in = w->in;

	lanes_leave(&in->lanes, &w->lane);
	admission_ended(
	    &in->admission, lanes_waiting(&in->lanes) > 0, loop_now_ms());
	intake_next_orders(in);
	intake_call_back(in);
}

static void
failed(struct work *w, const struct err *e)
{
	const struct conf *conf = w->in->conf;
	struct domain *d = &w->d;
	int64_t now = loop_wall_ms(), pause;
	char reason[sizeof(d->reason)];

	leave(w);
	d->attempts++;
	pause =
	    renew_pause(d->attempts, (int64_t)conf->acme.retry_first_s * 1000,
		(int64_t)conf->acme.retry_max_s * 1000, e->retry_ms,
		loop_random(UINT32_MAX));
	pause = renew_hurry(pause, d->not_after, now,
	    (int64_t)conf->acme.retry_first_s * 1000, e->retry_ms);
	d->rate_limited_until = e->kind == ERR_LIMITED ? now + pause : 0;
	snprintf(d->last_error, sizeof(d->last_error), "%s", e->text);
	snprintf(reason, sizeof(reason), "%s%.230s",
	    d->status == DOMAIN_IN_USE ? "renewal failed: " : "", e->text);
	if (e->kind == ERR_CONFIG || e->kind == ERR_BUG)
		log_error("domain=%s attempt=%lld next_in_s=%lld error=\"%s\"",
		    d->name, (long long)d->attempts, (long long)pause / 1000,
		    e->text);
	else
		log_warn("domain=%s attempt=%lld next_in_s=%lld error=\"%s\"",
		    d->name, (long long)d->attempts, (long long)pause / 1000,
		    e->text);
	work_say(d,
	    strcmp(e->type, LIMIT_PAUSED) == 0
		? DOMAIN_ACTION_REQUIRED
		: work_unless_in_use(d, DOMAIN_CREATING),
	    reason);
	work_put_down(w, now + pause, "failed");
}

/* Nothing has failed: there is a place for it at the CA later. */
static void
wait_for_limit(struct work *w, const struct err *e)
{
	struct domain *d = &w->d;
	int64_t now = loop_wall_ms(), free_at = now + e->retry_ms;
	char reason[sizeof(d->reason)];
	bool news;

	leave(w);
	snprintf(reason, sizeof(reason), "%s%.230s",
	    d->status == DOMAIN_IN_USE ? "renewal waits: " : "", e->text);
	d->rate_limited_until = free_at;
	news = work_say(d, work_unless_in_use(d, DOMAIN_CREATING), reason);
	log_info("domain=%s rate_limited_until=%lld reason=\"%s\"", d->name,
	    (long long)free_at, reason);
	work_put_down(w,
	    now + limit_pause(free_at, now, loop_random(UINT32_MAX)),
	    news ? "status" : NULL);
}

static void
ordered(void *arg, const struct domain *d, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	char name[DOMAIN_NAME_MAX];
	bool acked, staged;

	if (e != NULL && limit_waits(e)) {
		wait_for_limit(w, e);
		return;
	}
	if (e != NULL && strcmp(e->type, DNS01_BY_HAND) == 0) {
		work_take_record(w, d, e->text);
		return;
	}
	if (e != NULL && strcmp(e->type, LIMIT_PAUSED) == 0)
		memcpy(w->d.action, d->action, sizeof(w->d.action));
	if (e != NULL && strcmp(e->type, "FENCED") != 0 &&
	    strcmp(e->type, "GONE") != 0) {
		failed(w, e);
		return;
	}
	if (e != NULL)
		log_info("domain=%s order put down: %s", w->name, e->text);
	/*
	 * The commit has written the record; the nodes are at work now, and
	 * will say so, unless one was faster than the commit's answer.  A
	 * canary has yet to be chosen.
	 */
	in->moved += e == NULL;
	if (e == NULL)
		in->committed_at = loop_wall_ms();
	staged = e == NULL && d->gen == 0;
	if (e == NULL && !staged)
		intake_wait_for_proof(in, d->name, d->gen);
	acked = e == NULL && gens_reached(&in->acked, d->name, d->gen);
	memcpy(name, w->name, sizeof(name));
	leave(w);
	work_free(w);
	if (acked || staged)
		intake_take(in, name);
}

/* The order has not gone further than this: it stops here. */
static void
told(void *arg, const struct err *e)
{
	struct work *w = arg;

	if (e == NULL)
		return;
	driver_cancel(w->in->driver, w);
	work_written(w, e);
}

static void
begin_order(struct work *w)
{
	struct intake *in = w->in;
	enum domain_status status = work_unless_in_use(&w->d, DOMAIN_CREATING);
	int64_t until = w->d.acme_dns_until;
	bool news;

	work_forget_record(&w->d);
	w->d.action[0] = '\0';
	w->d.rate_limited_until = 0;
	news = work_say(&w->d, status,
	    status == DOMAIN_IN_USE ? "being renewed"
				    : "ordering the certificate");
	/* The driver wants to know whether the order is still worth anything. */
	w->d.acme_dns_until = until;
	w->d.next_at = 0;
	/* Redis does one after the other, and answers so. */
	if (news)
		store_update(in->store, &w->d, -1, "status", told, w);
	/* What the record says when the certificate is committed. */
	snprintf(w->d.reason, sizeof(w->d.reason),
	    "certificate issued, on its way to the nodes");
	driver_run(in->driver, &w->d,
	    w->not_second != NULL ? w->not_second : "", ordered, w);
}

void
intake_order_waits(void *arg)
{
	struct work *w = arg;

	if (!w->waits)
		w->in->waits++;
	w->waits = true;
	lanes_leave(&w->in->lanes, &w->lane);
	intake_next_orders(w->in);
}

void
intake_next_orders(struct intake *in)
{
	struct work *w;

	while ((w = lanes_next(&in->lanes)) != NULL)
		begin_order(w);
}

void
work_rests(void *arg, bool resting)
{
	struct work *w = arg;

	lanes_rest(&w->in->lanes, &w->lane, resting);
	if (resting)
		intake_next_orders(w->in);
}

static enum lane
lane_of(const struct domain *d, int64_t now)
{
	if (renew_urgent(d, now))
		return LANE_URGENT;
	if (d->attempts > 0)
		return LANE_RETRY;
	return d->version > 0 ? LANE_RENEWAL : LANE_NEW;
}

/* There is no room in its lane: it comes again when there will be. */
static void
turn_away(struct work *w, enum lane lane)
{
	struct intake *in = w->in;
	struct domain *d = &w->d;
	int64_t pause = admission_again(&in->admission, lane,
	    lanes_waiting_in(&in->lanes, lane), loop_now_ms());
	bool news = false;

	if (lane == LANE_NEW)
		news = work_say(d, DOMAIN_CREATING,
		    "its DNS is right; many others are before it, it is "
		    "ordered when it is its turn");
	intake_send_away(in, lane, w->name);
	work_put_down(w, loop_wall_ms() + pause, news ? "status" : NULL);
}

/* Queue for an order; whoever cannot wait here comes again. */
static void
queue(struct work *w)
{
	struct intake *in = w->in;
	const struct domain *d = &w->d;
	int64_t now = loop_wall_ms();
	enum lane lane = lane_of(d, now);
	/* Who has nothing to lose comes after who has come before. */
	int64_t deadline =
	    lane == LANE_URGENT || d->not_after > now ? d->not_after : now;

	if (lanes_put(&in->lanes, &w->lane, lane, d->app, deadline, w) == -1)
		turn_away(w, lane);
	else
		intake_next_orders(in);
}

/* Its hedge against a CA that is away is worth nothing: say so in time. */
static void
note_second(struct work *w, const struct err *second)
{
	const struct domain *d = &w->d;

	free(w->not_second);
	w->not_second = second != NULL ? xstrdup(second->text) : NULL;
	if (second != NULL && d->version > 0 &&
	    loop_wall_ms() >= renew_last_tenth(d))
		log_warn("domain=%s its certificate ends soon, and the second "
			 "CA may not be asked: %s",
		    d->name, second->text);
}

static void
checked(void *arg, enum precheck_verdict verdict, const struct err *why,
    const struct err *second)
{
	struct work *w = arg;
	struct domain *d = &w->d;
	int64_t next = loop_wall_ms() + w->in->conf->dns.check_interval_ms;
	bool news = false;

	switch (verdict) {
	case PRECHECK_OK:
		note_second(w, second);
		queue(w);
		return;
	case PRECHECK_AGAIN:
		/* Nothing is known, so nothing is said but that. */
		news = work_say(d, d->status, why->text);
		break;
	case PRECHECK_PENDING:
	case PRECHECK_PROBE:
	case PRECHECK_CAA:
		news = work_say(
		    d, work_unless_in_use(d, DOMAIN_PENDING_DNS), why->text);
		break;
	}
	work_put_down(w, next, news ? "status" : NULL);
}

/*
 * After an outage many renewals are overdue: they begin at an even pace, but
 * for those that are urgent.  Returns how long this one is to wait, at most
 * until it is.
 */
static int64_t
spread(struct work *w)
{
	struct intake *in = w->in;
	const struct domain *d = &w->d;
	int64_t now = loop_wall_ms(), left = renew_urgent_at(d) - now, wait;

	if (d->version == 0 || d->attempts > 0 || left <= 0)
		return 0;
	wait = spread_take(
	    &in->spread, 60000 / in->conf->acme.renewals_per_minute, now);
	return wait < left ? wait : left;
}

void
work_certificate(struct work *w)
{
	enum lane lane = lane_of(&w->d, loop_wall_ms());
	int64_t wait;

	/* What its DNS says is worth a look only once until it is its turn. */
	if (w->d.status != DOMAIN_PENDING_DNS &&
	    w->d.status != DOMAIN_DISABLED && lanes_full(&w->in->lanes, lane)) {
		turn_away(w, lane);
		return;
	}
	wait = spread(w);
	if (wait > 0) {
		work_put_down(w, loop_wall_ms() + wait, NULL);
		return;
	}
	if (w->d.status == DOMAIN_DISABLED)
		work_say(&w->d, DOMAIN_PENDING_DNS, "its DNS is being checked");
	check_start(
	    w->in->checks, w->name, ca_thumbprint(w->in->ca), checked, w);
}
