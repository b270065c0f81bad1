#include "sync/offers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "haproxy/files.h"
#include "sync/bundle.h"
#include "sync/hold.h"
#include "sync/outbox.h"
#include "sync/store_heal.h"

#define ISSUED_MAX 8 /* of those in the outbox at a time */

struct offers {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	const struct hold *hold;
	const struct files *files;
	struct outbox *outbox;
	struct event *timer;
	size_t at;     /* so many of the missing ones nobody wanted */
	size_t out, n; /* how many were missing when n were offered */
	size_t issued; /* out of the outbox */
	bool writing;
};

static void offer(struct offers *);

struct offers *
offers_new(struct event_base *base, const struct conf *conf,
    struct store *store, const struct hold *hold, const struct files *files,
    struct outbox *outbox)
{
	struct offers *o = xcalloc(1, sizeof(*o));

	o->base = base;
	o->conf = conf;
	o->store = store;
	o->hold = hold;
	o->files = files;
	o->outbox = outbox;
	return o;
}

void
offers_free(struct offers *o)
{
	if (o == NULL)
		return;
	store_forget(o->store, o);
	loop_timer_free(&o->timer);
	free(o);
}

/* Those that have not been taken by now are not wanted: others are, maybe. */
static void
on_timer(void *arg)
{
	struct offers *o = arg;

	o->at += o->n;
	o->n = 0;
	offer(o);
}

static void
written(void *arg, const struct err *e)
{
	struct offers *o = arg;

	o->writing = false;
	if (e != NULL)
		log_debug("offers: %s %s", e->type, e->text);
	if (o->n + o->issued > 0)
		loop_after(o->base, &o->timer, o->conf->fleet.heartbeat_ms,
		    on_timer, o);
}

size_t
offers_size(const struct offers *o)
{
	return hold_missing(o->hold) + outbox_unknown(o->outbox);
}

/* What is being put together. */
struct batch {
	struct store_offer offer[STORE_OFFERS_MAX];
	struct buf bundle[STORE_OFFERS_MAX];
	char name[STORE_OFFERS_MAX][DOMAIN_NAME_MAX];
	size_t n;
};

static void
put(struct batch *b, const char *name, int64_t since)
{
	const struct buf *bundle = &b->bundle[b->n];

	snprintf(b->name[b->n], sizeof(b->name[0]), "%s", name);
	b->offer[b->n] = (struct store_offer){ b->name[b->n], since, bundle->p,
		bundle->len };
	b->n++;
}

static void
put_issued(void *arg, const char *name, const void *bundle, size_t len)
{
	struct batch *b = arg;

	if (b->n == ISSUED_MAX)
		return;
	buf_init(&b->bundle[b->n], BUNDLE_MAX);
	if (buf_put(&b->bundle[b->n], bundle, len) == 0)
		put(b, name, 0);
}

static void
put_held(const struct offers *o, struct batch *b, const struct hold_lost *lost)
{
	struct buf *bundle = &b->bundle[b->n];
	struct err e;

	buf_init(bundle, BUNDLE_MAX);
	if (files_get(o->files, lost->name, bundle, &e) == 0) {
		put(b, lost->name, lost->since);
		return;
	}
	log_warn(
	    "domain=%s copy on disk cannot be offered: %s", lost->name, e.text);
	buf_clear(bundle);
}

/* The next of what is held and missing, or the first of it again. */
static void
put_missing(struct offers *o, struct batch *b)
{
	struct hold_lost lost[STORE_OFFERS_MAX];
	size_t room = STORE_OFFERS_MAX - b->n;
	size_t n = hold_list_missing(o->hold, o->at, lost, room);

	if (n == 0 && o->at > 0) {
		o->at = 0;
		n = hold_list_missing(o->hold, 0, lost, room);
	}
	for (size_t i = 0; i < n; i++)
		put_held(o, b, &lost[i]);
	o->out = hold_missing(o->hold);
	o->n = n;
}

static void
offer(struct offers *o)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	bool first = o->n + o->issued == 0;

	outbox_each(o->outbox, true, put_issued, b);
	o->issued = b->n;
	put_missing(o, b);
	if (first && o->n + o->issued > 0)
		log_warn("Redis lacks %zu certificates that this node has: "
			 "they are offered",
		    offers_size(o));
	o->writing = true;
	store_offer(o->store, o->conf->node, b->offer, b->n, written, o);
	for (size_t i = 0; i < b->n; i++)
		buf_clear(&b->bundle[i]);
	free(b);
}

void
offers_look(struct offers *o)
{
	size_t missing = hold_missing(o->hold);
	size_t issued = outbox_unknown(o->outbox);
	bool over = missing + issued == 0 && o->n + o->issued > 0;
	bool begins =
	    (missing > 0 && o->n == 0) || (issued > 0 && o->issued == 0);
	bool taken = o->n > 0 && missing + o->n <= o->out;

	if (!o->writing && (over || begins || taken)) {
		/* All nodes lack the same: each begins with others. */
		if (missing > 0 && o->n == 0)
			o->at = (size_t)domain_partition(
			    o->conf->node, (int)missing);
		loop_cancel(o->timer);
		offer(o);
	}
}
