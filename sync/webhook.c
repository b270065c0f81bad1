#include "sync/webhook.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/str.h"
#include "sync/gens.h"
#include "sync/http.h"
#include "sync/need.h"
#include "sync/renew.h"
#include "sync/store.h"
#include "sync/webhook_event.h"

#define BATCH 32        /* events in memory, of a partition */
#define IN_FLIGHT_MAX 8 /* partitions that deliver at the same time */
#define KICK_MS 200     /* several events are one look */
#define LOOK_MS 5000    /* all the same, without having heard of any */
#define REPLY_MAX 4096  /* of what the server says: it interests nobody */
#define ID_MAX 48
#define NOTHING "0-0" /* where an empty stream is delivered up to */

/* One event, as it will be sent. */
struct hook {
	STAILQ_ENTRY(hook) next;
	char id[ID_MAX]; /* in the stream */
	char name[WEBHOOK_NAME_MAX];
	const char *status;
	char domain[DOMAIN_NAME_MAX];
	char *body; /* NULL: its app is still to be asked for, or unwanted */
	bool wanted;
	size_t nfields;
	char **field; /* as the stream has them */
};

/* The stream of one partition. */
struct part {
	struct webhooks *w;
	int number;
	char cursor[ID_MAX]; /* delivered up to; "" : not known */
	bool asking;         /* Redis */
	STAILQ_HEAD(, hook) hooks;
	uint64_t sending;
	int64_t attempts; /* of the first hook, that failed */
	struct event *again;
};

struct webhooks {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct http *http;
	struct event *look;
	int64_t epoch; /* 0: asleep */
	int nparts;
	struct part part[GENS_MAX]; /* nparts of them are used */
};

static void look(void *);
static void begin(void *);
static void go_on(struct part *);
static void note(struct part *);
static void send_first(void *);

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

static void
drop_first(struct part *p)
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
			drop_first(p);
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
		go_on(&w->part[i]);
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

/* Redis is away, or another node leads: then we are told to stop. */
static void
try_later(struct part *p, const struct err *e)
{
	log_debug("webhook: %s %s", e->type, e->text);
	if (strcmp(e->type, "FENCED") != 0)
		loop_after(p->w->base, &p->again, 1000,
		    p->cursor[0] == '\0' ? begin : send_first, p);
}

static void
take_cursor(struct part *p, const char *id)
{
	snprintf(p->cursor, sizeof(p->cursor), "%s", id);
	go_on(p);
}

static void
noted(void *arg, const struct err *e)
{
	struct part *p = arg;

	p->asking = false;
	if (e == NULL) {
		go_on(p);
		return;
	}
	p->cursor[0] = '\0';
	try_later(p, e);
}

/* Nothing was ever delivered: it begins with what happens from now on. */
static void
got_newest(
    void *arg, const struct store_event *event, size_t n, const struct err *e)
{
	struct part *p = arg;
	struct webhooks *w = p->w;

	if (e != NULL) {
		try_later(p, e);
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
		try_later(p, e);
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

/* What is not wanted is passed over, and written down with what follows. */
static void
skip(struct part *p)
{
	struct hook *h;

	while ((h = STAILQ_FIRST(&p->hooks)) != NULL && !h->wanted) {
		memcpy(p->cursor, h->id, sizeof(p->cursor));
		drop_first(p);
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
		try_later(p, e);
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
	skip(p);
	if (!STAILQ_EMPTY(&p->hooks))
		go_on(p);
	else if (any)
		note(p);
}

static void
go_on(struct part *p)
{
	struct webhooks *w = p->w;

	if (w->epoch == 0 || p->cursor[0] == '\0' || p->asking ||
	    p->sending != 0)
		return;
	if (!STAILQ_EMPTY(&p->hooks)) {
		if (p->attempts == 0)
			send_first(p);
		return;
	}
	p->asking = true;
	store_events_from(w->store, p->number, p->cursor, BATCH, got_events, p);
}

/* --- delivering ----------------------------------------------------------------------- */

static void
delivered(void *arg, const struct err *e)
{
	struct part *p = arg;

	p->asking = false;
	/* It is told again after a crash now: at least once. */
	if (e != NULL)
		log_debug("webhook: not noted: %s %s", e->type, e->text);
	if (e != NULL && strcmp(e->type, "FENCED") == 0) {
		p->cursor[0] = '\0'; /* another node delivers */
		return;
	}
	skip(p);
	go_on(p);
}

/* Write down how far we are. */
static void
note(struct part *p)
{
	struct webhooks *w = p->w;

	p->asking = true;
	store_webhook_done(
	    w->store, p->number, w->epoch, p->cursor, delivered, p);
}

static void
done(struct part *p)
{
	memcpy(p->cursor, STAILQ_FIRST(&p->hooks)->id, sizeof(p->cursor));
	drop_first(p);
	note(p);
}

/* Again later, unless that has gone on for a day. */
static void
failed(struct part *p, const char *why, int64_t asked_ms)
{
	struct webhooks *w = p->w;
	struct hook *h = STAILQ_FIRST(&p->hooks);
	int64_t old = loop_wall_ms() - webhook_at(h->id), pause;
	int64_t most = (int64_t)w->conf->webhook.give_up_s * 1000;
	int64_t longest = (int64_t)w->conf->webhook.retry_max_s * 1000;

	p->attempts++;
	if (old > most) {
		metric_count(METRIC_WEBHOOKS, METRIC_WEBHOOK_DROPPED, 0);
		log_error("webhook=%s domain=%s given up after %" PRId64
			  " s: %s",
		    h->name, h->domain, old / 1000, why);
		done(p);
		return;
	}
	metric_count(METRIC_WEBHOOKS, METRIC_WEBHOOK_RETRIED, 0);
	if (asked_ms > longest)
		asked_ms = longest;
	pause = renew_pause(p->attempts,
	    (int64_t)w->conf->webhook.retry_first_s * 1000, longest, asked_ms,
	    loop_random(UINT32_MAX));
	log_warn("webhook=%s domain=%s attempt=%" PRId64 " next_in_ms=%" PRId64
		 " error=\"%s\"",
	    h->name, h->domain, p->attempts, pause, why);
	loop_after(w->base, &p->again, pause, send_first, p);
}

static void
answered(void *arg, const struct http_res *res, const struct err *e)
{
	struct part *p = arg;
	const struct hook *h = STAILQ_FIRST(&p->hooks);
	char why[48];

	p->sending = 0;
	if (e != NULL) {
		failed(p, e->text, 0);
	} else if (res->status / 100 != 2) {
		snprintf(
		    why, sizeof(why), "the server answers %d", res->status);
		failed(p, why, res->retry_ms);
	} else {
		metric_count(METRIC_WEBHOOKS, METRIC_WEBHOOK_OK, 0);
		log_debug("webhook=%s domain=%s delivered", h->name, h->domain);
		done(p);
	}
}

static void
post(struct part *p)
{
	struct webhooks *w = p->w;
	const struct hook *h = STAILQ_FIRST(&p->hooks);
	char id[WEBHOOK_ID_MAX], sig[WEBHOOK_SIGNATURE_MAX];
	char of_id[96], of_time[48], of_sig[96];
	int64_t now_s = loop_wall_ms() / 1000;
	const struct http_req req = { .method = "POST",
		.url = w->conf->webhook.url,
		.header = { "Content-Type: application/json", of_id, of_time,
		    of_sig },
		.nheaders = 4,
		.body = h->body,
		.body_len = strlen(h->body),
		.body_max = REPLY_MAX,
		.plain = w->conf->webhook.allow_private,
		.public_only = !w->conf->webhook.allow_private };
	struct err e = { 0 };

	webhook_id(p->number, h->id, id);
	if (webhook_sign(
		w->conf->webhook.secret, id, now_s, h->body, sig, &e) == -1) {
		failed(p, e.text, 0);
		return;
	}
	snprintf(of_id, sizeof(of_id), "webhook-id: %s", id);
	snprintf(
	    of_time, sizeof(of_time), "webhook-timestamp: %" PRId64, now_s);
	snprintf(of_sig, sizeof(of_sig), "webhook-signature: %s", sig);
	p->sending = http_send(w->http, &req, answered, p);
}

static void
make_body(struct part *p, const char *app, int64_t expires)
{
	struct hook *h = STAILQ_FIRST(&p->hooks);
	const struct store_event event = { h->id, (const char *const *)h->field,
		h->nfields };
	char id[WEBHOOK_ID_MAX];

	webhook_id(p->number, h->id, id);
	h->body = webhook_body(&event, id, h->name, h->status, app, expires);
}

/* The app of a domain that was removed is in the event. */
static const char *
app_in(const struct hook *h)
{
	for (size_t i = 0; i < h->nfields; i++)
		if (strcmp(h->field[2 * i], "app") == 0)
			return h->field[2 * i + 1];
	return "";
}

static void
got_domain(void *arg, const struct domain *d, const struct err *e)
{
	struct part *p = arg;

	p->asking = false;
	if (e != NULL) {
		try_later(p, e);
		return;
	}
	if (d == NULL)
		make_body(p, app_in(STAILQ_FIRST(&p->hooks)), 0);
	else
		make_body(p, d->app,
		    need_custom_serves(d, loop_wall_ms()) ? d->custom_not_after
							  : d->not_after);
	post(p);
}

static void
send_first(void *arg)
{
	struct part *p = arg;
	const struct hook *h = STAILQ_FIRST(&p->hooks);

	if (p->w->epoch == 0 || p->asking || p->sending != 0)
		return;
	if (h == NULL) {
		go_on(p);
	} else if (h->body != NULL) {
		post(p);
	} else {
		p->asking = true;
		store_get(p->w->store, h->domain, got_domain, p);
	}
}
