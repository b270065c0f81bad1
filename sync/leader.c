#include "sync/leader.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/store.h"

#define ELECTION_JITTER_MS 500
#define EPOCH_MAX (INT64_C(1) << 52) /* Lua counts no further by ones */

struct leader {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	leader_fn *fn;
	void *arg;
	struct event *renew, *deadline, *refused;
	int64_t asked_at; /* when the question in flight left */
	int64_t epoch;
	int64_t seen; /* the latest epoch that we were refused for */
	int64_t over; /* the epoch that was given up for it */
	char holder[64];
	bool asking, resigned;
};

static void ask(void *);
static void on_fenced(void *, int64_t seen);

struct leader *
leader_new(struct event_base *base, const struct conf *conf,
    struct store *store, leader_fn *fn, void *arg)
{
	struct leader *l = xcalloc(1, sizeof(*l));

	l->base = base;
	l->conf = conf;
	l->store = store;
	l->fn = fn;
	l->arg = arg;
	store_on_fenced(store, on_fenced, l);
	if (conf->fleet.candidate)
		loop_after(base, &l->renew, 0, ask, l);
	return l;
}

void
leader_free(struct leader *l)
{
	if (l == NULL)
		return;
	store_on_fenced(l->store, NULL, NULL);
	loop_timer_free(&l->renew);
	loop_timer_free(&l->deadline);
	loop_timer_free(&l->refused);
	free(l);
}

int64_t
leader_epoch(const struct leader *l)
{
	return l != NULL ? l->epoch : 0;
}

const char *
leader_holder(const struct leader *l)
{
	return l->holder;
}

static void
lead(struct leader *l, int64_t epoch)
{
	if (epoch == l->epoch)
		return;
	/* A new epoch begins anew: what was in flight belongs to the old one. */
	if (l->epoch != 0) {
		log_warn("leader=%s epoch=%lld stops leading", l->conf->node,
		    (long long)l->epoch);
		l->epoch = 0;
		l->fn(l->arg, false, 0);
	}
	if (epoch != 0) {
		log_info("leader=%s epoch=%lld leads", l->conf->node,
		    (long long)epoch);
		l->epoch = epoch;
		l->fn(l->arg, true, epoch);
	}
}

static void
deadline_passed(void *arg)
{
	struct leader *l = arg;

	log_warn("lease not renewed in time");
	lead(l, 0);
}

static void
got_lease(void *arg, bool granted, int64_t epoch, const char *holder,
    int64_t left_ms, const struct err *e)
{
	struct leader *l = arg;
	int64_t pause = l->conf->fleet.renew_ms, use;

	l->asking = false;
	if (l->resigned)
		return;
	if (e != NULL) {
		log_debug("lease: %s %s", e->type, e->text);
	} else {
		size_t n = strlen(holder);

		if (n < sizeof(l->holder))
			memcpy(l->holder, holder, n + 1);
		if (granted && epoch != l->over) {
			use = l->asked_at +
			      (int64_t)l->conf->fleet.lease_ms * 4 / 5 -
			      loop_now_ms();
			if (use > 0) {
				loop_after(l->base, &l->deadline, use,
				    deadline_passed, l);
				lead(l, epoch);
			}
		} else {
			loop_cancel(l->deadline);
			lead(l, 0);
			/* Be there when it ends, not all at the same moment. */
			if (left_ms < pause)
				pause = left_ms + 1 +
				        loop_random(ELECTION_JITTER_MS);
		}
	}
	loop_after(l->base, &l->renew, pause, ask, l);
}

static void
ask(void *arg)
{
	struct leader *l = arg;

	if (l->asking || l->resigned)
		return;
	l->asking = true;
	l->asked_at = loop_now_ms();
	store_lease(l->store, l->seen, got_lease, l);
}

static void
released(void *arg, const struct err *e)
{
	(void)arg;
	if (e != NULL)
		log_warn("lease not handed over: %s", e->text);
}

/*
 * A later leader has been at a record.  Most often it is the one that leads now,
 * and we hear of that when we ask.  Or it led a Redis that was cut off, and ours
 * is the lease but not the latest epoch: without another we would be refused for
 * ever.
 */
static void
outdated(void *arg)
{
	struct leader *l = arg;

	if (l->epoch == 0 || l->resigned || l->epoch >= l->seen)
		return;
	log_warn("leader=%s epoch=%lld is refused: epoch %lld has been there",
	    l->conf->node, (long long)l->epoch, (long long)l->seen);
	l->over = l->epoch;
	loop_cancel(l->deadline);
	lead(l, 0);
	store_release(l->store, l->over, released, NULL);
	loop_after(l->base, &l->renew, loop_random(ELECTION_JITTER_MS), ask, l);
}

static void
on_fenced(void *arg, int64_t seen)
{
	struct leader *l = arg;

	if (seen <= l->seen || seen >= EPOCH_MAX)
		return;
	l->seen = seen;
	loop_after(l->base, &l->refused, 0, outdated, l);
}

void
leader_stand_down(struct leader *l, int64_t ms)
{
	int64_t epoch = l->epoch;

	if (epoch == 0 || l->resigned)
		return;
	loop_cancel(l->deadline);
	store_forget(l->store, l);
	l->asking = false;
	lead(l, 0);
	store_release(l->store, epoch, released, NULL);
	loop_after(l->base, &l->renew, ms, ask, l);
}

void
leader_resign(struct leader *l)
{
	int64_t epoch = l->epoch;

	l->resigned = true;
	loop_cancel(l->renew);
	loop_cancel(l->deadline);
	loop_cancel(l->refused);
	lead(l, 0);
	if (epoch != 0)
		store_release(l->store, epoch, released, NULL);
}
