/*
 * Those who follow the events.
 *
 * Followers share one reader for each partition's stream, which runs while
 * there is somebody to read for:
 *
 *	first follower -> where does each stream end? -> read on from there
 *
 * A follower first gets what was there when it came, up to where the readers
 * stood at that moment; what they read meanwhile waits in its queue.  So each
 * event is told once and none is left out.
 *
 * An event does not say of which app its domain is.  Who follows for some apps
 * is told that a domain has changed, when its record has been looked at, and
 * nothing of one that is gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/redis_keys.h"
#include "sync/api/auth.h"
#include "sync/api/gather.h"
#include "sync/store_token.h"

#define FOLLOWERS_MAX 16
#define HEARTBEAT_MS 15000
#define LINGER_MS 1000           /* readers without followers */
#define BEHIND_MAX (1024 * 1024) /* bytes a follower may not have read */
#define WRITE_TIMEOUT_S 30
#define INPUT_MAX 4096 /* a follower has nothing to say */
#define LOOKS_MAX 64   /* records asked for at a time; more are not told */

enum hub_state {
	HUB_OFF = 0,
	HUB_STARTING, /* the ends of the streams are being asked for */
	HUB_LIVE,
};

enum follower_state {
	FOLLOWER_NEW = 0, /* the hub is starting */
	FOLLOWER_BACKLOG, /* what was there is being asked for */
	FOLLOWER_LIVE,
};

struct follower {
	struct hub *hub;
	struct request *request;
	enum follower_state state;
	bool open;               /* the answer has begun */
	bool sse;                /* as browsers want them: server-sent events */
	int n;                   /* events asked for from before */
	struct stream_id *since; /* of each partition, when it came */
	struct evbuffer *queue;
	struct gather *gather; /* in state BACKLOG */
	LIST_ENTRY(follower) entry;
};

struct reader {
	struct hub *hub;
	struct stream_id last;
	struct rds_stream *stream;
	char key[KEY_MAX];
	char from[48];
};

struct hub {
	struct api *api;
	enum hub_state state;
	struct gather *gather; /* in state STARTING */
	struct reader *reader;
	int nreaders;
	struct event *heartbeat, *linger;
	LIST_HEAD(, follower) followers;
	size_t nfollowers;
	int looks; /* at records, under way */
};

static void hub_start(struct hub *);
static void follower_ask(struct follower *);
static void follower_free(struct follower *);

struct hub *
hub_new(struct api *a)
{
	struct hub *h = xcalloc(1, sizeof(*h));

	h->api = a;
	LIST_INIT(&h->followers);
	return h;
}

static void
stop_reading(struct hub *h)
{
	for (int i = 0; i < h->nreaders; i++)
		rds_stream_free(h->reader[i].stream);
	free(h->reader);
	h->reader = NULL;
	h->nreaders = 0;
	h->state = HUB_OFF;
	loop_cancel(h->heartbeat);
}

/* The requests of the followers stay: api_free() ends them with the others. */
void
hub_free(struct hub *h)
{
	struct follower *f, *next;
	struct evhttp_connection *evcon;

	for (f = LIST_FIRST(&h->followers); f != NULL; f = next) {
		next = LIST_NEXT(f, entry);
		evcon = f->request != NULL
		            ? evhttp_request_get_connection(f->request->http)
		            : NULL;
		if (evcon != NULL)
			evhttp_connection_set_closecb(evcon, NULL, NULL);
		gather_free(f->gather);
		follower_free(f);
	}
	store_forget(h->api->store, h);
	gather_free(h->gather);
	stop_reading(h);
	loop_timer_free(&h->heartbeat);
	loop_timer_free(&h->linger);
	free(h);
}

/* --- a follower ----------------------------------------------------------- */

static void
nobody_left(void *arg)
{
	struct hub *h = arg;

	if (h->nfollowers == 0 && h->state == HUB_LIVE)
		stop_reading(h);
}

static void
follower_free(struct follower *f)
{
	struct hub *h = f->hub;

	store_forget(h->api->store, f);
	LIST_REMOVE(f, entry);
	h->nfollowers--;
	/* Not now: we may be inside a reader's callback. */
	if (h->nfollowers == 0)
		loop_after(h->api->base, &h->linger, LINGER_MS, nobody_left, h);
	evbuffer_free(f->queue);
	free(f->since);
	free(f);
}

/*
 * The client went away.  evhttp has either left the request to us or frees it
 * with the connection.  An answer to the backlog still comes: it frees then.
 */
static void
on_close(struct evhttp_connection *evcon, void *arg)
{
	struct follower *f = arg;
	struct request *q = f->request;

	(void)evcon;
	f->open = false;
	f->request = NULL;
	if (evhttp_request_get_connection(q->http) == NULL)
		evhttp_request_free(q->http);
	request_free(q);
	if (f->gather == NULL)
		follower_free(f);
}

/* The connection is closed, which calls on_close(). */
static void
follower_drop(struct follower *f, const char *why)
{
	struct evhttp_connection *evcon =
	    evhttp_request_get_connection(f->request->http);

	log_warn("api: a follower of events %s; closed", why);
	evhttp_connection_free(evcon);
}

static size_t
behind(const struct follower *f)
{
	struct evhttp_connection *evcon =
	    evhttp_request_get_connection(f->request->http);

	return evbuffer_get_length(f->queue) +
	       evbuffer_get_length(bufferevent_get_output(
		   evhttp_connection_get_bufferevent(evcon)));
}

/* Send what is queued, unless its backlog must go first. */
static void
follower_flush(struct follower *f)
{
	if (behind(f) > BEHIND_MAX)
		follower_drop(f, "does not read");
	else if (f->state == FOLLOWER_LIVE && evbuffer_get_length(f->queue) > 0)
		evhttp_send_reply_chunk(f->request->http, f->queue);
}

static void
put_line(const struct follower *f, struct evbuffer *out, json_t *event)
{
	char *text = json_dumps(event, JSON_COMPACT | JSON_PRESERVE_ORDER);

	if (text == NULL)
		return;
	evbuffer_add_printf(out, f->sse ? "data: %s\n\n" : "%s\n", text);
	free(text);
}

/* Answer 200 and keep the connection. */
static void
follower_open(struct follower *f)
{
	static const struct timeval write_timeout = { WRITE_TIMEOUT_S, 0 };
	struct evhttp_request *req = f->request->http;
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evcon);

	evhttp_connection_set_closecb(evcon, on_close, f);
	request_headers(f->request,
	    f->sse ? "text/event-stream" : "application/x-ndjson", "no-store");
	evhttp_add_header(
	    evhttp_request_get_output_headers(req), "Connection", "close");
	evhttp_send_reply_start(req, 200, "OK");
	/* It is silent for hours, and what it says is not kept. */
	bufferevent_set_timeouts(bev, NULL, &write_timeout);
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_MAX);
	f->open = true;
}

static void
got_backlog(void *arg, const struct line *line, size_t n, const struct err *e)
{
	struct follower *f = arg;
	struct evbuffer *out;

	f->gather = NULL;
	if (f->request == NULL) { /* the client went away */
		follower_free(f);
		return;
	}
	if (e != NULL)
		log_warn("api: events from before: %s", e->text);
	out = evbuffer_new();
	if (out == NULL)
		abort();
	for (size_t i = 0; i < n; i++)
		if (stream_id_compare(
			line[i].id, f->since[line[i].partition]) <= 0)
			put_line(f, out, line[i].event);
	f->state = FOLLOWER_LIVE;
	if (evbuffer_get_length(out) > 0)
		evhttp_send_reply_chunk(f->request->http, out);
	evbuffer_free(out);
	follower_flush(f);
}

/* The hub is live: from here on each event reaches the follower's queue. */
static void
follower_ask(struct follower *f)
{
	struct hub *h = f->hub;
	struct request *q = f->request;

	if (evhttp_request_get_connection(q->http) == NULL) {
		evhttp_request_free(q->http);
		request_free(q);
		follower_free(f);
		return;
	}
	follower_open(f);
	f->since = xcalloc((size_t)h->nreaders, sizeof(f->since[0]));
	for (int i = 0; i < h->nreaders; i++)
		f->since[i] = h->reader[i].last;
	f->state = FOLLOWER_BACKLOG;
	if (f->n > 0)
		f->gather = gather_new(
		    h->api->store, f->n, (size_t)f->n, got_backlog, f);
	else
		f->state = FOLLOWER_LIVE;
}

/* A session ends, and a token may have been revoked since. */
static void
got_token(void *arg, const char *record, const struct err *e)
{
	struct follower *f = arg;
	int64_t now = loop_wall_ms();

	if (e == NULL && f->open &&
	    (record == NULL || token_expired(&f->request->token, now) ||
		(f->request->session_until > 0 &&
		    f->request->session_until <= now)))
		follower_drop(f, "has no token any more");
}

/* --- the hub -------------------------------------------------------------- */

static int
heartbeat_ms(const struct hub *h)
{
	int ms = h->api->conf->api.request_timeout_ms / 2;

	return ms < HEARTBEAT_MS ? ms : HEARTBEAT_MS;
}

static void
on_heartbeat(void *arg)
{
	struct hub *h = arg;
	struct follower *f, *next;

	for (f = LIST_FIRST(&h->followers); f != NULL; f = next) {
		next = LIST_NEXT(f, entry);
		if (!f->open)
			continue;
		if (f->request->by_token)
			store_token(
			    h->api->store, f->request->hash, got_token, f);
		evbuffer_add_printf(f->queue, f->sse ? ":\n\n" : "\n");
		follower_flush(f);
	}
	loop_after(
	    h->api->base, &h->heartbeat, heartbeat_ms(h), on_heartbeat, h);
}

static json_t *
entry_event(const char *id, const struct rds_reply *fields)
{
	size_t n = fields->nitems & ~(size_t)1;
	const char **field = xcalloc(n + 1, sizeof(*field));
	json_t *event;

	for (size_t i = 0; i < n; i++)
		field[i] =
		    fields->item[i].str != NULL ? fields->item[i].str : "";
	event = json_event(id, field, n / 2);
	free(field);
	return event;
}

/* To those who may see all, or to the others who see that app. */
static void
tell(struct hub *h, const char *app, json_t *event)
{
	struct follower *f, *next;

	for (f = LIST_FIRST(&h->followers); f != NULL; f = next) {
		next = LIST_NEXT(f, entry);
		if (!f->open || auth_limited(f->request) != (app != NULL) ||
		    (app != NULL && !auth_sees(f->request, app)))
			continue;
		put_line(f, f->queue, event);
		follower_flush(f);
	}
}

static void
got_changed(void *arg, const struct domain *d, const struct err *e)
{
	struct hub *h = arg;
	json_t *event;

	h->looks--;
	if (e != NULL || d == NULL)
		return;
	event = json_pack("{s:s, s:o, s:o, s:s}", "type", "changed", "name",
	    json_text(d->name), "app", json_text(d->app), "status",
	    domain_status_name(d->status));
	tell(h, d->app, event);
	json_decref(event);
}

/* Whose the domain is has to be asked, when there is somebody to tell. */
static void
look_at(struct hub *h, const char *name)
{
	struct follower *f;

	LIST_FOREACH (f, &h->followers, entry)
		if (f->open && auth_limited(f->request))
			break;
	if (f == NULL || name == NULL || h->looks == LOOKS_MAX)
		return;
	h->looks++;
	store_get(h->api->store, name, got_changed, h);
}

static void
on_entry(void *arg, const char *id, const struct rds_reply *fields)
{
	struct reader *r = arg;
	json_t *event;

	if (stream_id_parse(id, &r->last) == -1)
		return;
	event = entry_event(id, fields);
	tell(r->hub, NULL, event);
	look_at(r->hub, json_string_value(json_object_get(event, "name")));
	json_decref(event);
}

static void
on_state(void *arg, bool up, const struct err *why)
{
	(void)arg;
	if (!up)
		log_debug("api: events: %s", why != NULL ? why->text : "down");
}

/* Where each stream ends is known: read on from there. */
static void
hub_read(struct hub *h, const struct line *line, size_t n)
{
	struct api *a = h->api;
	struct reader *r;

	h->nreaders = store_partitions(a->store);
	h->reader = xcalloc((size_t)h->nreaders, sizeof(*r));
	for (size_t i = 0; i < n; i++)
		h->reader[line[i].partition].last = line[i].id;
	for (int i = 0; i < h->nreaders; i++) {
		r = &h->reader[i];
		r->hub = h;
		snprintf(r->from, sizeof(r->from), "%llu-%llu",
		    (unsigned long long)r->last.ms,
		    (unsigned long long)r->last.seq);
		store_key(
		    a->store, KEY_EVENTS, r->key, sizeof(r->key), i, NULL);
		r->stream = rds_stream_new(a->base, a->rds_conf, r->key,
		    r->from, on_entry, on_state, r);
	}
	h->state = HUB_LIVE;
	loop_after(a->base, &h->heartbeat, heartbeat_ms(h), on_heartbeat, h);
}

static void
got_ends(void *arg, const struct line *line, size_t n, const struct err *e)
{
	struct hub *h = arg;
	struct follower *f, *next;
	struct request *q;

	h->gather = NULL;
	h->state = HUB_OFF;
	if (e == NULL)
		hub_read(h, line, n);
	for (f = LIST_FIRST(&h->followers); f != NULL; f = next) {
		next = LIST_NEXT(f, entry);
		if (f->state != FOLLOWER_NEW)
			continue;
		if (e == NULL) {
			follower_ask(f);
			continue;
		}
		q = f->request;
		follower_free(f);
		request_store_error(q, e);
	}
}

static void
hub_start(struct hub *h)
{
	h->state = HUB_STARTING;
	h->gather = gather_new(h->api->store, 1, SIZE_MAX, got_ends, h);
}

void
hub_follow(struct hub *h, struct request *q, int n)
{
	const char *accept = request_header(q, "Accept");
	struct follower *f;

	if (h->nfollowers == FOLLOWERS_MAX) {
		request_error(q, 429, "too_many",
		    "%d already follow the events; at most %d may",
		    FOLLOWERS_MAX, FOLLOWERS_MAX);
		return;
	}
	f = xcalloc(1, sizeof(*f));
	f->hub = h;
	f->request = q;
	f->n = n;
	f->sse = accept != NULL && strstr(accept, "text/event-stream") != NULL;
	f->queue = evbuffer_new();
	if (f->queue == NULL)
		abort();
	LIST_INSERT_HEAD(&h->followers, f, entry);
	h->nfollowers++;
	if (h->state == HUB_OFF)
		hub_start(h);
	else if (h->state == HUB_LIVE)
		follower_ask(f);
}
