/* Back to the certificate of before, because an operator says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/metric.h"
#include "common/str.h"
#include "sync/api/auth.h"
#include "sync/cert.h"
#include "sync/renew.h"
#include "sync/store_canary.h"

#define REASON_MAX 200

/*
 * What was served before: an owner's own that another of its owner's, or by a
 * rollback one of the CA's, has followed; else the CA's, which stays in its
 * place while an owner's own is served.
 */
enum before {
	BEFORE_CUSTOM = 0,
	BEFORE_SPARE,
	BEFORE_MANAGED,
};

static void
complain(struct request *q, const char *field, const char *sentence)
{
	json_t *errors = json_object();

	json_complain(errors, field, "%s", sentence);
	request_unprocessable(q, errors);
}

static void
store_failed(struct request *q, const struct err *e)
{
	if (strcmp(e->type, "GONE") == 0)
		request_not_found(q, "domain", NULL);
	else if (strcmp(e->type, "BUSY") == 0)
		complain(q, "name",
		    "has no certificate in service that stays: it is switched "
		    "off, is being revoked, or was taken away");
	else if (strcmp(e->type, "CHANGED") == 0)
		request_error(q, 409, "conflict",
		    "the domain has got another certificate meanwhile; look "
		    "again");
	else
		request_store_error(q, e);
}

static void
done(void *arg, int64_t version, int64_t gen, const struct err *e)
{
	struct request *q = arg;

	(void)version, (void)gen;
	if (e != NULL) {
		store_failed(q, e);
		return;
	}
	metric_count(METRIC_ROLLOUT, METRIC_ROLLOUT_BACK, 0);
	store_get(q->api->store, q->name, request_accepted, q);
}

/*
 * The record of the domain, of what tells of the certificate.  What an owner's
 * own was like is kept with it.
 */
static void
describe(struct request *q, const struct cert *cert)
{
	struct domain *d = &q->domain;

	memcpy(d->name, q->name, sizeof(d->name));
	if (q->step == BEFORE_CUSTOM) {
		memcpy(d->custom_sha1, cert->sha1, sizeof(d->custom_sha1));
		d->custom_not_after = cert->not_after;
		return;
	}
	memcpy(d->sha1, cert->sha1, sizeof(d->sha1));
	memcpy(d->serial, cert->serial, sizeof(d->serial));
	memcpy(d->issuer, cert->issuer, sizeof(d->issuer));
	d->not_before = cert->not_before;
	d->not_after = cert->not_after;
	d->renew_at = renew_at(d->name, d->not_before, d->not_after,
	    q->api->conf->acme.renew_percent);
	d->renew_at = renew_rolled_back(d, loop_wall_ms());
}

static const char *
asked_reason(const struct request *q)
{
	json_t *given = json_object_get(q->body, "reason");

	return given == NULL || json_is_null(given) ? ""
	                                            : json_string_value(given);
}

/* The next place to look at; false when there is none. */
static bool
look_further(struct request *q, store_bundle_fn *fn)
{
	if (q->step != BEFORE_CUSTOM)
		return false;
	if (q->custom_serves) {
		q->step = BEFORE_SPARE;
		store_bundle(q->api->store, q->name, false, fn, q);
	} else {
		q->step = BEFORE_MANAGED;
		store_previous(q->api->store, q->name, false, fn, q);
	}
	return true;
}

static void
got_previous(void *arg, const void *bundle, size_t len, const struct err *e)
{
	struct request *q = arg;
	struct store *store = q->api->store;
	struct cert cert = { 0 };
	struct err why = { 0 };
	char sentence[320];

	if (e == NULL && bundle == NULL && look_further(q, got_previous))
		return;
	if (e != NULL) {
		request_store_error(q, e);
	} else if (bundle == NULL) {
		complain(q, "name",
		    "has no certificate of before that could be served");
	} else if (store_bundle_look(
		       store, q->name, bundle, len, &cert, &why) == -1) {
		snprintf(sentence, sizeof(sentence),
		    "cannot go back to its certificate of before: %s",
		    why.text);
		complain(q, "name", sentence);
	} else {
		describe(q, &cert);
		store_rollback(store, &q->domain, bundle, len, q->who,
		    asked_reason(q), done, q);
	}
	cert_clear(&cert);
}

static void
got_domain(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;

	if (!request_found(q, d, e))
		return;
	memcpy(q->domain.ca, d->ca, sizeof(d->ca));
	q->custom_serves = d->custom_sha1[0] != '\0';
	q->step = BEFORE_CUSTOM;
	store_previous(q->api->store, q->name, true, got_previous, q);
}

void
own_domains_rollback(struct request *q)
{
	const char *reason = asked_reason(q);
	struct err e = { 0 };

	if (domain_normalise(q->param[0], q->name, &e) == -1)
		request_not_found(q, "domain", e.text);
	else if (reason == NULL || strlen(reason) > REASON_MAX)
		complain(q, "reason", "must be a text of at most 200 bytes");
	else
		store_get(q->api->store, q->name, got_domain, q);
}
