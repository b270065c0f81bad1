#include "sync/watch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/redis_keys.h"
#include "common/str.h"
#include "sync/hold.h"
#include "sync/lowest.h"
#include "sync/outbox.h"
#include "sync/store.h"
#include "sync/trials.h"
#include "sync/watch_impl.h"

static void on_entry(void *, const char *id, const struct rds_reply *);
static void on_stream(void *, bool up, const struct err *);
static void on_timer(void *);
static void reconcile(struct part *);

struct watch *
watch_new(struct event_base *base, const struct conf *conf,
    const struct rds_conf *rds_conf, struct store *store, struct hold *hold,
    watch_fn *fn, void *arg)
{
	struct watch *w = xcalloc(1, sizeof(*w));

	w->base = base;
	w->conf = conf;
	w->rds_conf = rds_conf;
	w->store = store;
	w->hold = hold;
	w->fn = fn;
	w->arg = arg;
	watch_fetches(w);
	return w;
}

void
watch_outbox(struct watch *w, struct outbox *outbox)
{
	w->outbox = outbox;
}

/* How many partitions there are is known when the store is initialised. */
static void
begin(struct watch *w)
{
	char key[KEY_MAX];

	w->nparts = store_partitions(w->store);
	w->part = xcalloc((size_t)w->nparts, sizeof(*w->part));
	for (int i = 0; i < w->nparts; i++) {
		struct part *p = &w->part[i];

		p->watch = w;
		p->number = i;
		store_key(w->store, KEY_EVENTS, key, sizeof(key), i, NULL);
		p->stream = rds_stream_new(
		    w->base, w->rds_conf, key, "$", on_entry, on_stream, p);
	}
	loop_after(
	    w->base, &w->timer, w->conf->fleet.reconcile_ms, on_timer, w);
}

void
watch_free(struct watch *w)
{
	if (w == NULL)
		return;
	while (!TAILQ_EMPTY(&w->fetches))
		watch_fetch_free(TAILQ_FIRST(&w->fetches));
	for (int i = 0; i < w->nparts; i++) {
		store_forget(w->store, &w->part[i]);
		rds_stream_free(w->part[i].stream);
	}
	loop_timer_free(&w->timer);
	free(w->part);
	free(w);
}

void
watch_applied(const struct watch *w, struct gens *g)
{
	g->n = w->nparts;
	for (int i = 0; i < w->nparts; i++) {
		const struct part *p = &w->part[i];

		/* What is still to be fetched has not been told to hold. */
		g->gen[i] = hold_applied(
		    w->hold, i, lowest_applied(&p->lowest, p->seen));
	}
}

void
watch_heard(const struct watch *w, struct gens *g)
{
	g->n = w->nparts;
	for (int i = 0; i < w->nparts; i++)
		g->gen[i] = w->part[i].heard;
}

void
watch_trials(struct watch *w, struct trials *trials)
{
	w->trials = trials;
}

/* --- the whole index --------------------------------------------------------------- */

static bool
all_compared(const struct watch *w)
{
	int64_t sum = 0;

	for (int i = 0; i < w->nparts; i++) {
		if (!w->part[i].compared)
			return false;
		sum += w->part[i].seen;
	}
	return sum > 0;
}

static void
got_removed(void *arg, const char *const *names, size_t n, const struct err *e)
{
	struct part *p = arg;
	struct watch *w = p->watch;

	p->reconciling = false;
	if (e != NULL) {
		log_warn("removed names: %s", e->text);
		p->again = true;
	}
	for (size_t i = 0; e == NULL && i < n; i++)
		watch_drop(w, names[i]);
	p->seen = p->reading;
	p->compared = e == NULL;
	if (e == NULL)
		p->mustered = p->mustering;
	w->prune = all_compared(w);
	watch_fetch_next(w);
	if (p->mustering != w->muster)
		reconcile(p);
	w->fn(w->arg, "reconciled");
}

/*
 * What the index has and we have not is fetched.  What it lacks is no reason to
 * drop anything: an emptied Redis, or an old copy of it, must not take
 * certificates away.
 */
static void
got_index(void *arg, const struct store_entry *entry, size_t n, bool more,
    const struct err *e)
{
	struct part *p = arg;
	struct watch *w = p->watch;

	if (e != NULL) {
		log_warn("index: %s", e->text);
		p->reconciling = false;
		p->again = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		outbox_indexed(w->outbox, entry[i].name, entry[i].sha1,
		    entry[i].not_after);
	for (size_t i = 0; i < n; i++) {
		struct hold_entry wanted = { p->number, entry[i].version,
			p->reading, entry[i].since };

		if (!hold_indexed(w->hold, &entry[i]) &&
		    strcmp(hold_sha1(w->hold, entry[i].name), entry[i].sha1) !=
			0)
			watch_fetch(p, entry[i].name, entry[i].custom, &wanted);
	}
	if (more)
		return;
	w->went_back |= p->reading < p->seen;
	if (p->reading < p->seen)
		log_error("Redis went back from generation %lld to %lld%s",
		    (long long)p->seen, (long long)p->reading,
		    w->nparts > 1 ? " in one partition" : "");
	store_removed(w->store, p->number, got_removed, p);
}

static void
got_gen(void *arg, int64_t gen, const struct err *e)
{
	struct part *p = arg;
	struct watch *w = p->watch;
	struct hold_status status;

	if (e == NULL)
		p->heard = gen;
	hold_status(w->hold, &status);
	if (e != NULL || (gen == p->seen && !p->again && status.failed == 0 &&
			     p->mustering == p->mustered)) {
		p->reconciling = false;
		p->again |= e != NULL;
		return;
	}
	p->again = false;
	p->reading = gen;
	hold_compare(w->hold, p->number, w->nparts);
	store_index(w->store, p->number, got_index, p);
}

static void
reconcile(struct part *p)
{
	if (p->reconciling)
		return;
	p->reconciling = true;
	trials_look(p->watch->trials, p->number);
	p->mustering = p->watch->muster;
	store_gen(p->watch->store, p->number, got_gen, p);
}

void
watch_again(struct watch *w, int partition)
{
	if (partition >= w->nparts)
		return;
	w->part[partition].again = true;
	reconcile(&w->part[partition]);
}

void
watch_reconcile(struct watch *w)
{
	if (w->part == NULL)
		begin(w);
	for (int i = 0; i < w->nparts; i++)
		reconcile(&w->part[i]);
}

void
watch_muster(struct watch *w, int64_t number)
{
	if (w->muster == number)
		return;
	w->muster = number;
	for (int i = 0; i < w->nparts; i++)
		w->part[i].again = true;
	watch_reconcile(w);
}

int64_t
watch_mustered(const struct watch *w)
{
	int64_t n = w->muster;

	for (int i = 0; i < w->nparts; i++)
		if (w->part[i].mustered < n)
			n = w->part[i].mustered;
	return n;
}

bool
watch_went_back(struct watch *w)
{
	bool back = w->went_back;

	w->went_back = false;
	return back;
}

/* Not all nodes at the same moment. */
static void
on_timer(void *arg)
{
	struct watch *w = arg;
	int64_t pause = w->conf->fleet.reconcile_ms;

	watch_reconcile(w);
	loop_after(w->base, &w->timer,
	    pause - pause / 8 + loop_random((uint32_t)(pause / 4 + 1)),
	    on_timer, w);
}

/* --- the stream ----------------------------------------------------------------------- */

static int64_t
field_int(const struct rds_reply *fields, const char *name)
{
	const char *text = rds_field(fields, name);
	int64_t v = 0;

	if (text != NULL)
		str_int(text, 0, INT64_MAX, &v);
	return v;
}

/* What was lost is there again, and was held here all the time. */
static bool
has_restored(struct watch *w, const char *type, const char *name,
    const struct rds_reply *fields)
{
	const char *sha1 = rds_field(fields, "sha1");

	if (strcmp(type, "restored") != 0 || sha1 == NULL ||
	    strcmp(hold_sha1(w->hold, name), sha1) != 0)
		return false;
	hold_restored(w->hold, name);
	outbox_held(w->outbox, name, sha1);
	return true;
}

static bool
is_custom(const char *type, const struct rds_reply *fields)
{
	const char *kind = rds_field(fields, "kind");

	return strcmp(type, "custom") == 0 ||
	       (kind != NULL && strcmp(kind, "custom") == 0);
}

/* Removed or out of service, or there is a certificate to be fetched. */
static void
follow(struct part *p, const char *type, const char *name,
    const struct rds_reply *fields)
{
	struct hold_entry entry = { p->number, field_int(fields, "version"),
		field_int(fields, "gen"), field_int(fields, "since") };

	if (strcmp(type, "removed") == 0 || strcmp(type, "withdrawn") == 0)
		watch_drop(p->watch, name);
	else if (!has_restored(p->watch, type, name, fields))
		watch_fetch(p, name, is_custom(type, fields), &entry);
	watch_fetch_next(p->watch);
}

/* An event moves us on by one generation, or it is only a reason to look. */
static void
on_entry(void *arg, const char *id, const struct rds_reply *fields)
{
	struct part *p = arg;
	struct watch *w = p->watch;
	const char *type = rds_field(fields, "type");
	const char *name = rds_field(fields, "name");
	char clean[DOMAIN_NAME_MAX];
	int64_t gen = field_int(fields, "gen");
	struct err e;

	(void)id;
	if (type == NULL)
		return;
	if (gen > p->heard)
		p->heard = gen;
	trials_hear(w->trials, p->number, type, fields);
	if (strcmp(type, "removed") == 0 && name != NULL)
		outbox_drop(w->outbox, name);
	if (strcmp(type, "muster") == 0)
		watch_muster(w, field_int(fields, "number"));
	if (gen > p->seen && !p->reconciling) {
		if (gen != p->seen + 1 || name == NULL ||
		    domain_normalise(name, clean, &e) == -1 ||
		    strcmp(clean, name) != 0) {
			reconcile(p);
		} else {
			p->seen = gen;
			follow(p, type, name, fields);
		}
	} else if (gen > p->seen) {
		p->again = true;
	}
	w->fn(w->arg, type);
}

static void
on_stream(void *arg, bool up, const struct err *why)
{
	struct part *p = arg;

	(void)why;
	/* What was said while we did not listen is in the index. */
	if (up) {
		p->again = true;
		reconcile(p);
	}
}
