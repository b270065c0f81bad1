/* Watch: bundles are fetched, what is needed most first. */
#include <stdlib.h>
#include <string.h>

#include "common/domain.h"
#include "common/log.h"
#include "common/mem.h"
#include "sync/watch_impl.h"

/* Bundles asked for at the same time: each is work, others want to be heard. */
#define FETCHES_MAX 4

static void
place(void *arg, uint32_t at)
{
	struct fetch *f = arg;

	f->at = at;
}

void
watch_fetches(struct watch *w)
{
	TAILQ_INIT(&w->fetches);
	heap_init(&w->waiting, place);
}

/* It is its turn, or it is not wanted any more. */
static void
wait_no_longer(struct fetch *f)
{
	if (f->asked)
		return;
	heap_remove(&f->watch->waiting, f->at);
	HASH_DEL(f->watch->by_name, f);
}

void
watch_fetch_free(struct fetch *f)
{
	struct watch *w = f->watch;
	const struct fetch *it;

	wait_no_longer(f);
	TAILQ_REMOVE(&w->fetches, f, link);
	if (lowest_remove(&f->part->lowest, f->entry.gen))
		TAILQ_FOREACH (it, &w->fetches, link)
			if (it->part == f->part)
				lowest_add(&f->part->lowest, it->entry.gen);
	w->nasked -= f->asked;
	store_forget(w->store, f);
	hold_forget(w->hold, f);
	free(f);
}

static void
ended(struct fetch *f)
{
	struct watch *w = f->watch;

	watch_fetch_free(f);
	watch_fetch_next(w);
}

static void
taken(void *arg)
{
	struct fetch *f = arg;
	struct watch *w = f->watch;

	outbox_held(w->outbox, f->name, hold_sha1(w->hold, f->name));
	ended(f);
}

static void
got_bundle(void *arg, const void *bundle, size_t len, const struct err *e)
{
	struct fetch *f = arg;
	struct watch *w = f->watch;

	if (e != NULL) {
		log_warn("domain=%s bundle: %s", f->name, e->text);
		f->part->again = true; /* the next look finds it missing */
	} else if (bundle == NULL) {
		log_warn("domain=%s bundle: not there", f->name);
	} else {
		hold_take(w->hold, f->name, bundle, len, &f->entry, taken, f);
		return;
	}
	ended(f);
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

void
watch_fetch_next(struct watch *w)
{
	struct fetch *f;

	while (
	    w->nasked < FETCHES_MAX && (f = heap_first(&w->waiting)) != NULL) {
		if (!ours(f->name)) {
			watch_fetch_free(f);
			continue;
		}
		wait_no_longer(f);
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

/*
 * A name that waits already does so for what is newer.  Its generation stays: what
 * we have applied does not reach it before.
 */
void
watch_fetch(struct part *p, const char *name, bool custom,
    const struct hold_entry *entry)
{
	struct watch *w = p->watch;
	size_t len = strlen(name);
	struct fetch *f;
	int64_t gen;

	HASH_FIND(hh, w->by_name, name, len, f);
	if (f != NULL) {
		gen = f->entry.gen;
		f->custom = custom;
		f->entry = *entry;
		f->entry.gen = gen;
		return;
	}
	f = xcalloc(1, sizeof(*f) + len + 1);
	f->watch = w;
	f->part = p;
	f->custom = custom;
	f->entry = *entry;
	memcpy(f->name, name, len + 1);
	lowest_add(&p->lowest, entry->gen);
	TAILQ_INSERT_TAIL(&w->fetches, f, link);
	HASH_ADD_KEYPTR(hh, w->by_name, f->name, len, f);
	if (w->waiting.n == 0)
		w->turn = 0;
	heap_put(&w->waiting, hold_rank(w->hold, name, ++w->turn), f);
}

void
watch_drop(struct watch *w, const char *name)
{
	struct fetch *f, *next;

	for (f = TAILQ_FIRST(&w->fetches); f != NULL; f = next) {
		next = TAILQ_NEXT(f, link);
		if (strcmp(f->name, name) == 0)
			watch_fetch_free(f);
	}
	outbox_drop(w->outbox, name);
	hold_drop(w->hold, name);
}
