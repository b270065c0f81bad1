/*
 * Bundles on their way to the disk.  To flush a file takes as long as the disk
 * likes, and nothing else waits for it: a worker does that first, and what is
 * left then is quick.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "haproxy/files.h"
#include "haproxy/stage.h"
#include "sync/hold_impl.h"

struct landing {
	TAILQ_ENTRY(landing) link;
	struct hold *hold;
	struct hold_entry entry;
	struct stage *stage;
	hold_taken_fn *fn;
	void *arg;
	char *bundle;
	size_t len;
	char name[];
};

static void
landing_free(struct landing *l)
{
	TAILQ_REMOVE(&l->hold->landings, l, link);
	free(l->bundle);
	free(l);
}

static void
staged(void *arg, struct stage *stage)
{
	struct landing *l = arg;
	hold_taken_fn *fn = l->fn;
	void *its = l->arg;

	hold_land(l->hold, l->name, l->bundle, l->len, &l->entry, stage);
	landing_free(l);
	fn(its);
}

void
hold_take(struct hold *h, const char *name, const void *bundle, size_t len,
    const struct hold_entry *entry, hold_taken_fn *fn, void *arg)
{
	size_t name_len = strlen(name);
	struct landing *l = xcalloc(1, sizeof(*l) + name_len + 1);

	l->hold = h;
	l->entry = *entry;
	l->fn = fn;
	l->arg = arg;
	l->bundle = xmemdup0(bundle, len);
	l->len = len;
	memcpy(l->name, name, name_len + 1);
	TAILQ_INSERT_TAIL(&h->landings, l, link);
	l->stage =
	    files_stage(h->files, h->worker, name, bundle, len, staged, l);
}

static void
forget(struct landing *l)
{
	stage_cancel(l->stage);
	landing_free(l);
}

void
hold_forget(struct hold *h, const void *arg)
{
	struct landing *l, *next;

	for (l = TAILQ_FIRST(&h->landings); l != NULL; l = next) {
		next = TAILQ_NEXT(l, link);
		if (l->arg == arg)
			forget(l);
	}
}

void
hold_forget_all(struct hold *h)
{
	while (!TAILQ_EMPTY(&h->landings))
		forget(TAILQ_FIRST(&h->landings));
}
