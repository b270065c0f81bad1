#include "sync/api/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/str.h"
#include "sync/api/auth.h"
#include "sync/api/door.h"
#include "sync/api/etag.h"
#include "sync/api/listen.h"
#include "sync/api/pace.h"
#include "sync/api/request.h"
#include "sync/api/routes.h"
#include "sync/authority.h"
#include "sync/dialogue.h"

#define HEADERS_MAX 8192
#define TIMEOUT_S 10
#define REQUEST_ID_MAX 128
#define LOG_TARGET_MAX 300

#define ALL_METHODS                                                            \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | \
	    EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |        \
	    EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

/* A way in: the socket, or an address. */
struct entrance {
	struct api *api;
	struct evhttp *http;
	struct door *door;
	bool tcp;
};

/* The API with what its callers need not see. */
struct server {
	struct api api; /* first: what resources are given */
	struct entrance *entrance;
	size_t nentrances;
	ino_t inode; /* of the socket */
};

static void on_request(struct evhttp_request *, void *);

static void
open_entrance(struct entrance *in, struct api *a, int fd, bool tcp)
{
	in->api = a;
	in->tcp = tcp;
	in->http = evhttp_new(a->base);
	if (in->http == NULL)
		abort();
	evhttp_set_allowed_methods(in->http, ALL_METHODS);
	evhttp_set_max_headers_size(in->http, HEADERS_MAX);
	/* Ours is checked first: evhttp's answer would not be JSON. */
	evhttp_set_max_body_size(in->http, ROUTE_BODY_LARGE * 2);
	evhttp_set_timeout(in->http, TIMEOUT_S);
	evhttp_set_gencb(in->http, on_request, in);
	in->door = door_new(a->base, in->http, fd,
	    (size_t)a->conf->api.max_connections,
	    a->conf->api.request_timeout_ms);
}

/* Every way in, or none. */
static int
listen_all(struct server *s, const struct conf *conf, struct err *e)
{
	size_t n = conf->api.listen.n + 1, i;
	int *fd = xcalloc(n, sizeof(*fd));

	fd[0] =
	    listen_unix(conf->api.socket, conf->api.socket_group, &s->inode, e);
	for (i = 1; i < n && fd[i - 1] != -1; i++)
		fd[i] = listen_loopback(conf->api.listen.item[i - 1], e);
	if (fd[i - 1] != -1) {
		s->entrance = xcalloc(n, sizeof(*s->entrance));
		s->nentrances = n;
		for (i = 0; i < n; i++)
			open_entrance(&s->entrance[i], &s->api, fd[i], i > 0);
	} else if (--i > 0) {
		listen_unlink(conf->api.socket, s->inode);
		while (i-- > 0)
			close(fd[i]);
	}
	free(fd);
	return s->nentrances > 0 ? 0 : -1;
}

struct api *
api_new(struct event_base *base, const struct conf *conf, struct store *store,
    const struct rds_conf *rds_conf, api_state_fn *state, void *arg,
    struct err *e)
{
	struct server *s = xcalloc(1, sizeof(*s));
	struct api *a = &s->api;

	a->base = base;
	a->conf = conf;
	a->store = store;
	a->rds_conf = rds_conf;
	a->state = state;
	a->state_arg = arg;
	LIST_INIT(&a->requests);
	if (listen_all(s, conf, e) == -1) {
		free(s);
		return NULL;
	}
	a->pace = pace_new(conf->api.requests_per_minute);
	a->hub = hub_new(a);
	a->dialogues = dialogues_new(base, conf);
	return a;
}

void
api_free(struct api *a)
{
	struct server *s = (struct server *)(void *)a;
	struct request *q;

	if (a == NULL)
		return;
	hub_free(a->hub);
	while ((q = LIST_FIRST(&a->requests)) != NULL) {
		/* Without its client the request is ours, else evhttp's. */
		if (evhttp_request_get_connection(q->http) == NULL)
			evhttp_request_free(q->http);
		request_free(q);
	}
	dialogues_free(a->dialogues);
	authorities_free(a->authorities);
	for (size_t i = 0; i < s->nentrances; i++) {
		evhttp_free(s->entrance[i].http);
		door_free(s->entrance[i].door);
	}
	free(s->entrance);
	pace_free(a->pace);
	listen_unlink(a->conf->api.socket, s->inode);
	free(s);
}

static int
read_body(struct request *q, struct err *e)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(q->http);
	size_t len = evbuffer_get_length(in);

	unsigned char *bytes = evbuffer_pullup(in, -1);

	q->body = json_body((const char *)bytes, len, e);
	/* There may be a private key in it. */
	mem_wipe(bytes, len);
	return q->body != NULL ? 0 : -1;
}

static bool
has_body(enum evhttp_cmd_type method)
{
	return method == EVHTTP_REQ_POST || method == EVHTTP_REQ_PUT ||
	       method == EVHTTP_REQ_PATCH;
}

static struct request *
request_new(const struct entrance *in, struct evhttp_request *req)
{
	struct request *q = xcalloc(1, sizeof(*q));

	q->api = in->api;
	q->door = in->door;
	q->tcp = in->tcp;
	q->http = req;
	domain_init(&q->domain);
	LIST_INSERT_HEAD(&in->api->requests, q, entry);
	return q;
}

/* Whoever asks may: to the resource, with the body read. */
static void
on_allowed(struct request *q)
{
	struct err e = { 0 };

	if (has_body(evhttp_request_get_command(q->http)) &&
	    read_body(q, &e) == -1)
		request_error(q, 400, "bad_request", "%s", e.text);
	else
		q->route->fn(q);
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct request *q = request_new(arg, req);
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	char allow[ROUTE_ALLOW_MAX];
	struct err e = { 0 };
	size_t most;

	door_asked(q->door, request_fd(q));
	if (target_parse(evhttp_request_get_uri(req), &q->target, &e) == -1) {
		request_error(q, 400, "bad_request", "%s", e.text);
		return;
	}
	q->route = route_find(
	    &q->target, evhttp_request_get_command(req), q->param, allow);
	if (q->route == NULL && allow[0] == '\0') {
		request_not_found(q, "route", NULL);
		return;
	}
	if (q->route == NULL) {
		evhttp_add_header(
		    evhttp_request_get_output_headers(req), "Allow", allow);
		request_error(q, 405, "method_not_allowed",
		    "this path answers %s", allow);
		return;
	}
	most = q->route->body_max > 0 ? q->route->body_max : ROUTE_BODY_MAX;
	if (evbuffer_get_length(in) > most)
		request_error(q, 413, "too_large",
		    "the body has more than %zu bytes", most);
	else
		auth_check(q, on_allowed);
}

void
request_free(struct request *q)
{
	LIST_REMOVE(q, entry);
	json_forget(q->body);
	json_decref(q->reply);
	gather_free(q->gather);
	if (q->text != NULL)
		buf_clear(q->text);
	free(q->text);
	plan_request_free(q->plan);
	variables_request_free(q->variables);
	domain_clear(&q->domain);
	custom_clear(&q->custom);
	token_clear(&q->token);
	free(q);
}

int
request_fd(const struct request *q)
{
	struct evhttp_connection *evcon =
	    evhttp_request_get_connection(q->http);

	return evcon == NULL ? -1
	                     : bufferevent_getfd(
				   evhttp_connection_get_bufferevent(evcon));
}

const char *
request_header(const struct request *q, const char *name)
{
	return evhttp_find_header(
	    evhttp_request_get_input_headers(q->http), name);
}

void
request_headers(struct request *q, const char *content_type)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	struct evkeyvalq *out = evhttp_request_get_output_headers(q->http);
	const char *id = request_header(q, "X-Request-ID");

	if (content_type != NULL)
		evhttp_add_header(out, "Content-Type", content_type);
	evhttp_add_header(out, "Cache-Control", "no-store");
	evhttp_add_header(out, "X-Content-Type-Options", "nosniff");
	/* Given back only when it cannot be anything else than an id. */
	if (id != NULL && strlen(id) <= REQUEST_ID_MAX &&
	    str_only(id, strlen(id), letters))
		evhttp_add_header(out, "X-Request-Id", id);
}

static int
into_evbuffer(const char *bytes, size_t len, void *arg)
{
	return evbuffer_add(arg, bytes, len);
}

/* What changes something is worth a line, what only looks is not. */
static void
log_request(const struct request *q, int status)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(q->http);
	const char *uri = evhttp_request_get_uri(q->http);
	bool looks = method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;

	log_write(looks ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
	    "api method=%s target=\"%.*s\" status=%d who=\"%s\"",
	    route_method(method), LOG_TARGET_MAX, uri != NULL ? uri : "",
	    status, q->who);
	auth_audit(q, status);
}

static void
send_reply(
    struct request *q, int status, const char *content_type, struct evbuffer *b)
{
	metric_count(METRIC_API_REQUESTS, metric_code(status), 0);
	log_request(q, status);
	door_answered(q->door, request_fd(q));
	request_headers(q, b != NULL ? content_type : NULL);
	/* Without a client this only frees the request. */
	evhttp_send_reply(q->http, status, NULL, b);
	if (b != NULL)
		evbuffer_free(b);
	request_free(q);
}

/* What a client has already is not sent again.  Returns the status. */
static int
tag(struct request *q, const json_t *o)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(q->http);
	const char *known = request_header(q, "If-None-Match");
	char etag[ETAG_SIZE];

	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD)
		return 200;
	etag_make(o, etag);
	evhttp_add_header(
	    evhttp_request_get_output_headers(q->http), "ETag", etag);
	return known != NULL && etag_named(known, etag, true) ? 304 : 200;
}

static struct evbuffer *
new_buffer(void)
{
	struct evbuffer *b = evbuffer_new();

	if (b == NULL)
		abort();
	return b;
}

void
request_reply(struct request *q, int status, json_t *stolen)
{
	struct evbuffer *out = NULL;

	if (status == 200)
		status = tag(q, stolen);
	if (status != 204 && status != 304) {
		out = new_buffer();
		json_dump_callback(stolen, into_evbuffer, out,
		    JSON_COMPACT | JSON_PRESERVE_ORDER);
		evbuffer_add(out, "\n", 1);
	}
	json_decref(stolen);
	send_reply(q, status, "application/json", out);
}

void
request_text(
    struct request *q, const char *content_type, const char *text, size_t len)
{
	struct evbuffer *out = new_buffer();

	evbuffer_add(out, text, len);
	send_reply(q, 200, content_type, out);
}

void
request_error(
    struct request *q, int status, const char *code, const char *fmt, ...)
{
	char text[512];
	json_t *o = json_object();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_set_new(o, "error", json_text(text));
	if (code != NULL)
		json_object_set_new(o, "code", json_string(code));
	request_reply(q, status, o);
}

void
request_not_found(struct request *q, const char *resource, const char *detail)
{
	json_t *o =
	    json_pack("{s:s, s:s}", "resource", resource, "error", "not found");

	if (detail != NULL)
		json_object_set_new(o, "detail", json_text(detail));
	request_reply(q, 404, o);
}

void
request_unprocessable(struct request *q, json_t *stolen_errors)
{
	request_reply(q, 422, json_pack("{s:o}", "errors", stolen_errors));
}

void
request_store_error(struct request *q, const struct err *e)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(q->http);

	log_warn("api: %s", e->text);
	switch (e->kind) {
	case ERR_REFUSED:
		request_error(q, 409, "refused", "%s", e->text);
		return;
	case ERR_LIMITED:
		evhttp_add_header(out, "Retry-After", "60");
		request_error(q, 429, "limited", "%s", e->text);
		return;
	case ERR_AGAIN:
		evhttp_add_header(out, "Retry-After", "1");
		request_error(q, 503, "unavailable", "%s", e->text);
		return;
	case ERR_NONE:
	case ERR_CONFIG:
	case ERR_BUG:
		break;
	}
	request_error(q, 500, "internal", "%s", e->text);
}
