#include "sync/offers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "haproxy/files.h"
#include "sync/bundle.h"
#include "sync/hold.h"
#include "sync/store_heal.h"

struct offers {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	const struct hold *hold;
	const struct files *files;
	struct event *timer;
	size_t at;     /* so many of the missing ones nobody wanted */
	size_t out, n; /* how many were missing when n were offered */
	bool writing;
};

static void offer(struct offers *);

struct offers *
offers_new(struct event_base *base, const struct conf *conf,
    struct store *store, const struct hold *hold, const struct files *files)
{
	struct offers *o = xcalloc(1, sizeof(*o));

	o->base = base;
	o->conf = conf;
	o->store = store;
	o->hold = hold;
	o->files = files;
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
	if (o->n > 0)
		loop_after(o->base, &o->timer, o->conf->fleet.heartbeat_ms,
		    on_timer, o);
}

static size_t
read_bundles(const struct offers *o, const struct hold_lost *lost, size_t n,
    struct buf *bundle, struct store_offer *out)
{
	size_t found = 0;
	struct err e;

	for (size_t i = 0; i < n; i++) {
		buf_init(&bundle[i], BUNDLE_MAX);
		if (files_get(o->files, lost[i].name, &bundle[i], &e) == -1)
			log_warn("domain=%s copy on disk cannot be offered: "
				 "%s",
			    lost[i].name, e.text);
		else
			out[found++] = (struct store_offer){ lost[i].name,
				lost[i].since, bundle[i].p, bundle[i].len };
	}
	return found;
}

static void
offer(struct offers *o)
{
	struct hold_lost lost[STORE_OFFERS_MAX];
	struct buf bundle[STORE_OFFERS_MAX];
	struct store_offer out[STORE_OFFERS_MAX];
	size_t n, found;

	o->out = hold_missing(o->hold);
	n = hold_list_missing(o->hold, o->at, lost, STORE_OFFERS_MAX);
	if (n == 0 && o->at > 0) {
		o->at = 0;
		n = hold_list_missing(o->hold, 0, lost, STORE_OFFERS_MAX);
	}
	if (n > 0 && o->n == 0)
		log_warn("Redis lacks %zu certificates that this node has: "
			 "they are offered",
		    o->out);
	o->n = n;
	o->writing = true;
	found = read_bundles(o, lost, n, bundle, out);
	store_offer(o->store, o->conf->node, out, found, written, o);
	for (size_t i = 0; i < n; i++)
		buf_clear(&bundle[i]);
}

void
offers_look(struct offers *o)
{
	size_t missing = hold_missing(o->hold);

	if (o->writing)
		return;
	if (missing == 0 ? o->n > 0 : o->n == 0 || missing + o->n <= o->out) {
		loop_cancel(o->timer);
		offer(o);
	}
}
