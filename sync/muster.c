#include "sync/muster.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/table.h"
#include "sync/hold.h"
#include "sync/outbox.h"
#include "sync/restore.h"
#include "sync/store_heal.h"
#include "sync/watch.h"

#define TICK_MS 20       /* while there is something to wait for */
#define AGAIN_MS 1000    /* Redis does not answer */
#define BEATS_TO_OFFER 2 /* in which what is left is offered again */

/* A certificate on its way back into Redis. */
struct taking {
	LIST_ENTRY(taking) link;
	struct muster *muster;
	bool ours; /* from the outbox */
	char name[DOMAIN_NAME_MAX];
};

/* A node that was seen live, and whether it has answered this time. */
struct seen {
	UT_hash_handle hh;
	bool answered;
	char id[64];
};

struct muster {
	struct event_base *base;
	const struct conf *conf;
	const struct seal_ring *ring;
	struct store *store;
	struct watch *watch;
	const struct hold *hold;
	struct outbox *outbox;
	struct event *timer;
	LIST_HEAD(, taking) takings;
	struct seen *seen;
	int64_t epoch; /* 0: stopped */
	int64_t number;
	int64_t latest; /* whoever has not answered then is not waited for */
	int64_t restored_at; /* when the last certificate was, or we began */
	size_t nrestored;
	bool lost;     /* Redis has lost something */
	size_t turn;   /* whose offers are next */
	char from[64]; /* whose they are */
	muster_fn *fn; /* NULL: has been called */
	void *arg;
};

static void begin(void *);
static void look(void *);

struct muster *
muster_new(struct event_base *base, const struct conf *conf,
    const struct seal_ring *ring, struct store *store, struct watch *watch,
    const struct hold *hold, struct outbox *outbox)
{
	struct muster *m = xcalloc(1, sizeof(*m));

	m->base = base;
	m->conf = conf;
	m->ring = ring;
	m->store = store;
	m->watch = watch;
	m->hold = hold;
	m->outbox = outbox;
	LIST_INIT(&m->takings);
	return m;
}

static void
taking_free(struct taking *t)
{
	LIST_REMOVE(t, link);
	store_forget(t->muster->store, t);
	free(t);
}

void
muster_stop(struct muster *m)
{
	m->epoch = 0;
	while (!LIST_EMPTY(&m->takings))
		taking_free(LIST_FIRST(&m->takings));
	store_forget(m->store, m);
	loop_cancel(m->timer);
}

void
muster_free(struct muster *m)
{
	struct seen *s, *next;

	if (m == NULL)
		return;
	muster_stop(m);
	HASH_ITER (hh, m->seen, s, next) {
		HASH_DEL(m->seen, s);
		free(s);
	}
	loop_timer_free(&m->timer);
	free(m);
}

static void
later(struct muster *m, int64_t ms)
{
	loop_after(m->base, &m->timer, ms, look, m);
}

/* --- one offer -------------------------------------------------------------------- */

static void
one_done(struct muster *m)
{
	if (!LIST_EMPTY(&m->takings))
		return;
	later(m, m->fn != NULL ? TICK_MS : 0);
}

static void
settle_ours(const struct taking *t, enum store_restored what, int64_t gen)
{
	if (what == STORE_NOT_WANTED)
		outbox_drop(t->muster->outbox, t->name);
	else
		outbox_committed(t->muster->outbox, t->name, gen);
}

static void
restored(void *arg, enum store_restored what, int64_t gen, const struct err *e)
{
	struct taking *t = arg;
	struct muster *m = t->muster;

	if (e != NULL)
		log_warn("domain=%s certificate not taken back: %s %s", t->name,
		    e->type, e->text);
	else if (t->ours)
		settle_ours(t, what, gen);
	if (what == STORE_RESTORED) {
		log_info("domain=%s certificate taken back from %s", t->name,
		    t->ours ? "the outbox" : m->from);
		metric_count(METRIC_RESTORED,
		    t->ours ? METRIC_RESTORED_OUTBOX : METRIC_RESTORED_NODE, 0);
		m->restored_at = loop_now_ms();
		m->nrestored++;
	}
	taking_free(t);
	one_done(m);
}

/* Who sends it is not trusted with more than the key ring proves. */
static bool
take(struct muster *m, const struct store_offer *o, bool ours)
{
	struct taking *t;
	struct domain d;
	bool custom;
	struct err e = { 0 };

	domain_init(&d);
	d.epoch = m->epoch;
	if (restore_record(&d, &custom, m->conf, m->ring, o->name, o->bundle,
		o->len, loop_wall_ms(), &e) == -1) {
		log_warn("domain=%s certificate from %s is not taken back: %s",
		    o->name, ours ? "the outbox" : m->from, e.text);
		return false;
	}
	t = xcalloc(1, sizeof(*t));
	t->muster = m;
	t->ours = ours;
	snprintf(t->name, sizeof(t->name), "%s", o->name);
	LIST_INSERT_HEAD(&m->takings, t, link);
	store_restore(m->store, &d, custom, o, restored, t);
	return true;
}

static void
got_offers(
    void *arg, const struct store_offer *o, size_t n, const struct err *e)
{
	struct muster *m = arg;

	size_t taken = 0;

	if (e != NULL)
		log_warn("node=%s offers: %s", m->from, e->text);
	/* At once: what the node offers next must stay. */
	if (n > 0)
		store_offers_done(m->store, m->from);
	for (size_t i = 0; i < n; i++)
		taken += take(m, &o[i], false);
	m->lost |= n > 0;
	if (taken == 0)
		later(m, m->fn != NULL ? TICK_MS : m->conf->fleet.heartbeat_ms);
}

/* --- all nodes -------------------------------------------------------------------- */

static struct seen *
see(struct muster *m, const char *id)
{
	struct seen *s;

	HASH_FIND_STR(m->seen, id, s);
	if (s != NULL)
		return s;
	s = xcalloc(1, sizeof(*s));
	memcpy(s->id, id, strlen(id) + 1);
	HASH_ADD_STR(m->seen, id, s);
	return s;
}

/*
 * Note who has answered; who is no longer live is forgotten, unless Redis may
 * have forgotten it.  An older node's answer is INT64_MAX.
 */
static bool
all_answered(struct muster *m, const struct store_node *node, size_t n)
{
	bool all = true;
	struct seen *s;

	for (size_t i = 0; i < n; i++)
		if (node[i].live)
			see(m, node[i].id)->answered =
			    node[i].mustered == m->number ||
			    node[i].mustered == INT64_MAX;
	for (s = m->seen; s != NULL; s = s->hh.next)
		all &= s->answered;
	return all;
}

static void
forget_dead(struct muster *m, const struct store_node *node, size_t n)
{
	struct seen *s, *next;
	bool live;

	HASH_ITER (hh, m->seen, s, next) {
		live = false;
		for (size_t i = 0; i < n; i++)
			live |= node[i].live && strcmp(node[i].id, s->id) == 0;
		if (live)
			continue;
		HASH_DEL(m->seen, s);
		free(s);
	}
}

/* The next node that offers something, in turns; NULL: none does. */
static const char *
who_offers(struct muster *m, const struct store_node *node, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = (m->turn + i) % n;

		if (node[at].live && node[at].offers > 0) {
			m->turn = at + 1;
			return node[at].id;
		}
	}
	return NULL;
}

/* Nothing has come back for as long as it takes to offer the next. */
static bool
is_quiet(const struct muster *m, int64_t now)
{
	return now - m->restored_at >
	       (int64_t)m->conf->fleet.heartbeat_ms * BEATS_TO_OFFER;
}

static bool
is_complete(struct muster *m, bool all, bool offers, int64_t now)
{
	if (watch_mustered(m->watch) != m->number)
		return false;
	m->lost |= watch_went_back(m->watch) || hold_missing(m->hold) > 0;
	if (!m->lost)
		return true;
	if (now < m->latest && !all)
		return false;
	return !offers || is_quiet(m, now);
}

static void
complete(struct muster *m)
{
	muster_fn *fn = m->fn;

	m->fn = NULL;
	if (m->lost)
		log_warn("Redis had lost data: certificates=%zu brought back "
			 "by the nodes",
		    m->nrestored);
	fn(m->arg);
}

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct muster *m = arg;
	int64_t now = loop_now_ms();
	const char *who;
	bool all;

	if (e != NULL) {
		later(m, AGAIN_MS);
		return;
	}
	all = all_answered(m, node, n);
	who = who_offers(m, node, n);
	if (m->fn == NULL || !m->lost)
		forget_dead(m, node, n);
	later(m, m->fn != NULL ? TICK_MS : m->conf->fleet.heartbeat_ms);
	if (who != NULL) {
		loop_cancel(m->timer);
		snprintf(m->from, sizeof(m->from), "%s", who);
		store_offers(m->store, who, got_offers, m);
	}
	if (m->fn != NULL && is_complete(m, all, who != NULL, now))
		complete(m);
}

static void
look(void *arg)
{
	struct muster *m = arg;

	store_nodes(m->store, got_nodes, m);
}

/* What nobody has acknowledged may be what Redis has just lost. */
static void
take_ours(void *arg, const char *name, const void *bundle, size_t len)
{
	const struct store_offer o = { name, 0, bundle, len };
	struct muster *m = arg;

	if (!take(m, &o, true))
		outbox_drop(m->outbox, name);
}

/* --- begin ------------------------------------------------------------------------ */

static void
initialised(void *arg, const struct err *e)
{
	struct muster *m = arg;

	if (e != NULL) {
		log_warn("redis: %s", e->text);
		loop_after(m->base, &m->timer, AGAIN_MS, begin, m);
		return;
	}
	store_muster(m->store, m->number);
	watch_muster(m->watch, m->number);
	m->from[0] = '\0';
	outbox_each(m->outbox, false, take_ours, m);
	if (LIST_EMPTY(&m->takings))
		later(m, TICK_MS);
}

/* A Redis that is empty has not even the fleet's first settings. */
static void
begin(void *arg)
{
	struct muster *m = arg;

	store_init(m->store, initialised, m);
}

void
muster_start(struct muster *m, int64_t epoch, muster_fn *fn, void *arg)
{
	int64_t number = loop_wall_ms();
	struct seen *s;

	muster_stop(m);
	m->epoch = epoch;
	m->number = number > m->number ? number : m->number + 1;
	m->latest = loop_now_ms() + m->conf->fleet.node_ttl_ms;
	m->restored_at = loop_now_ms();
	m->nrestored = 0;
	m->lost = false;
	for (s = m->seen; s != NULL; s = s->hh.next)
		s->answered = false;
	m->fn = fn;
	m->arg = arg;
	loop_after(m->base, &m->timer, 0, begin, m);
}
