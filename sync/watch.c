#include "sync/watch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/redis_keys.h"
#include "common/str.h"
#include "sync/hold.h"
#include "sync/lowest.h"
#include "sync/store.h"

/* Bundles asked for at the same time: each is work, others want to be heard. */
#define FETCHES_MAX 4

/* A bundle that is wanted from Redis. */
struct fetch {
	TAILQ_ENTRY(fetch) link;
	struct watch *watch;
	struct hold_entry entry;
	bool custom; /* its owner's own is wanted */
	bool asked;
	char name[];
};

struct watch {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct hold *hold;
	struct rds_stream *stream;
	watch_fn *fn;
	void *arg;
	TAILQ_HEAD(, fetch) fetches;
	struct lowest lowest; /* generation of those */
	int nasked;
	int64_t seen;    /* generation that hold has been told of */
	int64_t reading; /* generation of the index being read */
	bool reconciling, again;
	bool prune; /* when nothing is left to be fetched */
	struct event *timer;
};

static void on_entry(void *, const char *id, const struct rds_reply *);
static void on_stream(void *, bool up, const struct err *);
static void on_timer(void *);
static void fetch_next(struct watch *);

struct watch *
watch_new(struct event_base *base, const struct conf *conf,
    const struct rds_conf *rds_conf, struct store *store, struct hold *hold,
    watch_fn *fn, void *arg)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	char key[KEY_MAX];

	w->base = base;
	w->conf = conf;
	w->store = store;
	w->hold = hold;
	w->fn = fn;
	w->arg = arg;
	TAILQ_INIT(&w->fetches);
	store_key(store, KEY_EVENTS, key, sizeof(key), 0, NULL);
	w->stream =
	    rds_stream_new(base, rds_conf, key, "$", on_entry, on_stream, w);
	loop_after(base, &w->timer, conf->fleet.reconcile_ms, on_timer, w);
	return w;
}

static void
fetch_free(struct fetch *f)
{
	struct watch *w = f->watch;
	const struct fetch *it;

	TAILQ_REMOVE(&w->fetches, f, link);
	if (lowest_remove(&w->lowest, f->entry.gen))
		TAILQ_FOREACH (it, &w->fetches, link)
			lowest_add(&w->lowest, it->entry.gen);
	w->nasked -= f->asked;
	store_forget(w->store, f);
	free(f);
}

void
watch_free(struct watch *w)
{
	if (w == NULL)
		return;
	while (!TAILQ_EMPTY(&w->fetches))
		fetch_free(TAILQ_FIRST(&w->fetches));
	store_forget(w->store, w);
	rds_stream_free(w->stream);
	loop_timer_free(&w->timer);
	free(w);
}

int64_t
watch_seen(const struct watch *w)
{
	/* What is still to be fetched has not been told to hold. */
	return lowest_applied(&w->lowest, w->seen);
}

/* --- fetching ------------------------------------------------------------------- */

static void
got_bundle(void *arg, const void *bundle, size_t len, const struct err *e)
{
	struct fetch *f = arg;
	struct watch *w = f->watch;

	if (e != NULL) {
		log_warn("domain=%s bundle: %s", f->name, e->text);
		w->again = true; /* the next reconcile finds it missing */
	} else if (bundle == NULL) {
		log_warn("domain=%s bundle: not there", f->name);
	} else {
		hold_take(w->hold, f->name, bundle, len, &f->entry);
	}
	fetch_free(f);
	fetch_next(w);
}

/* Redis is shared: a name is checked before it goes further. */
static bool
ours(const char *name)
{
	char clean[DOMAIN_NAME_MAX];
	struct err e;

	if (domain_normalise(name, clean, &e) == 0 && strcmp(clean, name) == 0)
		return true;
	log_warn("index entry \"%s\" passed over: not ours", name);
	return false;
}

static void
fetch_next(struct watch *w)
{
	struct fetch *f, *next;

	for (f = TAILQ_FIRST(&w->fetches); f != NULL && w->nasked < FETCHES_MAX;
	     f = next) {
		next = TAILQ_NEXT(f, link);
		if (f->asked)
			continue;
		if (!ours(f->name)) {
			fetch_free(f);
			continue;
		}
		f->asked = true;
		w->nasked++;
		store_bundle(w->store, f->name, f->custom, got_bundle, f);
	}
	/*
	 * All that is in Redis is held: what HAProxy has beyond that was
	 * removed while we were away.
	 */
	if (w->prune && TAILQ_EMPTY(&w->fetches)) {
		w->prune = false;
		hold_prune(w->hold);
	}
}

static void
fetch(struct watch *w, const char *name, bool custom,
    const struct hold_entry *entry)
{
	size_t len = strlen(name);
	struct fetch *f = xcalloc(1, sizeof(*f) + len + 1);

	f->watch = w;
	f->custom = custom;
	f->entry = *entry;
	memcpy(f->name, name, len + 1);
	lowest_add(&w->lowest, entry->gen);
	TAILQ_INSERT_TAIL(&w->fetches, f, link);
}

/* Out of service: also what was asked for and has not come yet. */
static void
drop(struct watch *w, const char *name)
{
	struct fetch *f, *next;

	for (f = TAILQ_FIRST(&w->fetches); f != NULL; f = next) {
		next = TAILQ_NEXT(f, link);
		if (strcmp(f->name, name) == 0)
			fetch_free(f);
	}
	hold_drop(w->hold, name);
}

/* --- the whole index --------------------------------------------------------------- */

static void
got_removed(void *arg, const char *const *names, size_t n, const struct err *e)
{
	struct watch *w = arg;

	w->reconciling = false;
	if (e != NULL) {
		log_warn("removed names: %s", e->text);
		w->again = true;
	}
	for (size_t i = 0; e == NULL && i < n; i++)
		drop(w, names[i]);
	w->seen = w->reading;
	w->prune = e == NULL && w->reading > 0;
	fetch_next(w);
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
	struct watch *w = arg;

	if (e != NULL) {
		log_warn("index: %s", e->text);
		w->reconciling = false;
		w->again = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct hold_entry wanted = { entry[i].version, w->reading,
			entry[i].since };

		if (strcmp(hold_sha1(w->hold, entry[i].name), entry[i].sha1) !=
		    0)
			fetch(w, entry[i].name, entry[i].custom, &wanted);
	}
	if (more)
		return;
	if (w->reading < w->seen)
		log_error("Redis went back from generation %lld to %lld",
		    (long long)w->seen, (long long)w->reading);
	store_removed(w->store, 0, got_removed, w);
}

static void
got_gen(void *arg, int64_t gen, const struct err *e)
{
	struct watch *w = arg;
	struct hold_status status;

	hold_status(w->hold, &status);
	if (e != NULL || (gen == w->seen && !w->again && status.failed == 0)) {
		w->reconciling = false;
		w->again |= e != NULL;
		return;
	}
	w->again = false;
	w->reading = gen;
	store_index(w->store, 0, got_index, w);
}

void
watch_reconcile(struct watch *w)
{
	if (w->reconciling)
		return;
	w->reconciling = true;
	store_gen(w->store, 0, got_gen, w);
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

/* Removed or out of service, or there is a certificate to be fetched. */
static void
follow(struct watch *w, const char *type, const char *name,
    const struct rds_reply *fields)
{
	struct hold_entry entry = { field_int(fields, "version"),
		field_int(fields, "gen"), field_int(fields, "since") };

	if (strcmp(type, "removed") == 0 || strcmp(type, "withdrawn") == 0)
		drop(w, name);
	else
		fetch(w, name, strcmp(type, "custom") == 0, &entry);
	fetch_next(w);
}

/* An event moves us on by one generation, or it is only a reason to look. */
static void
on_entry(void *arg, const char *id, const struct rds_reply *fields)
{
	struct watch *w = arg;
	const char *type = rds_field(fields, "type");
	const char *name = rds_field(fields, "name");
	char clean[DOMAIN_NAME_MAX];
	int64_t gen = field_int(fields, "gen");
	struct err e;

	(void)id;
	if (type == NULL)
		return;
	if (gen > w->seen && !w->reconciling) {
		if (gen != w->seen + 1 || name == NULL ||
		    domain_normalise(name, clean, &e) == -1 ||
		    strcmp(clean, name) != 0) {
			watch_reconcile(w);
		} else {
			w->seen = gen;
			follow(w, type, name, fields);
		}
	} else if (gen > w->seen) {
		w->again = true;
	}
	w->fn(w->arg, type);
}

static void
on_stream(void *arg, bool up, const struct err *why)
{
	struct watch *w = arg;

	(void)why;
	/* What was said while we did not listen is in the index. */
	if (up) {
		w->again = true;
		watch_reconcile(w);
	}
}
