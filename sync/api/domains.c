/*
 * Domains: added, shown, changed, removed, in Scalingo's shape; own.c has ours.
 *
 * A name belongs to one app: under another it is not found, and it cannot be
 * added there.  ":id" is the id that we gave or the name.
 */
#include <stdio.h>
#include <string.h>

#include "common/loop.h"
#include "common/str.h"
#include "sync/api/etag.h"
#include "sync/api/request.h"

/* The view that was asked for; -1 when the request has been answered. */
static int
check_view(struct request *q)
{
	const char *view = target_query(&q->target, "view");

	if (view == NULL || strcmp(view, "spec") == 0)
		return 0;
	request_error(q, 400, "bad_request",
	    "view must be spec; without it the whole domain is shown");
	return -1;
}

json_t *
request_domain(const struct request *q, const struct domain *d)
{
	return target_query(&q->target, "view") != NULL
	           ? json_spec(d)
	           : json_pack("{s:o}", "domain", json_domain(d));
}

/* The app in the path; -1 when the request has been answered. */
static int
check_app(struct request *q)
{
	struct err e = { 0 };

	if (domain_app_check(q->param[0], &e) == 0)
		return check_view(q);
	request_not_found(q, "app", e.text);
	return -1;
}

static void
got_list(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct request *q = arg;
	json_t *(*view)(const struct domain *);
	json_t *list;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	view =
	    target_query(&q->target, "view") != NULL ? json_spec : json_domain;
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, view(d[i]));
	request_reply(q, 200, json_pack("{s:o}", "domains", list));
}

void
domains_list(struct request *q)
{
	if (check_app(q) == 0)
		store_list(q->api->store, q->param[0], got_list, q);
}

static void
taken(struct request *q)
{
	json_t *errors = json_object();

	json_complain(errors, "name", "has already been taken");
	request_unprocessable(q, errors);
}

/*
 * Added before, maybe by this very request when its answer was lost: then it is
 * carried on.  What differs from what is asked for is somebody else's wish.
 */
static void
got_taken(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;
	const char *wanted = q->domain.custom_sha1;

	if (e != NULL) {
		request_store_error(q, e);
	} else if (d == NULL || strcmp(d->app, q->param[0]) != 0 ||
		   d->letsencrypt != q->domain.letsencrypt ||
		   (wanted[0] != '\0' && d->custom_sha1[0] != '\0' &&
		       strcmp(wanted, d->custom_sha1) != 0)) {
		taken(q);
	} else {
		if (strcmp(wanted, d->custom_sha1) == 0)
			q->change.tlscert = NULL;
		change_begin(q, 201);
	}
}

static void
got_added(void *arg, bool added, const struct err *e)
{
	struct request *q = arg;

	/* Let's Encrypt is as it should be since it was added. */
	q->change.letsencrypt_enabled = -1;
	if (e != NULL)
		request_store_error(q, e);
	else if (added)
		change_begin(q, 201);
	else if (request_header(q, "Idempotency-Key") != NULL)
		store_get(q->api->store, q->domain.name, got_taken, q);
	else
		taken(q);
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

	if (check_view(q) == -1) {
		json_decref(errors);
		return;
	}
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

/* True when an If-Match was answered: the domain is no longer as it was. */
static bool
is_changed(struct request *q, const struct domain *d)
{
	const char *wanted = request_header(q, "If-Match");
	char etag[ETAG_SIZE];
	json_t *now;

	if (wanted == NULL)
		return false;
	now = request_domain(q, d);
	etag_make(now, etag);
	json_decref(now);
	if (etag_named(wanted, etag, false))
		return false;
	request_error(q, 412, "changed",
	    "the domain is no longer what If-Match names; get it again");
	return true;
}

static void
found(struct request *q, const struct domain *d)
{
	if (d == NULL || strcmp(d->app, q->param[0]) != 0)
		not_found(q);
	else if (!is_changed(q, d))
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
	request_reply(q, 200, request_domain(q, d));
}

void
domains_show(struct request *q)
{
	find(q, show);
}

/* Carry out what q->change says, unless errors has something against it. */
static void
apply(struct request *q, const struct domain *d, json_t *errors)
{
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
	/* What an upload is to remember of its domain. */
	memcpy(q->domain.app, d->app, sizeof(d->app));
	q->domain.created_at = d->created_at;
	q->domain.canonical = d->canonical;
	q->domain.letsencrypt = q->change.letsencrypt_enabled == -1
	                            ? d->letsencrypt
	                            : q->change.letsencrypt_enabled == 1;
	change_begin(q, 200);
}

static void
change(struct request *q, const struct domain *d)
{
	json_t *errors = json_object();

	json_domain_change(q->body, false, &q->change, errors);
	apply(q, d, errors);
}

void
domains_change(struct request *q)
{
	find(q, change);
}

/*
 * What json_spec() shows is all there is to say: what is absent becomes its
 * default.  A certificate is no part of it, for its key is never shown.
 */
static void
replace(struct request *q, const struct domain *d)
{
	json_t *errors = json_object();

	json_domain_change(q->body, false, &q->change, errors);
	if (q->change.letsencrypt_enabled == -1)
		q->change.letsencrypt_enabled = 1;
	if (q->change.canonical == -1)
		q->change.canonical = 0;
	apply(q, d, errors);
}

void
domains_replace(struct request *q)
{
	find(q, replace);
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
