#include "sync/roster.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/loop.h"
#include "common/mem.h"

#define FRESH_MS 100

struct asker {
	TAILQ_ENTRY(asker) link;
	store_nodes_fn *fn;
	void *arg;
	bool late; /* asked after what is on its way was asked for */
};

TAILQ_HEAD(askers, asker);

struct roster {
	struct event_base *base;
	struct store *store;
	struct askers askers, told; /* told: being called back */
	struct store_node *node;
	size_t n;
	int64_t asked_at; /* of what we have, or of what is on its way */
	bool asking;
	bool known; /* node is fresh until asked_at + FRESH_MS */
	bool stale; /* said while asking */
	struct event *turn;
};

static void answer(void *);

struct roster *
roster_new(struct event_base *base, struct store *store)
{
	struct roster *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->store = store;
	TAILQ_INIT(&r->askers);
	TAILQ_INIT(&r->told);
	return r;
}

static void
drop(struct askers *list, const void *arg)
{
	struct asker *a, *next;

	for (a = TAILQ_FIRST(list); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (arg != NULL && a->arg != arg)
			continue;
		TAILQ_REMOVE(list, a, link);
		free(a);
	}
}

void
roster_free(struct roster *r)
{
	if (r == NULL)
		return;
	drop(&r->askers, NULL);
	drop(&r->told, NULL);
	store_forget(r->store, r);
	loop_timer_free(&r->turn);
	free(r->node);
	free(r);
}

void
roster_forget(struct roster *r, const void *arg)
{
	drop(&r->askers, arg);
	drop(&r->told, arg);
}

void
roster_stale(struct roster *r)
{
	r->known = false;
	r->stale = r->asking;
}

/* Tell all but the late ones; each may ask or forget while being told. */
static void
tell(struct roster *r, const struct err *e)
{
	struct asker *a, *next;
	struct asker now;

	for (a = TAILQ_FIRST(&r->askers); a != NULL; a = next) {
		next = TAILQ_NEXT(a, link);
		if (!a->late) {
			TAILQ_REMOVE(&r->askers, a, link);
			TAILQ_INSERT_TAIL(&r->told, a, link);
		}
		a->late = false;
	}
	if (!TAILQ_EMPTY(&r->askers))
		loop_after(r->base, &r->turn, 0, answer, r);
	while ((a = TAILQ_FIRST(&r->told)) != NULL) {
		now = *a;
		TAILQ_REMOVE(&r->told, a, link);
		free(a);
		now.fn(now.arg, e == NULL ? r->node : NULL,
		    e == NULL ? r->n : 0, e);
	}
}

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct roster *r = arg;

	r->asking = false;
	free(r->node);
	r->node = NULL;
	r->n = e == NULL ? n : 0;
	if (r->n > 0) {
		r->node = xcalloc(n, sizeof(*node));
		memcpy(r->node, node, n * sizeof(*node));
	}
	r->known = e == NULL && !r->stale;
	r->stale = false;
	tell(r, e);
}

static void
answer(void *arg)
{
	struct roster *r = arg;
	int64_t now = loop_now_ms();

	if (r->asking || TAILQ_EMPTY(&r->askers))
		return;
	if (r->known && now - r->asked_at < FRESH_MS) {
		tell(r, NULL);
		return;
	}
	r->asking = true;
	r->asked_at = now;
	store_nodes(r->store, got_nodes, r);
}

void
roster_ask(struct roster *r, store_nodes_fn *fn, void *arg)
{
	struct asker *a = xcalloc(1, sizeof(*a));

	a->fn = fn;
	a->arg = arg;
	a->late = r->asking && r->stale;
	TAILQ_INSERT_TAIL(&r->askers, a, link);
	loop_after(r->base, &r->turn, 0, answer, r);
}
