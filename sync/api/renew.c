/*
 * A renewal that somebody asks for: what will come of it, what the CA's limits
 * say to that, then it is asked for, unless it was only a question.
 */
#include <string.h>

#include "common/loop.h"
#include "sync/api/auth.h"
#include "sync/asked.h"
#include "sync/limit.h"
#include "sync/store_limit.h"

#define DAY_MS (24LL * 3600 * 1000)

static void next_limit(struct request *);

static bool
wants(const struct request *q, const char *what)
{
	return json_is_true(json_object_get(q->body, what));
}

static void
check_body(const struct request *q, json_t *errors)
{
	const char *key;
	json_t *value;

	json_object_foreach (q->body, key, value) {
		if (strcmp(key, "force") != 0 && strcmp(key, "dry_run") != 0)
			json_complain(
			    errors, key, "is not known; force and dry_run are");
		else if (!json_is_boolean(value))
			json_complain(errors, key, "must be true or false");
	}
}

/* --- the answer ---------------------------------------------------------------- */

static const char *
sentence(enum asked asked, bool dry_run)
{
	switch (asked) {
	case ASKED_DNS_CHECK:
		return dry_run ? "its DNS would be checked now; there is no "
		                 "order before it is right"
		               : "its DNS is checked now; there is no order "
		                 "before it is right";
	case ASKED_RECORD_CHECK:
		return dry_run ? "its TXT record would be looked for now"
		               : "its TXT record is looked for now; the order "
		                 "goes on when it is there";
	case ASKED_ORDER:
	case ASKED_REFUSED:
		break;
	}
	return dry_run ? "a certificate would be ordered now"
	               : "a certificate is ordered now";
}

static void
answer(struct request *q, const struct domain *d)
{
	bool dry_run = wants(q, "dry_run");
	json_t *o = q->reply, *waits = json_object_get(o, "waits_for");

	q->reply = NULL;
	json_object_set_new(o, "asked", json_boolean(!dry_run));
	json_object_set_new(o, "now", json_boolean(json_is_null(waits)));
	if (json_is_null(waits))
		json_object_set_new(o, "sentence",
		    json_string(sentence((enum asked)q->step, dry_run)));
	request_reply(q, dry_run ? 200 : 202,
	    json_pack(
		"{s:o, s:o}", "renewal", o, "domain", json_own_domain(d)));
}

static void
show(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;

	if (request_found(q, d, e))
		answer(q, d);
}

static void
asked_for(void *arg, const struct err *e)
{
	struct request *q = arg;

	if (e != NULL && strcmp(e->type, "GONE") == 0)
		request_not_found(q, "domain", NULL);
	else if (e != NULL)
		request_store_error(q, e);
	else
		store_get(q->api->store, q->name, show, q);
}

/* --- what the CA's limits say ------------------------------------------------- */

/* The bucket whose place is free last is what it waits for. */
static void
got_limit(void *arg, const struct store_limit *found, const struct err *e)
{
	struct request *q = arg;
	const struct conf *conf = q->api->conf;
	struct limit l;
	struct err why = { 0 };

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	limit_of(conf, conf->acme.directory, (enum limit_bucket)q->status,
	    q->name, &l);
	if (found->free_at > found->now && found->free_at > q->free_at) {
		q->free_at = found->free_at;
		limit_wait(&why, &l, found->blocked_until >= found->free_at,
		    found->free_at, found->now);
		json_object_set_new(q->reply, "at", json_time(found->free_at));
		json_object_set_new(
		    q->reply, "waits_for", json_string(limit_name(l.bucket)));
		json_object_set_new(q->reply, "sentence", json_text(why.text));
	}
	q->status++;
	next_limit(q);
}

static void
next_limit(struct request *q)
{
	const struct conf *conf = q->api->conf;
	enum limit_kind kind = limit_kind_of(&q->domain, loop_wall_ms());
	struct limit l;

	while (q->step == ASKED_ORDER && q->status < LIMIT_BUCKETS &&
	       !limit_asks(kind, (enum limit_bucket)q->status))
		q->status++;
	if (q->step == ASKED_ORDER && q->status < LIMIT_BUCKETS) {
		limit_of(conf, conf->acme.directory,
		    (enum limit_bucket)q->status, q->name, &l);
		store_limit_peek(q->api->store, &l, 0, got_limit, q);
	} else if (wants(q, "dry_run")) {
		store_get(q->api->store, q->name, show, q);
	} else {
		store_renew(q->api->store, q->name, asked_for, q);
	}
}

/* --- the question ---------------------------------------------------------------- */

static void
got_domain(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;
	int64_t before = q->api->conf->acme.custom_days * DAY_MS;
	struct err why = { 0 };
	enum asked asked;

	if (!request_found(q, d, e))
		return;
	asked =
	    asked_renewal(d, loop_wall_ms(), before, wants(q, "force"), &why);
	if (asked == ASKED_REFUSED) {
		request_error(q, 409, "not_renewed", "%s", why.text);
		return;
	}
	/* What limit_kind_of() looks at. */
	q->domain.version = d->version;
	q->domain.not_before = d->not_before;
	q->step = (int)asked;
	q->reply = json_pack("{s:s, s:s, s:I, s:n, s:n, s:n}", "name", q->name,
	    "next", asked_name(asked), "version", (json_int_t)d->version, "at",
	    "waits_for", "sentence");
	next_limit(q);
}

void
own_domains_renew(struct request *q)
{
	json_t *errors = json_object();
	struct err e = { 0 };

	check_body(q, errors);
	if (domain_normalise(q->param[0], q->name, &e) == -1) {
		json_decref(errors);
		request_not_found(q, "domain", e.text);
	} else if (json_object_size(errors) > 0) {
		request_unprocessable(q, errors);
	} else {
		json_decref(errors);
		store_get(q->api->store, q->name, got_domain, q);
	}
}
