#include "sync/api/api.h"

#include <stdlib.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "common/mem.h"
#include "sync/api/auth.h"
#include "sync/api/door.h"
#include "sync/api/listen.h"
#include "sync/api/quota.h"
#include "sync/api/request.h"
#include "sync/api/routes.h"
#include "sync/authority.h"
#include "sync/dialogue.h"
#include "sync/http.h"
#include "sync/witness.h"

#define HEADERS_MAX 8192
#define TIMEOUT_S 10

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
	a->quota = quota_new(conf->api.requests_per_minute);
	a->hub = hub_new(a);
	a->dialogues = dialogues_new(base, conf);
	return a;
}

void
api_witness(struct api *a, struct witness *witness)
{
	a->witness = witness;
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
	http_free(a->ca_http[0]);
	http_free(a->ca_http[1]);
	dialogues_free(a->dialogues);
	authorities_free(a->authorities);
	renewals_free(a->renewals);
	for (size_t i = 0; i < s->nentrances; i++) {
		evhttp_free(s->entrance[i].http);
		door_free(s->entrance[i].door);
	}
	free(s->entrance);
	quota_free(a->quota);
	listen_unlink(a->conf->api.socket, s->inode);
	free(s);
}

void
api_checks(struct api *a, struct checks *checks)
{
	a->checks = checks;
}

void
api_ring(struct api *a, const struct seal_ring *ring)
{
	a->ring = ring;
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
	enum evhttp_cmd_type method = evhttp_request_get_command(q->http);
	const char *old = store_old(q->api->store);
	struct err e = { 0 };

	if (old[0] != '\0' && method != EVHTTP_REQ_GET &&
	    method != EVHTTP_REQ_HEAD && q->route->role < TOKEN_READ)
		request_error(q, 503, "too_old", "%s", old);
	else if (has_body(method) && read_body(q, &e) == -1)
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
	look_forget(q);
	ca_forget(q);
	json_forget(q->body);
	json_decref(q->reply);
	gather_free(q->gather);
	if (q->text != NULL)
		buf_clear(q->text);
	free(q->text);
	plan_request_free(q->plan);
	import_request_free(q->import);
	variables_request_free(q->variables);
	domain_clear(&q->domain);
	custom_clear(&q->custom);
	token_clear(&q->token);
	witness_forget(q->api->witness, q);
	free(q);
}
