#include "sync/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/str.h"
#include "sync/http.h"
#include "sync/store.h"
#include "sync/webhook_event.h"
#include "sync/webhook_impl.h"

#define BATCH 32        /* events in memory, of a partition */
#define IN_FLIGHT_MAX 8 /* partitions that deliver at the same time */
#define KICK_MS 200     /* several events are one look */
#define LOOK_MS 5000    /* all the same, without having heard of any */
#define NOTHING "0-0"   /* where an empty stream is delivered up to */

static void look(void *);
static void begin(void *);

struct webhooks *
webhooks_new(
    struct event_base *base, const struct conf *conf, struct store *store)
{
	struct webhooks *w = xcalloc(1, sizeof(*w));
	const struct http_conf http = { .ca_file = conf->webhook.ca_file,
		.max_in_flight = IN_FLIGHT_MAX,
		.timeout_ms = conf->webhook.timeout_ms };

	w->base = base;
	w->conf = conf;
	w->store = store;
	for (int i = 0; i < GENS_MAX; i++) {
		w->part[i].w = w;
		w->part[i].number = i;
		STAILQ_INIT(&w->part[i].hooks);
	}
	if (conf->webhook.url[0] != '\0')
		w->http = http_new(base, &http);
	return w;
}

void
webhook_drop_first(struct part *p)
{
	struct hook *h = STAILQ_FIRST(&p->hooks);

	STAILQ_REMOVE_HEAD(&p->hooks, next);
	for (size_t i = 0; i < 2 * h->nfields; i++)
		free(h->field[i]);
	free(h->field);
	free(h->body);
	free(h);
	p->attempts = 0;
}

void
webhooks_stop(struct webhooks *w)
{
	w->epoch = 0;
	loop_cancel(w->look);
	for (int i = 0; i < w->nparts; i++) {
		struct part *p = &w->part[i];

		store_forget(w->store, p);
		if (p->sending != 0)
			http_cancel(w->http, p->sending);
		p->sending = 0;
		loop_cancel(p->again);
		while (!STAILQ_EMPTY(&p->hooks))
			webhook_drop_first(p);
		p->cursor[0] = '\0';
		p->asking = false;
	}
}

void
webhooks_free(struct webhooks *w)
{
	if (w == NULL)
		return;
	webhooks_stop(w);
	for (int i = 0; i < GENS_MAX; i++)
		loop_timer_free(&w->part[i].again);
	loop_timer_free(&w->look);
	if (w->http != NULL)
		http_free(w->http);
	free(w);
}

void
webhooks_start(struct webhooks *w, int64_t epoch)
{
	if (w->http == NULL)
		return;
	webhooks_stop(w);
	w->epoch = epoch;
	w->nparts = store_partitions(w->store);
	for (int i = 0; i < w->nparts; i++)
		begin(&w->part[i]);
	loop_after(w->base, &w->look, LOOK_MS, look, w);
}

void
webhooks_kick(struct webhooks *w)
{
	if (w->epoch != 0)
		loop_after(w->base, &w->look, KICK_MS, look, w);
}

static void
look(void *arg)
{
	struct webhooks *w = arg;

	for (int i = 0; i < w->nparts; i++)
		webhook_go_on(&w->part[i]);
	loop_after(w->base, &w->look, LOOK_MS, look, w);
}

int64_t
webhooks_lag(const struct webhooks *w, int64_t now_ms)
{
	int64_t lag = 0, at;

	for (int i = 0; i < w->nparts; i++) {
		const struct hook *h = STAILQ_FIRST(&w->part[i].hooks);

		at = h != NULL ? webhook_at(h->id) : 0;
		if (at > 0 && now_ms - at > lag)
			lag = now_ms - at;
	}
	return lag;
}

/* --- where to go on ---------------------------------------------------------------- */

void
webhook_try_later(struct part *p, const struct err *e)
{
	log_debug("webhook: %s %s", e->type, e->text);
	if (strcmp(e->type, "FENCED") != 0)
		loop_after(p->w->base, &p->again, 1000,
		    p->cursor[0] == '\0' ? begin : webhook_send_first, p);
}

static void
take_cursor(struct part *p, const char *id)
{
	snprintf(p->cursor, sizeof(p->cursor), "%s", id);
	webhook_go_on(p);
}

static void
noted(void *arg, const struct err *e)
{
	struct part *p = arg;

	p->asking = false;
	if (e == NULL) {
		webhook_go_on(p);
		return;
	}
	p->cursor[0] = '\0';
	webhook_try_later(p, e);
}

/* Nothing was ever delivered: it begins with what happens from now on. */
static void
got_newest(
    void *arg, const struct store_event *event, size_t n, const struct err *e)
{
	struct part *p = arg;
	struct webhooks *w = p->w;

	if (e != NULL) {
		webhook_try_later(p, e);
		return;
	}
	snprintf(p->cursor, sizeof(p->cursor), "%s",
	    n > 0 ? event[n - 1].id : NOTHING);
	p->asking = true; /* what comes now must not be lost if we die */
	store_webhook_done(w->store, p->number, w->epoch, p->cursor, noted, p);
}

static void
got_cursor(void *arg, const char *id, const struct err *e)
{
	struct part *p = arg;

	if (e != NULL)
		webhook_try_later(p, e);
	else if (id[0] == '\0')
		store_events(p->w->store, p->number, 1, got_newest, p);
	else
		take_cursor(p, id);
}

static void
begin(void *arg)
{
	struct part *p = arg;

	store_webhook_cursor(p->w->store, p->number, got_cursor, p);
}

/* --- what there is ------------------------------------------------------------------- */

static void
take(struct part *p, const struct store_event *event)
{
	const struct conf_list *wanted = &p->w->conf->webhook.events;
	struct hook *h = xcalloc(1, sizeof(*h));

	snprintf(h->id, sizeof(h->id), "%s", event->id);
	h->wanted = webhook_name(event, h->name, &h->status) &&
	            webhook_wanted(wanted, h->name);
	if (h->wanted) {
		h->nfields = event->nfields;
		h->field = xcalloc(2 * h->nfields + 1, sizeof(*h->field));
		for (size_t i = 0; i < 2 * h->nfields; i++)
			h->field[i] = xstrdup(event->field[i]);
		for (size_t i = 0; i < h->nfields; i++)
			if (strcmp(h->field[2 * i], "name") == 0)
				snprintf(h->domain, sizeof(h->domain), "%s",
				    h->field[2 * i + 1]);
	}
	STAILQ_INSERT_TAIL(&p->hooks, h, next);
}

void
webhook_skip(struct part *p)
{
	struct hook *h;

	while ((h = STAILQ_FIRST(&p->hooks)) != NULL && !h->wanted) {
		memcpy(p->cursor, h->id, sizeof(p->cursor));
		webhook_drop_first(p);
	}
}

/*
 * The stream begins with what was delivered last, unless it was too short for
 * what came then.
 */
static bool
is_lost(const struct part *p, const struct store_event *event, size_t n)
{
	return n > 0 && strcmp(p->cursor, NOTHING) != 0 &&
	       strcmp(event[0].id, p->cursor) != 0;
}

static void
got_events(
    void *arg, const struct store_event *event, size_t n, const struct err *e)
{
	struct part *p = arg;
	bool any = false;

	p->asking = false;
	if (e != NULL) {
		webhook_try_later(p, e);
		return;
	}
	if (is_lost(p, event, n)) {
		metric_count(METRIC_WEBHOOKS, METRIC_WEBHOOK_LOST, 0);
		log_error("webhook: more came after %s than the stream of "
			  "events holds: some are lost",
		    p->cursor);
	}
	for (size_t i = 0; i < n; i++)
		if (strcmp(event[i].id, p->cursor) != 0) {
			take(p, &event[i]);
			any = true;
		}
	webhook_skip(p);
	if (!STAILQ_EMPTY(&p->hooks))
		webhook_go_on(p);
	else if (any)
		webhook_note(p);
}

void
webhook_go_on(struct part *p)
{
	struct webhooks *w = p->w;

	if (w->epoch == 0 || p->cursor[0] == '\0' || p->asking ||
	    p->sending != 0)
		return;
	if (!STAILQ_EMPTY(&p->hooks)) {
		if (p->attempts == 0)
			webhook_send_first(p);
		return;
	}
	p->asking = true;
	store_events_from(w->store, p->number, p->cursor, BATCH, got_events, p);
}
