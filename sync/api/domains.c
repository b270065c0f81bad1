/*
 * Domains: added, shown, changed, removed, in Scalingo's shape and in ours.
 *
 * A name belongs to one app: under another it is not found, and it cannot be
 * added there.  ":id" is the id that we gave or the name.
 */
#include <string.h>

#include "common/loop.h"
#include "common/str.h"
#include "sync/api/call.h"

#define PAGE 1000
#define PAGE_MAX 10000

/* The app in the path; -1 when the call has been answered. */
static int
check_app(struct call *c)
{
	struct err e = { 0 };

	if (domain_app_check(c->param[0], &e) == 0)
		return 0;
	call_not_found(c, "app", e.text);
	return -1;
}

static void
got_list(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct call *c = arg;
	json_t *list;

	if (e != NULL) {
		call_store_error(c, e);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_domain(d[i]));
	call_reply(c, 200, json_pack("{s:o}", "domains", list));
}

void
domains_list(struct call *c)
{
	if (check_app(c) == 0)
		store_list(c->api->store, c->param[0], got_list, c);
}

static void
got_added(void *arg, bool added, const struct err *e)
{
	struct call *c = arg;
	json_t *errors;

	if (e != NULL) {
		call_store_error(c, e);
		return;
	}
	if (!added) {
		errors = json_object();
		json_complain(errors, "name", "has already been taken");
		call_unprocessable(c, errors);
		return;
	}
	call_reply(
	    c, 201, json_pack("{s:o}", "domain", json_domain(&c->domain)));
}

void
domains_add(struct call *c)
{
	json_t *errors = json_object();
	struct domain *d = &c->domain;
	struct domain_change change;
	struct err e = { 0 };

	json_domain_change(c->body, true, &change, errors);
	if (domain_app_check(c->param[0], &e) == -1)
		json_complain(errors, "app", "%s", e.text);
	if (json_object_size(errors) > 0) {
		call_unprocessable(c, errors);
		return;
	}
	json_decref(errors);
	if (str_copy(d->name, sizeof(d->name), change.name, &e) == -1 ||
	    str_copy(d->app, sizeof(d->app), c->param[0], &e) == -1 ||
	    str_copy(d->reason, sizeof(d->reason),
		"its DNS has not been checked yet", &e) == -1) {
		call_store_error(c, &e);
		return;
	}
	d->status = DOMAIN_PENDING_DNS;
	d->letsencrypt = true;
	d->created_at = d->status_at = d->next_at = loop_wall_ms();
	store_add(c->api->store, d, got_added, c);
}

/* --- one domain ---------------------------------------------------------- */

static void
not_found(struct call *c)
{
	call_not_found(c, "domain", NULL);
}

static void
found(struct call *c, const struct domain *d)
{
	if (d == NULL || strcmp(d->app, c->param[0]) != 0)
		not_found(c);
	else
		c->found(c, d);
}

static void
got_by_name(void *arg, const struct domain *d, const struct err *e)
{
	if (e != NULL)
		call_store_error(arg, e);
	else
		found(arg, d);
}

static void
got_by_id(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct call *c = arg;
	char id[DOMAIN_ID_MAX];

	if (e != NULL) {
		call_store_error(c, e);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		domain_id(d[i]->name, id);
		if (strcmp(id, c->param[1]) == 0) {
			found(c, d[i]);
			return;
		}
	}
	not_found(c);
}

/* Find the domain that the path names and give it to fn. */
static void
find(struct call *c, found_fn *fn)
{
	const char *what = c->param[1];
	struct err e = { 0 };

	if (check_app(c) == -1)
		return;
	c->found = fn;
	/* An id has no dot, so it is no name. */
	if (strlen(what) == DOMAIN_ID_MAX - 1 && strchr(what, '.') == NULL)
		store_list(c->api->store, c->param[0], got_by_id, c);
	else if (domain_normalise(what, c->name, &e) == -1)
		call_not_found(c, "domain", e.text);
	else
		store_get(c->api->store, c->name, got_by_name, c);
}

static void
show(struct call *c, const struct domain *d)
{
	call_reply(c, 200, json_pack("{s:o}", "domain", json_domain(d)));
}

void
domains_show(struct call *c)
{
	find(c, show);
}

/* Nothing that can be asked for yet changes anything. */
static void
change(struct call *c, const struct domain *d)
{
	json_t *errors = json_object();
	struct domain_change asked;

	json_domain_change(c->body, false, &asked, errors);
	if (asked.name[0] != '\0' && strcmp(asked.name, d->name) != 0)
		json_complain(errors, "name",
		    "cannot be changed; remove %s and add the other", d->name);
	if (json_object_size(errors) > 0) {
		call_unprocessable(c, errors);
		return;
	}
	json_decref(errors);
	show(c, d);
}

void
domains_change(struct call *c)
{
	find(c, change);
}

static void
got_removed(void *arg, bool removed, const struct err *e)
{
	if (e != NULL)
		call_store_error(arg, e);
	else if (!removed)
		not_found(arg);
	else
		call_reply(arg, 204, NULL);
}

static void
take_out(struct call *c, const struct domain *d)
{
	store_remove(c->api->store, d->name, d->app, got_removed, c);
}

void
domains_remove(struct call *c)
{
	find(c, take_out);
}

/* --- ours ---------------------------------------------------------------- */

/* What ?status= names: -1 when it is absent, -2 when it names none. */
static int
asked_status(const struct call *c)
{
	const char *text = target_query(&c->target, "status");
	int status = text != NULL ? domain_status_parse(text) : -1;

	return text != NULL && status == -1 ? -2 : status;
}

static void
got_own_list(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct call *c = arg;
	int64_t limit, offset, total = 0;
	int status = asked_status(c);
	struct err unused = { 0 };
	json_t *list;

	if (e != NULL) {
		call_store_error(c, e);
		return;
	}
	target_int(&c->target, "limit", 1, PAGE_MAX, PAGE, &limit, &unused);
	target_int(
	    &c->target, "offset", 0, STORE_LIST_MAX, 0, &offset, &unused);
	list = json_array();
	for (size_t i = 0; i < n; i++) {
		if (status >= 0 && (int)d[i]->status != status)
			continue;
		if (total >= offset && total < offset + limit)
			json_array_append_new(list, json_own_domain(d[i]));
		total++;
	}
	call_reply(c, 200,
	    json_pack("{s:o, s:I, s:I, s:I}", "domains", list, "total",
		(json_int_t)total, "limit", (json_int_t)limit, "offset",
		(json_int_t)offset));
}

void
own_domains_list(struct call *c)
{
	const char *app = target_query(&c->target, "app");
	struct err e = { 0 };
	int64_t unused;

	if (asked_status(c) == -2) {
		call_error(c, 400, "bad_request",
		    "status must be one of pending_dns, creating, in_use, "
		    "not_used, action_required, disabled");
	} else if (target_int(&c->target, "limit", 1, PAGE_MAX, PAGE, &unused,
		       &e) == -1 ||
		   target_int(&c->target, "offset", 0, STORE_LIST_MAX, 0,
		       &unused, &e) == -1 ||
		   (app != NULL && domain_app_check(app, &e) == -1)) {
		call_error(c, 400, "bad_request", "%s", e.text);
	} else {
		store_list(c->api->store, app, got_own_list, c);
	}
}

static void
got_serving(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct call *c = arg;
	json_t *o;

	if (e != NULL) {
		call_store_error(c, e);
		return;
	}
	o = c->reply;
	c->reply = NULL;
	json_object_set_new(o, "nodes",
	    json_serving(&c->domain, node, n, store_partitions(c->api->store)));
	call_reply(c, 200, json_pack("{s:o}", "domain", o));
}

static void
got_own(void *arg, const struct domain *d, const struct err *e)
{
	struct call *c = arg;

	if (e != NULL) {
		call_store_error(c, e);
		return;
	}
	if (d == NULL) {
		not_found(c);
		return;
	}
	c->reply = json_own_domain(d);
	json_object_set_new(c->reply, "why", json_why(d, loop_wall_ms()));
	/* What json_serving() looks at; the record itself ends here. */
	memcpy(c->domain.name, d->name, sizeof(d->name));
	c->domain.status = d->status;
	c->domain.version = d->version;
	c->domain.gen = d->gen;
	store_nodes(c->api->store, got_serving, c);
}

void
own_domains_show(struct call *c)
{
	struct err e = { 0 };

	if (domain_normalise(c->param[0], c->name, &e) == -1)
		call_not_found(c, "domain", e.text);
	else
		store_get(c->api->store, c->name, got_own, c);
}
