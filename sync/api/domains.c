/*
 * Domains: added, shown, changed, removed, in Scalingo's shape and in ours.
 *
 * A name belongs to one app: under another it is not found, and it cannot be
 * added there.  ":id" is the id that we gave or the name.
 */
#include <stdio.h>
#include <string.h>

#include "common/loop.h"
#include "common/str.h"
#include "sync/api/request.h"

#define PAGE 1000
#define PAGE_MAX 10000

/* The app in the path; -1 when the request has been answered. */
static int
check_app(struct request *q)
{
	struct err e = { 0 };

	if (domain_app_check(q->param[0], &e) == 0)
		return 0;
	request_not_found(q, "app", e.text);
	return -1;
}

static void
got_list(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct request *q = arg;
	json_t *list;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_domain(d[i]));
	request_reply(q, 200, json_pack("{s:o}", "domains", list));
}

void
domains_list(struct request *q)
{
	if (check_app(q) == 0)
		store_list(q->api->store, q->param[0], got_list, q);
}

static void
got_added(void *arg, bool added, const struct err *e)
{
	struct request *q = arg;
	json_t *errors;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	if (!added) {
		errors = json_object();
		json_complain(errors, "name", "has already been taken");
		request_unprocessable(q, errors);
		return;
	}
	/* Let's Encrypt is as it should be since it was added. */
	q->change.letsencrypt_enabled = -1;
	change_begin(q, 201);
}

/* What is asked for, or complaints in errors. */
static void
read_new(struct request *q, json_t *errors)
{
	struct err e = { 0 };

	json_domain_change(q->body, true, &q->change, errors);
	if (domain_app_check(q->param[0], &e) == -1)
		json_complain(errors, "app", "%s", e.text);
	if (json_object_size(errors) == 0)
		change_check(q, q->change.name, errors);
}

/* The first words of a domain, until the leader has looked at it. */
static void
begin_life(struct domain *d)
{
	const char *reason = "its DNS has not been checked yet";

	d->status = DOMAIN_PENDING_DNS;
	if (d->custom_sha1[0] != '\0') {
		d->status = DOMAIN_CREATING;
		reason = "the uploaded certificate is on its way to the nodes";
	} else if (!d->letsencrypt) {
		d->status = DOMAIN_DISABLED;
		reason = "Let's Encrypt is switched off for this domain";
	}
	snprintf(d->reason, sizeof(d->reason), "%s", reason);
	d->created_at = d->status_at = d->next_at = loop_wall_ms();
}

void
domains_add(struct request *q)
{
	json_t *errors = json_object();
	struct domain *d = &q->domain;
	struct err e = { 0 };

	read_new(q, errors);
	if (json_object_size(errors) > 0) {
		request_unprocessable(q, errors);
		return;
	}
	json_decref(errors);
	if (str_copy(d->name, sizeof(d->name), q->change.name, &e) == -1 ||
	    str_copy(d->app, sizeof(d->app), q->param[0], &e) == -1) {
		request_store_error(q, &e);
		return;
	}
	d->letsencrypt = q->change.letsencrypt_enabled != 0;
	begin_life(d);
	store_add(q->api->store, d, got_added, q);
}

/* --- one domain ---------------------------------------------------------- */

static void
not_found(struct request *q)
{
	request_not_found(q, "domain", NULL);
}

static void
found(struct request *q, const struct domain *d)
{
	if (d == NULL || strcmp(d->app, q->param[0]) != 0)
		not_found(q);
	else
		q->found(q, d);
}

static void
got_by_name(void *arg, const struct domain *d, const struct err *e)
{
	if (e != NULL)
		request_store_error(arg, e);
	else
		found(arg, d);
}

static void
got_by_id(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct request *q = arg;
	char id[DOMAIN_ID_MAX];

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		domain_id(d[i]->name, id);
		if (strcmp(id, q->param[1]) == 0) {
			found(q, d[i]);
			return;
		}
	}
	not_found(q);
}

/* Find the domain that the path names and give it to fn. */
static void
find(struct request *q, found_fn *fn)
{
	const char *what = q->param[1];
	struct err e = { 0 };

	if (check_app(q) == -1)
		return;
	q->found = fn;
	/* An id has no dot, so it is no name. */
	if (strlen(what) == DOMAIN_ID_MAX - 1 && strchr(what, '.') == NULL)
		store_list(q->api->store, q->param[0], got_by_id, q);
	else if (domain_normalise(what, q->name, &e) == -1)
		request_not_found(q, "domain", e.text);
	else
		store_get(q->api->store, q->name, got_by_name, q);
}

static void
show(struct request *q, const struct domain *d)
{
	request_reply(q, 200, json_pack("{s:o}", "domain", json_domain(d)));
}

void
domains_show(struct request *q)
{
	find(q, show);
}

static void
change(struct request *q, const struct domain *d)
{
	json_t *errors = json_object();

	json_domain_change(q->body, false, &q->change, errors);
	if (q->change.name[0] != '\0' && strcmp(q->change.name, d->name) != 0)
		json_complain(errors, "name",
		    "cannot be changed; remove %s and add the other", d->name);
	if (json_object_size(errors) == 0)
		change_check(q, d->name, errors);
	if (json_object_size(errors) > 0) {
		request_unprocessable(q, errors);
		return;
	}
	json_decref(errors);
	memcpy(q->domain.name, d->name, sizeof(d->name));
	change_begin(q, 200);
}

void
domains_change(struct request *q)
{
	find(q, change);
}

static void
got_removed(void *arg, bool removed, const struct err *e)
{
	if (e != NULL)
		request_store_error(arg, e);
	else if (!removed)
		not_found(arg);
	else
		request_reply(arg, 204, NULL);
}

static void
take_out(struct request *q, const struct domain *d)
{
	store_remove(q->api->store, d->name, d->app, got_removed, q);
}

void
domains_remove(struct request *q)
{
	find(q, take_out);
}

/* --- ours ---------------------------------------------------------------- */

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
		if (status >= 0 && (int)d[i]->status != status)
			continue;
		if (total >= offset && total < offset + limit)
			json_array_append_new(list, json_own_domain(d[i]));
		total++;
	}
	reply_page(q, list, total, limit, offset);
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

void
own_domains_list(struct request *q)
{
	const char *app = target_query(&q->target, "app");
	struct err e = { 0 };
	int64_t limit, offset;

	if (asked_status(q) == -2) {
		request_error(q, 400, "bad_request",
		    "status must be one of pending_dns, creating, in_use, "
		    "not_used, action_required, disabled");
	} else if (asked_page(q, &limit, &offset, &e) == -1 ||
		   (app != NULL && domain_app_check(app, &e) == -1)) {
		request_error(q, 400, "bad_request", "%s", e.text);
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
	store_timeline(q->api->store, q->domain.name, got_timeline, q);
}

static void
got_own(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	if (d == NULL) {
		not_found(q);
		return;
	}
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
