#include "sync/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ledger.h"
#include "sync/ledger_file.h"
#include "sync/limits_impl.h"
#include "sync/limits_replay.h"
#include "sync/renew.h"
#include "sync/store.h"
#include "sync/store_limit.h"
#include "sync/turn.h"

#define FORGET_MS (10 * 60 * 1000)
#define EDGE_MS 1000 /* the end of a window: either clock may be right */

static void ask(struct spending *);
static void forget(void *);

/* What is older than its window is needed no longer. */
static void
forget(void *arg)
{
	struct limits *l = arg;
	int64_t since[LIMIT_BUCKETS], now = loop_wall_ms();
	struct limit limit;
	struct err e;

	for (int b = 0; b < LIMIT_BUCKETS; b++) {
		limit_of(l->conf, l->conf->acme.directory, (enum limit_bucket)b,
		    "example.com", &limit);
		since[b] = now - limit.window_ms - EDGE_MS;
	}
	ledger_forget(l->ledger, since);
	turns_forget(l->turns, now);
	if (l->file != NULL && l->writing == NULL && l->lines.len == 0 &&
	    ledger_file_large(l->file, l->ledger) &&
	    ledger_file_rewrite(l->file, l->ledger, &e) == -1)
		log_warn("%s", e.text);
	loop_after(l->base, &l->forget, FORGET_MS, forget, l);
}

struct limits *
limits_new(struct event_base *base, const struct conf *conf,
    struct store *store, struct worker *worker)
{
	struct limits *l = xcalloc(1, sizeof(*l));
	struct err e;

	l->base = base;
	l->conf = conf;
	l->store = store;
	l->worker = worker;
	l->ledger = ledger_new();
	l->turns = turns_new();
	LIST_INIT(&l->asking);
	LIST_INIT(&l->written);
	buf_init(&l->lines, LIMITS_LINES_MAX);
	l->file = ledger_file_new(conf->state_dir, l->ledger, &e);
	if (l->file == NULL)
		log_error(
		    "%s; the CA's limits are counted in Redis alone", e.text);
	forget(l);
	return l;
}

void
limits_free(struct limits *l)
{
	if (l == NULL)
		return;
	limits_stop(l);
	/* What is in no one's way now, but must not be lost. */
	while (!LIST_EMPTY(&l->asking))
		limits_spending_free(LIST_FIRST(&l->asking));
	while (!LIST_EMPTY(&l->written))
		limits_spending_free(LIST_FIRST(&l->written));
	limits_flush_now(l);
	turns_free(l->turns);
	loop_timer_free(&l->flush);
	loop_timer_free(&l->forget);
	ledger_file_free(l->file);
	ledger_free(l->ledger);
	buf_clear(&l->lines);
	free(l);
}

/* --- leadership -------------------------------------------------------------------- */

static void
replayed(void *arg)
{
	struct limits *l = arg;
	limits_fn *fn = l->started;

	l->replay = NULL;
	l->started = NULL;
	fn(l->started_arg, NULL);
}

void
limits_start(struct limits *l, limits_fn *fn, void *arg)
{
	limits_stop(l);
	l->started = fn;
	l->started_arg = arg;
	l->replay =
	    replay_new(l->base, l->conf, l->store, l->ledger, replayed, l);
}

void
limits_stop(struct limits *l)
{
	replay_free(l->replay);
	l->replay = NULL;
	l->started = NULL;
}

/* --- an order ------------------------------------------------------------------------ */

void
limits_ticket(struct ticket *t, const struct domain *d, const char *directory,
    int64_t journal_ms)
{
	int64_t now = loop_wall_ms();

	*t = (struct ticket){ .name = d->name, .directory = directory };
	t->kind = limit_kind_of(d, now);
	t->urgent = renew_urgent(d, now);
	if (journal_ms > 0)
		snprintf(
		    t->id, sizeof(t->id), "%s:%" PRId64, d->name, journal_ms);
}

void
limits_of_ticket(const struct limits *l, const struct ticket *t, int bucket,
    struct limit *limit)
{
	limit_of(
	    l->conf, t->directory, (enum limit_bucket)bucket, t->name, limit);
}

static bool
is_spent(const struct limit *limit)
{
	return limit_spends(limit->bucket) && limit->max > 0;
}

/* Redis has taken nothing, or has it back: nor is it in the ledger. */
static void
forget_spends(struct spending *s)
{
	struct limits *l = s->limits;

	for (size_t i = 0; i < s->nlimits; i++)
		if (is_spent(&s->limit[i]))
			ledger_refund(l->ledger, s->limit[i].bucket,
			    s->limit[i].key, s->ticket->id, &l->lines);
	if (l->lines.len > 0)
		limits_flush_soon(l);
}

static void
give_back(struct spending *s)
{
	for (size_t i = 0; i < s->nlimits; i++)
		if (is_spent(&s->limit[i]))
			store_limit_refund(
			    s->limits->store, &s->limit[i], s->ticket->id);
	forget_spends(s);
}

/* All buckets have room and are spent: into the ledger, then to the CA. */
static void
grant(struct spending *s, int64_t at)
{
	struct limits *l = s->limits;
	size_t before = l->lines.len;

	for (size_t i = 0; i < s->nlimits; i++)
		if (is_spent(&s->limit[i]))
			ledger_spend(l->ledger, s->limit[i].bucket,
			    s->limit[i].key, s->ticket->id, at, &l->lines);
	if (l->lines.len == before) {
		limits_finish(s, NULL);
		return;
	}
	LIST_REMOVE(s, next);
	LIST_INSERT_HEAD(&l->written, s, next);
	limits_flush_soon(l);
}

/*
 * Many may wait for a place of an account or a domain: each has its turn, but
 * for a certificate that ends soon.
 */
static int64_t
turn_of(const struct spending *s, const struct limit *limit,
    const struct store_limit *found)
{
	if (s->ticket->urgent ||
	    (limit->bucket != LIMIT_DOMAIN && limit->bucket != LIMIT_ORDERS))
		return found->free_at;
	return turns_take(s->limits->turns, limit, found->free_at, found->now);
}

/* The first bucket without room says how long to wait. */
static void
deny(struct spending *s, const struct store_limit *found)
{
	struct err e = { 0 };
	int64_t at;
	bool ca_said;
	size_t i = 0;

	while (i + 1 < s->nlimits && found[i].granted)
		i++;
	forget_spends(s);
	ca_said = s->limit[i].max == 0 || found[i].left > 0;
	at = ca_said ? found[i].free_at : turn_of(s, &s->limit[i], &found[i]);
	limit_wait(&e, &s->limit[i], ca_said, at, found[i].now);
	limits_finish(s, &e);
}

/* Does Redis know less of a bucket than we do?  Then it has lost data. */
static bool
has_lost(const struct spending *s, const struct limit *limit,
    const struct store_limit *found)
{
	size_t known = ledger_used(s->limits->ledger, limit->bucket, limit->key,
	    found->now - limit->window_ms + EDGE_MS, s->ticket->id);

	if (limit->max == 0 || (size_t)found->used >= known)
		return false;
	log_warn("limit=%s key=%s used=%zu ledger=%zu: Redis has lost spends, "
		 "they are put back",
	    limit_name(limit->bucket), limit->key, (size_t)found->used, known);
	return true;
}

/* It gets what we have, and is asked again. */
static bool
repair(struct spending *s, const struct store_limit *found, bool granted)
{
	struct limits *l = s->limits;
	bool lost = false;

	for (size_t i = 0; !s->repaired && i < s->nlimits; i++) {
		if (!has_lost(s, &s->limit[i], &found[i]))
			continue;
		if (!lost && granted)
			give_back(s);
		lost = true;
		replay_bucket(l->store, l->ledger, &s->limit[i]);
	}
	if (!lost)
		return false;
	s->repaired = true;
	ask(s);
	return true;
}

static void
answered(void *arg, const struct store_limit *found, size_t n, bool granted,
    const struct err *e)
{
	struct spending *s = arg;
	struct err why;

	if (e == NULL && n != s->nlimits) {
		err_set(&why, ERR_BUG, "Redis answers for other limits");
		e = &why;
	} else if (e != NULL) {
		why = *e;
	}
	if (e != NULL) {
		/* What it may have spent is the same journal's next time. */
		err_prefix(&why, "limits");
		limits_finish(s, &why);
		return;
	}
	if (repair(s, found, granted))
		return;
	if (granted)
		grant(s, found[0].now);
	else
		deny(s, found);
}

static void
ask(struct spending *s)
{
	struct limits *l = s->limits;

	s->nlimits = 0;
	for (int b = 0; b < LIMIT_BUCKETS; b++)
		if (limit_asks(s->ticket->kind, (enum limit_bucket)b))
			limits_of_ticket(
			    l, s->ticket, b, &s->limit[s->nlimits++]);
	store_limits_spend(
	    l->store, s->limit, s->nlimits, s->ticket->id, answered, s);
}

static void
got_journal(void *arg, const struct store_order *journal, const struct err *e)
{
	struct spending *s = arg;
	struct err gone;

	if (e == NULL && journal->started_at == 0) {
		err_set(&gone, ERR_AGAIN, "the order's journal is gone");
		e = &gone;
	}
	if (e != NULL) {
		limits_finish(s, e);
		return;
	}
	snprintf(s->ticket->id, sizeof(s->ticket->id), "%s:%" PRId64,
	    s->ticket->name, journal->started_at);
	ask(s);
}

void
limits_spend(struct limits *l, struct ticket *t, limits_fn *fn, void *arg)
{
	struct spending *s = xcalloc(1, sizeof(*s));

	s->limits = l;
	s->ticket = t;
	s->fn = fn;
	s->arg = arg;
	LIST_INSERT_HEAD(&l->asking, s, next);
	if (t->id[0] == '\0') {
		store_order(l->store, t->name, got_journal, s);
		return;
	}
	if (limit_asks(t->kind, LIMIT_SET)) {
		ask(s);
		return;
	}
	/* Nothing is asked: called back from the loop all the same. */
	LIST_REMOVE(s, next);
	LIST_INSERT_HEAD(&l->written, s, next);
	limits_flush_soon(l);
}

void
limits_cancel(struct limits *l, const void *arg)
{
	struct spendings *lists[] = { &l->asking, &l->written };
	struct spending *s, *next;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (s = LIST_FIRST(lists[i]); s != NULL; s = next) {
			next = LIST_NEXT(s, next);
			if (s->arg == arg)
				limits_spending_free(s);
		}
}
