/* Domains in our own shape: all apps' together, and one with its story. */
#include <string.h>

#include "common/loop.h"
#include "sync/api/auth.h"
#include "sync/witness.h"

#define PAGE 1000
#define PAGE_MAX 10000

/* What ?status= names: -1 when it is absent, -2 when it names none. */
static int
asked_status(const struct request *q)
{
	const char *text = target_query(&q->target, "status");
	int status = text != NULL ? domain_status_parse(text) : -1;

	return text != NULL && status == -1 ? -2 : status;
}

/* ?limit= and ?offset=; -1 when one is out of bounds. */
static int
asked_page(
    const struct request *q, int64_t *limit, int64_t *offset, struct err *e)
{
	if (target_int(&q->target, "limit", 1, PAGE_MAX, PAGE, limit, e) == -1)
		return -1;
	return target_int(
	    &q->target, "offset", 0, STORE_LIST_MAX, 0, offset, e);
}

static void
reply_page(struct request *q, json_t *stolen, int64_t total, int64_t limit,
    int64_t offset)
{
	request_reply(q, 200,
	    json_pack("{s:o, s:I, s:I, s:I}", "domains", stolen, "total",
		(json_int_t)total, "limit", (json_int_t)limit, "offset",
		(json_int_t)offset));
}

static void
got_own_list(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct request *q = arg;
	int64_t limit, offset, total = 0;
	int status = asked_status(q);
	struct err unused = { 0 };
	json_t *list;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	asked_page(q, &limit, &offset, &unused);
	list = json_array();
	for (size_t i = 0; i < n; i++) {
		if ((status >= 0 && (int)d[i]->status != status) ||
		    !auth_sees(q, d[i]->app))
			continue;
		if (total >= offset && total < offset + limit)
			json_array_append_new(list, json_own_domain(d[i]));
		total++;
	}
	reply_page(q, list, total, limit, offset);
}

/*
 * Of all apps there may be more records than memory should hold: a part at a
 * time is looked at, and the rest is only counted.
 */
static void
got_own_part(void *arg, const struct domain *const *d, size_t n,
    const char *next, const struct err *e)
{
	struct request *q = arg;
	int64_t limit, offset;
	struct err unused = { 0 };
	json_t *list = q->reply;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	asked_page(q, &limit, &offset, &unused);
	for (size_t i = 0; i < n; i++) {
		if (!auth_sees(q, d[i]->app))
			continue;
		if (q->total >= offset && q->total < offset + limit)
			json_array_append_new(list, json_own_domain(d[i]));
		q->total++;
	}
	if (*next != '\0') {
		find_part(q, asked_status(q), next, got_own_part);
		return;
	}
	q->reply = NULL;
	reply_page(q, list, q->total, limit, offset);
}

static void
got_own_page(void *arg, const struct domain *const *d, size_t n, int64_t total,
    const struct err *e)
{
	struct request *q = arg;
	int64_t limit, offset;
	struct err unused = { 0 };
	json_t *list;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	asked_page(q, &limit, &offset, &unused);
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_own_domain(d[i]));
	reply_page(q, list, total, limit, offset);
}

/* The app whose domains are asked for; NULL: all that may be seen. */
static const char *
asked_app(const struct request *q)
{
	const char *app = target_query(&q->target, "app");

	if (app == NULL && q->by_token && json_array_size(q->token.apps) == 1)
		app = json_string_value(json_array_get(q->token.apps, 0));
	return app;
}

void
own_domains_list(struct request *q)
{
	const char *app = asked_app(q);
	struct err e = { 0 };
	int64_t limit, offset;
	bool walks = target_query(&q->target, "after") != NULL ||
	             target_query(&q->target, "q") != NULL;

	if (asked_status(q) == -2) {
		request_error(q, 400, "bad_request",
		    "status must be one of pending_dns, creating, in_use, "
		    "not_used, action_required, disabled");
	} else if (asked_page(q, &limit, &offset, &e) == -1 ||
		   (app != NULL && domain_app_check(app, &e) == -1)) {
		request_error(q, 400, "bad_request", "%s", e.text);
	} else if (app != NULL && !auth_sees(q, app)) {
		reply_page(q, json_array(), 0, limit, offset);
	} else if (walks) {
		find_domains(q, app, asked_status(q), (size_t)limit);
	} else if (app == NULL && (asked_status(q) >= 0 || auth_limited(q))) {
		q->reply = json_array();
		find_part(q, asked_status(q), "", got_own_part);
	} else if (asked_status(q) >= 0) {
		store_list(q->api->store, app, got_own_list, q);
	} else {
		store_page(q->api->store, app, (size_t)offset, (size_t)limit,
		    got_own_page, q);
	}
}

static void
got_timeline(void *arg, const char *const *texts, size_t n, const struct err *e)
{
	struct request *q = arg;
	json_t *o = q->reply;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	q->reply = NULL;
	json_object_set_new(o, "timeline", json_timeline(texts, n));
	request_reply(q, 200, json_pack("{s:o}", "domain", o));
}

/* What each node has shown just now, or null. */
static void
got_shown(void *arg, const json_t *shown)
{
	struct request *q = arg;
	json_t *node;
	size_t i;

	json_array_foreach (json_object_get(q->reply, "nodes"), i, node) {
		const char *id = json_string_value(json_object_get(node, "id"));
		const json_t *one =
		    id != NULL ? json_object_get(shown, id) : NULL;

		json_object_set_new(
		    node, "shown", one != NULL ? json_shown(one) : json_null());
	}
	store_timeline(q->api->store, q->domain.name, got_timeline, q);
}

static int
ask_nodes(struct request *q, const struct store_node *node, size_t n)
{
	size_t live = 0;

	for (size_t i = 0; i < n; i++)
		live += node[i].live;
	return q->api->witness == NULL
	           ? -1
	           : witness_ask(
			 q->api->witness, q->domain.name, live, got_shown, q);
}

/* ?shown=1: costs a handshake on every node. */
static bool
wants_shown(const struct request *q)
{
	const char *text = target_query(&q->target, "shown");

	return text != NULL && strcmp(text, "1") == 0;
}

static void
got_serving(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct request *q = arg;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	json_object_set_new(
	    q->reply, "nodes", json_serving(&q->domain, node, n));
	if (!wants_shown(q) || ask_nodes(q, node, n) == -1)
		store_timeline(q->api->store, q->domain.name, got_timeline, q);
}

static void
got_own(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;

	if (!request_found(q, d, e))
		return;
	q->reply = json_own_domain(d);
	json_object_set_new(q->reply, "why", json_why(d, loop_wall_ms()));
	/* What json_serving() looks at; the record itself ends here. */
	memcpy(q->domain.name, d->name, sizeof(d->name));
	q->domain.status = d->status;
	q->domain.version = d->version;
	q->domain.gen = d->gen;
	store_nodes(q->api->store, got_serving, q);
}

void
own_domains_show(struct request *q)
{
	struct err e = { 0 };

	if (domain_normalise(q->param[0], q->name, &e) == -1)
		request_not_found(q, "domain", e.text);
	else
		store_get(q->api->store, q->name, got_own, q);
}
