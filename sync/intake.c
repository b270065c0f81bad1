#include "sync/intake.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "common/table.h"
#include "sync/ca.h"
#include "sync/check.h"
#include "sync/driver.h"
#include "sync/lane.h"
#include "sync/limit.h"
#include "sync/need.h"
#include "sync/platform.h"
#include "sync/renew.h"
#include "sync/renewal_info.h"
#include "sync/revoke.h"
#include "sync/roster.h"
#include "sync/skew.h"
#include "sync/store.h"

#define TICK_MS 1000 /* how often to look for what is due */
#define IN_HAND_MAX 2048
#define LANE_MAX 512   /* that wait for an order, in each lane */
#define PROOF_MS 10000 /* ask the nodes again, if none reports */
#define PLATFORM_MS (24 * 3600 * 1000) /* is it still covered? */
#define BUSY_MS 5000                   /* the lane is full: come again */
#define URGENT_PART 10 /* renewals in the last tenth are not paced */
#define PACE_BURST 8   /* renewals that may begin at the same moment */

/* A domain in hand, from being claimed to its next due time being written. */
struct work {
	UT_hash_handle hh;
	struct intake *in;
	char name[DOMAIN_NAME_MAX];
	struct domain d; /* without the fields we do not know */
	bool again;      /* kicked while in hand: look once more */
	struct lane_item lane;
};

struct intake {
	struct event_base *base;
	const struct conf *conf;
	const struct skew *skew;
	const struct platform *platform;
	struct revokes *revokes;
	struct store *store;
	struct checks *checks;
	struct driver *driver;
	struct ca *ca;
	struct roster *roster;
	struct renewal_info *renewal_info;
	int64_t epoch; /* 0: not leading */
	struct work *table;
	struct event *tick;
	struct lanes lanes;
	int64_t pace; /* when the next renewal may begin, if it is not urgent */
	/* Names waiting for proof, by the generation they wait for. */
	struct waiting *waiting;
	int64_t acked; /* the highest generation that a node has told */
	bool claiming;
};

struct waiting {
	UT_hash_handle hh;
	char name[DOMAIN_NAME_MAX];
	int64_t gen;
};

static void claim(void *);
static void look(struct work *);
static void certificate(struct work *);
static void proof(struct work *);
static void next_orders(struct intake *);

struct intake *
intake_new(struct event_base *base, const struct conf *conf,
    const struct skew *skew, struct store *store, struct checks *checks,
    struct driver *driver, struct ca *ca, struct roster *roster,
    struct renewal_info *renewal_info)
{
	struct intake *in = xcalloc(1, sizeof(*in));

	in->base = base;
	in->conf = conf;
	in->skew = skew;
	in->store = store;
	in->checks = checks;
	in->driver = driver;
	in->ca = ca;
	in->roster = roster;
	in->renewal_info = renewal_info;
	lanes_init(&in->lanes, conf->acme.max_in_flight, LANE_MAX);
	return in;
}

void
intake_platform(struct intake *in, const struct platform *platform)
{
	in->platform = platform;
}

void
intake_revokes(struct intake *in, struct revokes *revokes)
{
	in->revokes = revokes;
}

static void
work_free(struct work *w)
{
	HASH_DEL(w->in->table, w);
	lanes_leave(&w->in->lanes, &w->lane);
	check_cancel(w->in->checks, w);
	driver_cancel(w->in->driver, w);
	revoke_cancel(w->in->revokes, w);
	renewal_info_cancel(w->in->renewal_info, w);
	store_forget(w->in->store, w);
	roster_forget(w->in->roster, w);
	free(w);
}

static void
forget_waiting(struct intake *in, const char *name)
{
	struct waiting *x;

	HASH_FIND_STR(in->waiting, name, x);
	if (x != NULL) {
		HASH_DEL(in->waiting, x);
		free(x);
	}
}

void
intake_stop(struct intake *in)
{
	struct work *w, *next;
	struct waiting *x, *xnext;

	in->epoch = 0;
	loop_cancel(in->tick);
	store_forget(in->store, in);
	in->claiming = false;
	HASH_ITER (hh, in->table, w, next)
		work_free(w);
	HASH_ITER (hh, in->waiting, x, xnext) {
		HASH_DEL(in->waiting, x);
		free(x);
	}
}

void
intake_free(struct intake *in)
{
	if (in == NULL)
		return;
	intake_stop(in);
	loop_timer_free(&in->tick);
	free(in);
}

void
intake_start(struct intake *in, int64_t epoch)
{
	in->epoch = epoch;
	loop_after(in->base, &in->tick, 0, claim, in);
}

void
intake_kick(struct intake *in)
{
	if (in->epoch != 0 && !in->claiming)
		loop_after(in->base, &in->tick, 0, claim, in);
}

/* --- what is due ----------------------------------------------------------------- */

static void
take(struct intake *in, const char *name)
{
	struct work *w;

	HASH_FIND_STR(in->table, name, w);
	if (w != NULL || strlen(name) >= DOMAIN_NAME_MAX)
		return;
	w = xcalloc(1, sizeof(*w));
	w->in = in;
	memcpy(w->name, name, strlen(name) + 1);
	HASH_ADD_STR(in->table, name, w);
	look(w);
}

static void
claimed(void *arg, const char *const *names, size_t n, const struct err *e)
{
	struct intake *in = arg;
	int64_t pause = TICK_MS;

	in->claiming = false;
	if (e != NULL)
		log_debug("due names: %s", e->text);
	for (size_t i = 0; e == NULL && i < n; i++)
		take(in, names[i]);
	if (in->conf->dns.check_interval_ms / 2 < pause)
		pause = in->conf->dns.check_interval_ms / 2;
	loop_after(in->base, &in->tick, pause, claim, in);
}

/*
 * Claimed names come back after a lease's time if we die over them; those we
 * still have in hand then are passed over by take().
 */
static void
claim(void *arg)
{
	struct intake *in = arg;
	size_t in_hand = HASH_COUNT(in->table);

	if (in->claiming || in->epoch == 0)
		return;
	if (in_hand >= IN_HAND_MAX ||
	    skew_implausible(in->skew, loop_wall_ms())) {
		loop_after(in->base, &in->tick, TICK_MS, claim, in);
		return;
	}
	in->claiming = true;
	store_claim(in->store, 0, loop_wall_ms(), (int)(IN_HAND_MAX - in_hand),
	    in->conf->fleet.lease_ms, claimed, in);
}

/* --- one domain ------------------------------------------------------------------- */

static void
written(void *arg, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	bool again = w->again;
	char name[DOMAIN_NAME_MAX];

	memcpy(name, w->name, sizeof(name));
	/* The owner was faster: judge anew. */
	if (e != NULL && strcmp(e->type, "CHANGED") == 0) {
		again = true;
	} else if (e != NULL) {
		again = false;
		log_warn(
		    "domain=%s not written: %s %s", w->name, e->type, e->text);
	}
	work_free(w);
	next_orders(in);
	if (again)
		take(in, name);
}

/* Put the domain down until next_at. */
static void
put_down(struct work *w, int64_t next_at, const char *event)
{
	w->d.next_at = next_at;
	store_update(w->in->store, &w->d, next_at, event, written, w);
}

/* Change the status; true when people will see a difference. */
static bool
say(struct domain *d, enum domain_status status, const char *reason)
{
	bool changed = d->status != status;
	bool news = changed || strcmp(d->reason, reason) != 0;

	if (changed) {
		log_info("domain=%s status=%s reason=\"%s\"", d->name,
		    domain_status_name(status), reason);
		d->status = status;
		d->status_at = loop_wall_ms();
	}
	snprintf(d->reason, sizeof(d->reason), "%s", reason);
	return news;
}

/* A certificate that still serves is not talked down by what fails now. */
static enum domain_status
unless_in_use(const struct domain *d, enum domain_status status)
{
	int64_t now = loop_wall_ms();
	bool serves = d->version > 0 && d->proven == d->version;

	if (d->not_after > now &&
	    (d->status == DOMAIN_IN_USE ||
		(d->status == DOMAIN_ACTION_REQUIRED && serves)))
		return DOMAIN_IN_USE;
	if (d->status == DOMAIN_NOT_USED && need_custom_serves(d, now))
		return DOMAIN_NOT_USED;
	return status;
}

static int64_t
custom_before_ms(const struct intake *in)
{
	return (int64_t)in->conf->acme.custom_days * 24 * 3600 * 1000;
}

/* The leader's switch to the managed certificate has been made, or not. */
static void
taken_over(void *arg, bool yes, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	char name[DOMAIN_NAME_MAX];

	memcpy(name, w->name, sizeof(name));
	if (e != NULL)
		log_warn("domain=%s not switched: %s", name, e->text);
	else if (yes)
		log_info("domain=%s custom=gone managed=served", name);
	work_free(w);
	if (e == NULL && yes)
		take(in, name);
}

/* Without a certificate of its own, is it served by the platform's? */
static bool
by_platform(const struct intake *in, const struct domain *d, int64_t now)
{
	return d->custom_sha1[0] == '\0' &&
	       (d->sha1[0] == '\0' || !d->letsencrypt) &&
	       platform_covers(in->platform, d->name, now);
}

static void
put_down_platform(struct work *w)
{
	int64_t end = platform_not_after(w->in->platform);
	int64_t next =
	    loop_wall_ms() + PLATFORM_MS / 2 + loop_random(PLATFORM_MS / 2);
	char reason[sizeof(w->d.reason)], at[STR_TIME_MAX];
	bool news;

	snprintf(reason, sizeof(reason),
	    "served by the platform certificate until %s", str_time(at, end));
	news = say(&w->d, DOMAIN_IN_USE, reason);
	forget_waiting(w->in, w->name);
	put_down(w, next < end ? next : end, news ? "status" : NULL);
}

/* Revoked: judge anew.  Not: try again, but never at a renewal's expense. */
static void
revoked(void *arg, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	const struct conf *conf = in->conf;
	char name[DOMAIN_NAME_MAX];
	int64_t pause;

	memcpy(name, w->name, sizeof(name));
	if (e == NULL) {
		work_free(w);
		take(in, name);
		return;
	}
	log_warn("domain=%s not revoked: %s", name, e->text);
	snprintf(w->d.last_error, sizeof(w->d.last_error),
	    "not revoked: %.240s", e->text);
	if (w->d.letsencrypt && loop_wall_ms() >= w->d.renew_at) {
		certificate(w);
		return;
	}
	w->d.attempts++;
	pause =
	    renew_pause(w->d.attempts, (int64_t)conf->acme.retry_first_s * 1000,
		(int64_t)conf->acme.retry_max_s * 1000, e->retry_ms,
		loop_random(UINT32_MAX));
	put_down(w, loop_wall_ms() + pause, "failed");
}

static void
got_renewal_info(void *arg, bool moved)
{
	struct work *w = arg;

	put_down(w, renew_due(&w->d), moved ? "renewal_moved" : NULL);
}

static void
got_record(void *arg, const struct domain *d, const struct err *e)
{
	struct work *w = arg;
	int64_t now = loop_wall_ms();
	enum need need;
	bool news;

	if (e != NULL || d == NULL) {
		if (e != NULL)
			log_warn("domain=%s not read: %s", w->name, e->text);
		work_free(w);
		return;
	}
	w->d = *d;
	w->d.extra = NULL;
	w->d.nextra = 0;
	w->d.epoch = w->in->epoch;
	if (by_platform(w->in, d, now)) {
		put_down_platform(w);
		return;
	}
	need = need_of(d, now, custom_before_ms(w->in));
	if (need != NEED_PROOF)
		forget_waiting(w->in, w->name);
	switch (need) {
	case NEED_NOTHING:
		put_down(
		    w, need_next_at(d, now, custom_before_ms(w->in)), NULL);
		break;
	case NEED_REVOCATION:
		revoke_start(w->in->revokes, &w->d, revoked, w);
		break;
	case NEED_TAKE_OVER:
		store_custom_clear(
		    w->in->store, w->name, w->in->epoch, taken_over, w);
		break;
	case NEED_OWNER:
		news = say(&w->d, DOMAIN_DISABLED,
		    "its custom certificate has expired and Let's Encrypt is "
		    "switched off: upload a new one or switch it on");
		put_down(w, 0, news ? "status" : NULL);
		break;
	case NEED_CERTIFICATE:
		certificate(w);
		break;
	case NEED_RENEWAL_INFO:
		renewal_info_ask(
		    w->in->renewal_info, &w->d, got_renewal_info, w);
		break;
	case NEED_PROOF:
		proof(w);
		break;
	case NEED_SWITCH_OFF:
		news = say(&w->d, DOMAIN_DISABLED,
		    "Let's Encrypt is switched off for this domain");
		put_down(w, 0, news ? "status" : NULL);
		break;
	case NEED_DNS01:
		news = say(&w->d, unless_in_use(d, DOMAIN_ACTION_REQUIRED),
		    "wildcard certificates need dns-01, which this version "
		    "does not do yet; add the names one by one");
		put_down(w, 0, news ? "status" : NULL);
		break;
	}
}

static void
look(struct work *w)
{
	store_get(w->in->store, w->name, got_record, w);
}

/* --- a certificate is needed: DNS first, then the order ----------------------------- */

static void
failed(struct work *w, const struct err *e)
{
	const struct conf *conf = w->in->conf;
	struct domain *d = &w->d;
	int64_t now = loop_wall_ms(), pause;
	char reason[sizeof(d->reason)];

	lanes_leave(&w->in->lanes, &w->lane);
	next_orders(w->in);
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
	say(d,
	    strcmp(e->type, LIMIT_PAUSED) == 0
		? DOMAIN_ACTION_REQUIRED
		: unless_in_use(d, DOMAIN_CREATING),
	    reason);
	put_down(w, now + pause, "failed");
}

static void
wait_for_proof(struct intake *in, const char *name, int64_t gen)
{
	struct waiting *x;

	HASH_FIND_STR(in->waiting, name, x);
	if (x == NULL) {
		x = xcalloc(1, sizeof(*x));
		memcpy(x->name, name, strlen(name) + 1);
		HASH_ADD_STR(in->waiting, name, x);
	}
	x->gen = gen;
}

/* Nothing has failed: there is a place for it at the CA later. */
static void
wait_for_limit(struct work *w, const struct err *e)
{
	struct domain *d = &w->d;
	int64_t now = loop_wall_ms(), free_at = now + e->retry_ms;
	char reason[sizeof(d->reason)];
	bool news;

	lanes_leave(&w->in->lanes, &w->lane);
	next_orders(w->in);
	snprintf(reason, sizeof(reason), "%s%.230s",
	    d->status == DOMAIN_IN_USE ? "renewal waits: " : "", e->text);
	d->rate_limited_until = free_at;
	news = say(d, unless_in_use(d, DOMAIN_CREATING), reason);
	log_info("domain=%s rate_limited_until=%lld reason=\"%s\"", d->name,
	    (long long)free_at, reason);
	put_down(w, now + limit_pause(free_at, now, loop_random(UINT32_MAX)),
	    news ? "status" : NULL);
}

static void
ordered(void *arg, const struct domain *d, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	char name[DOMAIN_NAME_MAX];
	bool acked;

	if (e != NULL && limit_waits(e)) {
		wait_for_limit(w, e);
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
	 * will say so, unless one was faster than the commit's answer.
	 */
	if (e == NULL)
		wait_for_proof(in, d->name, d->gen);
	acked = e == NULL && d->gen <= in->acked;
	memcpy(name, w->name, sizeof(name));
	work_free(w);
	next_orders(in);
	if (e == NULL && acked)
		take(in, name);
}

static void
order(void *arg, const struct err *e)
{
	struct work *w = arg;

	if (e != NULL) {
		written(w, e);
		return;
	}
	/* What the record says when the certificate is committed. */
	snprintf(w->d.reason, sizeof(w->d.reason),
	    "certificate issued, on its way to the nodes");
	driver_run(w->in->driver, &w->d, ordered, w);
}

static void
begin_order(struct work *w)
{
	struct intake *in = w->in;
	bool renewal = w->d.status == DOMAIN_IN_USE, news;

	w->d.action[0] = '\0';
	w->d.rate_limited_until = 0;
	news = say(&w->d, unless_in_use(&w->d, DOMAIN_CREATING),
	    renewal ? "being renewed" : "ordering the certificate");
	w->d.next_at = 0;
	if (news)
		store_update(in->store, &w->d, -1, "status", order, w);
	else
		order(w, NULL);
}

static void
next_orders(struct intake *in)
{
	struct work *w;

	while ((w = lanes_next(&in->lanes)) != NULL)
		begin_order(w);
}

/*
 * After an outage many renewals are overdue: they begin at an even pace, but
 * for those that have little time left.  Returns how long this one is to wait.
 */
static int64_t
pace(struct intake *in, const struct domain *d, int64_t now)
{
	int64_t step = 60000 / in->conf->acme.renewals_per_minute;

	if (d->not_after - now < (d->not_after - d->not_before) / URGENT_PART)
		return 0;
	if (in->pace < now - PACE_BURST * step)
		in->pace = now - PACE_BURST * step;
	if (in->pace > now)
		return in->pace - now + loop_random(BUSY_MS);
	in->pace += step;
	return 0;
}

/* Queue for an order; whoever cannot wait here comes again. */
static void
queue(struct work *w)
{
	struct intake *in = w->in;
	const struct domain *d = &w->d;
	int64_t now = loop_wall_ms(), wait = 0;
	enum lane lane = d->attempts > 0  ? LANE_RETRY
	                 : d->version > 0 ? LANE_RENEWAL
	                                  : LANE_NEW;

	if (lane == LANE_RENEWAL)
		wait = pace(in, d, now);
	if (wait > 0 || lanes_put(&in->lanes, &w->lane, lane, d->app, w) == -1)
		put_down(w, now + (wait > 0 ? wait : BUSY_MS), NULL);
	else
		next_orders(in);
}

static void
checked(void *arg, enum precheck_verdict verdict, const struct err *why)
{
	struct work *w = arg;
	struct domain *d = &w->d;
	int64_t next = loop_wall_ms() + w->in->conf->dns.check_interval_ms;
	bool news = false;

	switch (verdict) {
	case PRECHECK_OK:
		queue(w);
		return;
	case PRECHECK_AGAIN:
		/* Nothing is known, so nothing is said but that. */
		news = say(d, d->status, why->text);
		break;
	case PRECHECK_PENDING:
	case PRECHECK_PROBE:
	case PRECHECK_CAA:
		news = say(d, unless_in_use(d, DOMAIN_PENDING_DNS), why->text);
		break;
	}
	put_down(w, next, news ? "status" : NULL);
}

static void
certificate(struct work *w)
{
	if (w->d.status == DOMAIN_DISABLED)
		say(&w->d, DOMAIN_PENDING_DNS, "its DNS is being checked");
	check_start(
	    w->in->checks, w->name, ca_thumbprint(w->in->ca), checked, w);
}

/* --- a certificate is on its way: do the nodes serve it? ----------------------------- */

static void
say_served(struct domain *d, const char *by)
{
	char reason[sizeof(d->reason)], at[STR_TIME_MAX];

	if (d->custom_sha1[0] == '\0') {
		say(d, DOMAIN_IN_USE, by);
		return;
	}
	snprintf(reason, sizeof(reason),
	    "the certificate uploaded by the owner is served until %s",
	    str_time(at, d->custom_not_after));
	say(d, DOMAIN_NOT_USED, reason);
}

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct work *w = arg;
	int64_t now = loop_wall_ms();
	struct domain *d = &w->d;
	char why[sizeof(d->reason)];
	bool news;
	int proven;

	if (e != NULL) {
		log_warn("domain=%s nodes: %s", w->name, e->text);
		work_free(w);
		return;
	}
	proven = need_proven(d, node, n, why, sizeof(why));
	if (proven == 1) {
		d->proven = d->version;
		say_served(d, why);
		forget_waiting(w->in, w->name);
		store_proven(w->in->store, w->name);
		put_down(
		    w, need_next_at(d, now, custom_before_ms(w->in)), "status");
		return;
	}
	if (proven == -1)
		snprintf(d->last_error, sizeof(d->last_error), "%s", why);
	else
		wait_for_proof(w->in, w->name, d->gen);
	news = say(d, unless_in_use(d, DOMAIN_CREATING), why);
	put_down(w, loop_wall_ms() + PROOF_MS, news ? "status" : NULL);
}

static void
proof(struct work *w)
{
	roster_ask(w->in->roster, got_nodes, w);
}

void
intake_ack(struct intake *in, const char *text)
{
	const char *space = strchr(text, ' ');
	struct waiting *x, *next;
	struct work *w;
	int64_t gen;

	if (in->epoch == 0 || space == NULL ||
	    str_int(space + 1, 0, INT64_MAX, &gen) == -1)
		return;
	if (gen > in->acked)
		in->acked = gen;
	HASH_ITER (hh, in->waiting, x, next) {
		if (x->gen > gen)
			continue;
		HASH_FIND_STR(in->table, x->name, w);
		if (w != NULL)
			w->again = true;
		else
			take(in, x->name);
	}
}
