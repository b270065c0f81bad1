#include "sync/replicas.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/gens.h"
#include "sync/outbox.h"
#include "sync/store.h"
#include "sync/store_heal.h"

#define LOOK_MS 500
#define NONE_TOLD_S 60 /* there were replicas, and there are none */

/* What is waited for at the master of a partition. */
struct part {
	struct replicas *all;
	int number;
	bool asking;
	int64_t asked;  /* the outbox's mark when that was */
	int64_t mark;   /* ...when offset was read; 0: nothing is waited for */
	int64_t offset; /* of the master's stream, to be acknowledged */
	bool had;       /* it had replicas since we know it */
	int64_t none_since; /* it has none, since then */
};

struct replicas {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct outbox *outbox;
	struct event *timer;
	struct part part[GENS_MAX];
};

static void look(void *);

struct replicas *
replicas_new(struct event_base *base, const struct conf *conf,
    struct store *store, struct outbox *outbox)
{
	struct replicas *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->conf = conf;
	r->store = store;
	r->outbox = outbox;
	for (int i = 0; i < GENS_MAX; i++) {
		r->part[i].all = r;
		r->part[i].number = i;
	}
	return r;
}

void
replicas_stop(struct replicas *r)
{
	if (r == NULL)
		return;
	loop_cancel(r->timer);
	for (int i = 0; i < GENS_MAX; i++) {
		store_forget(r->store, &r->part[i]);
		r->part[i].asking = false;
		r->part[i].mark = 0;
	}
}

void
replicas_free(struct replicas *r)
{
	if (r == NULL)
		return;
	replicas_stop(r);
	loop_timer_free(&r->timer);
	free(r);
}

void
replicas_start(struct replicas *r)
{
	replicas_stop(r);
	if (r->outbox != NULL)
		loop_after(r->base, &r->timer, LOOK_MS, look, r);
}

/* How many must have it: as set, or one where there are any. */
static int
needed(struct part *p, size_t n)
{
	int64_t now = loop_now_ms();

	if (n > 0) {
		p->had = true;
		p->none_since = 0;
	} else if (p->had && p->none_since == 0) {
		p->none_since = now;
	} else if (p->had && p->none_since > 0 &&
		   now - p->none_since > NONE_TOLD_S * 1000) {
		log_warn("Redis has no replica any more; new certificates are "
			 "kept in the outbox of this node");
		p->none_since = -1;
	}
	if (p->all->conf->redis.replicas > 0)
		return p->all->conf->redis.replicas;
	return p->had ? 1 : 0;
}

static void
got_role(void *arg, int64_t offset, const int64_t *acked, size_t n,
    const struct err *e)
{
	struct part *p = arg;
	struct replicas *r = p->all;
	int have = 0, need;

	p->asking = false;
	if (e != NULL) {
		log_debug("replicas: %s %s", e->type, e->text);
		return;
	}
	/* What was committed before we asked lies before this offset. */
	if (p->mark == 0) {
		p->mark = p->asked;
		p->offset = offset;
	}
	need = needed(p, n);
	for (size_t i = 0; i < n; i++)
		have += acked[i] >= p->offset;
	if (have < need)
		return;
	outbox_replicated(
	    r->outbox, p->number, store_partitions(r->store), p->mark);
	p->mark = 0;
}

static void
look(void *arg)
{
	struct replicas *r = arg;
	int n = store_partitions(r->store);

	loop_after(r->base, &r->timer, LOOK_MS, look, r);
	for (int i = 0; i < n; i++) {
		struct part *p = &r->part[i];

		if (p->asking || !outbox_waits(r->outbox, i, n))
			continue;
		p->asking = true;
		p->asked = outbox_mark(r->outbox);
		store_role(r->store, i, got_role, p);
	}
}
