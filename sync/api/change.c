/*
 * What is asked of one domain, carried out: its owner's certificate, Let's
 * Encrypt, which domain of the app is canonical; one call of the store after
 * the other, then the answer.
 *
 * Let's Encrypt is switched on before a custom certificate goes and off after
 * one came, so that there is no moment between them without a certificate.
 */
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/str.h"
#include "sync/api/auth.h"
#include "sync/reason.h"

enum step {
	STEP_ON = 0,
	STEP_CUSTOM,
	STEP_OFF,
	STEP_CANONICAL,
	STEP_SHOW,
};

static void step(struct request *);

static void
complain(void *arg, const char *field, const char *sentence)
{
	json_complain(arg, field, "%s", sentence);
}

/* An upload into the fields of the record that tell of it. */
static void
describe(struct domain *d, const struct custom *c)
{
	memcpy(d->custom_sha1, c->cert.sha1, sizeof(d->custom_sha1));
	memcpy(d->custom_serial, c->cert.serial, sizeof(d->custom_serial));
	memcpy(d->custom_issuer, c->cert.issuer, sizeof(d->custom_issuer));
	memcpy(d->custom_subject, c->subject, sizeof(d->custom_subject));
	memcpy(d->custom_key, c->key, sizeof(d->custom_key));
	memcpy(d->custom_note, c->note, sizeof(d->custom_note));
	d->custom_not_before = c->cert.not_before;
	d->custom_not_after = c->cert.not_after;
}

static bool
uploads(const struct domain_change *c)
{
	return c->tlscert != NULL && c->tlscert[0] != '\0';
}

static bool
takes_away(const struct domain_change *c)
{
	return c->tlscert != NULL && c->tlscert[0] == '\0';
}

void
change_check(struct request *q, const char *name, json_t *errors)
{
	struct custom_rules rules = { .name = name,
		.bufsize = q->api->conf->haproxy.bufsize,
		.now_ms = loop_wall_ms() };

	if (uploads(&q->change) &&
	    custom_read(&q->custom, q->change.tlscert, q->change.tlskey, &rules,
		complain, errors) == 0)
		describe(&q->domain, &q->custom);
}

static void
store_failed(struct request *q, const struct err *e)
{
	if (strcmp(e->type, "GONE") == 0)
		request_not_found(q, "domain", NULL);
	else
		request_store_error(q, e);
}

static void
done(void *arg, const struct err *e)
{
	if (e != NULL)
		store_failed(arg, e);
	else
		step(arg);
}

static void
done_yes(void *arg, bool yes, const struct err *e)
{
	(void)yes;
	done(arg, e);
}

static void
show(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;

	if (request_found(q, d, e))
		request_reply(q, q->status, request_domain(q, d));
}

static void
custom(struct request *q)
{
	struct err e = { 0 };

	if (takes_away(&q->change))
		store_custom_clear(
		    q->api->store, q->domain.name, 0, "", done_yes, q);
	else if (!uploads(&q->change))
		step(q);
	else if (store_custom_set(q->api->store, &q->domain, &q->custom.cert,
		     q->custom.key_pem, done, q, &e) == -1)
		request_store_error(q, &e);
}

static void uncanonical(struct request *);

static void
one_less(void *arg, bool yes, const struct err *e)
{
	(void)yes;
	if (e != NULL && strcmp(e->type, "GONE") != 0)
		store_failed(arg, e);
	else
		uncanonical(arg);
}

static void
got_others(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct request *q = arg;

	if (e != NULL) {
		store_failed(q, e);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (d[i]->canonical &&
		    strcmp(d[i]->name, q->domain.name) != 0) {
			store_canonical(
			    q->api->store, d[i]->name, false, one_less, q);
			return;
		}
	step(q);
}

/* An app has one canonical domain: what was it before is it no longer. */
static void
uncanonical(struct request *q)
{
	store_list(q->api->store, q->param[0], got_others, q);
}

static void
chosen(void *arg, bool yes, const struct err *e)
{
	(void)yes;
	if (e != NULL)
		store_failed(arg, e);
	else
		uncanonical(arg);
}

static void
canonical(struct request *q)
{
	struct store *store = q->api->store;

	if (q->change.canonical == 1)
		store_canonical(store, q->domain.name, true, chosen, q);
	else if (q->change.canonical == 0)
		store_canonical(store, q->domain.name, false, done_yes, q);
	else
		step(q);
}

static void
step(struct request *q)
{
	struct store *store = q->api->store;
	const char *name = q->domain.name;

	switch ((enum step)q->step++) {
	case STEP_ON:
		if (q->change.letsencrypt_enabled == 1)
			store_letsencrypt(store, name, true, done_yes, q);
		else
			step(q);
		break;
	case STEP_CUSTOM:
		custom(q);
		break;
	case STEP_OFF:
		if (q->change.letsencrypt_enabled == 0)
			store_letsencrypt(store, name, false, done_yes, q);
		else
			step(q);
		break;
	case STEP_CANONICAL:
		canonical(q);
		break;
	case STEP_SHOW:
		store_get(store, name, show, q);
		break;
	}
}

void
change_begin(struct request *q, int status)
{
	q->status = status;
	step(q);
}

/* --- revocation: ours ------------------------------------------------------------ */

static void
asked_for(void *arg, bool yes, const struct err *e)
{
	struct request *q = arg;
	json_t *errors;

	if (e != NULL) {
		store_failed(q, e);
	} else if (yes) {
		store_get(q->api->store, q->name, request_accepted, q);
	} else {
		errors = json_object();
		json_complain(errors, "name",
		    "has no certificate of the CA that could be revoked");
		request_unprocessable(q, errors);
	}
}

/* What is asked for, NULL when it is no text. */
static const char *
asked_reason(const struct request *q)
{
	json_t *given = json_object_get(q->body, "reason");

	return given == NULL ? "unspecified" : json_string_value(given);
}

static void
revoke(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;

	if (request_found(q, d, e))
		store_revoke(
		    q->api->store, q->name, asked_reason(q), asked_for, q);
}

void
own_domains_revoke(struct request *q)
{
	const char *reason = asked_reason(q);
	json_t *errors;
	struct err e = { 0 };

	if (domain_normalise(q->param[0], q->name, &e) == -1) {
		request_not_found(q, "domain", e.text);
	} else if (reason == NULL || reason_number(reason) == -1) {
		errors = json_object();
		json_complain(errors, "reason", "must be " REASONS);
		request_unprocessable(q, errors);
	} else {
		store_get(q->api->store, q->name, revoke, q);
	}
}
