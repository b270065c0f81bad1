/*
 * A certificate that another program obtained, and renewed so far: each name
 * that it covers gets it as its managed one, and is renewed when its time
 * comes.  Nothing is ordered, nor is DNS asked: it is good already.
 *
 * A bundle belongs to one name: a certificate of several names becomes several
 * domains, each of which is renewed by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/api/request.h"
#include "sync/ari.h"
#include "sync/renew.h"

#define NAMES_MAX 1000 /* CAs put 100 into one, some more */
#define SELF_SIGNED                                                          \
	"is self-signed: browsers warn of it, and one of the CA is better; " \
	"it is added by domains-add"

struct import_request {
	char *name[NAMES_MAX]; /* as the certificate says */
	size_t nnames, next;   /* it may be for more than fit */
	bool dry;
	const char *ca; /* that issued it, if it is one of ours, or "" */
	json_t *told;   /* of each name */
};

static void go_on(struct request *);

void
import_request_free(struct import_request *im)
{
	if (im == NULL)
		return;
	for (size_t i = 0; i < im->nnames && i < NAMES_MAX; i++)
		free(im->name[i]);
	json_decref(im->told);
	free(im);
}

/* --- what is asked for -------------------------------------------------------------- */

/* "https://host:port" of a URL, as a length; 0 when it is none. */
static size_t
origin(const char *url)
{
	const char *host = strstr(url, "://");

	if (host == NULL)
		return 0;
	host += 3;
	return (size_t)(host - url) + strcspn(host, "/");
}

static bool
same_origin(const char *a, const char *b)
{
	size_t n = origin(a);

	return n > 0 && n == origin(b) && strncmp(a, b, n) == 0;
}

/*
 * The directory of the CA that issued it: with it the CA can be asked when to
 * renew.  Programs keep the directory's URL or the certificate's own.
 */
static const char *
known_ca(const struct conf *conf, const char *url)
{
	if (same_origin(url, conf->acme.directory))
		return conf->acme.directory;
	if (same_origin(url, conf->acme_fallback.directory))
		return conf->acme_fallback.directory;
	return "";
}

static const char *
take_text(const json_t *body, const char *field, bool need, json_t *errors)
{
	const json_t *v = json_object_get(body, field);

	if (v != NULL && !json_is_string(v))
		json_complain(errors, field, "must be a string");
	else if (need && json_string_length(v) == 0)
		json_complain(errors, field, "can't be blank");
	return json_is_string(v) ? json_string_value(v) : "";
}

static void
refuse_unknown(json_t *body, json_t *errors)
{
	static const char *const known[] = { "tlscert", "tlskey", "ca",
		"dry_run" };
	const char *field;
	json_t *unused;
	size_t i;

	json_object_foreach (body, field, unused) {
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strcmp(known[i], field) == 0)
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			json_complain(
			    errors, field, "is no field of an import");
	}
}

static void
complain(void *arg, const char *field, const char *sentence)
{
	json_complain(arg, field, "%s", sentence);
}

static void
take_name(void *arg, const char *name, size_t len)
{
	struct import_request *im = arg;

	if (im->nnames < NAMES_MAX)
		im->name[im->nnames] = xmemdup0(name, len);
	im->nnames++;
}

/* The certificate, with all that is against it in errors. */
static void
read_wish(struct request *q, json_t *errors)
{
	struct import_request *im = q->import;
	const struct conf *conf = q->api->conf;
	const json_t *dry = json_object_get(q->body, "dry_run");
	struct custom_rules rules = { .bufsize = conf->haproxy.bufsize,
		.now_ms = loop_wall_ms() };
	const char *cert = take_text(q->body, "tlscert", true, errors);
	const char *key = take_text(q->body, "tlskey", true, errors);

	im->ca = known_ca(conf, take_text(q->body, "ca", false, errors));
	im->dry = json_is_true(dry);
	if (dry != NULL && !json_is_boolean(dry))
		json_complain(errors, "dry_run", "must be a boolean");
	refuse_unknown(q->body, errors);
	if (json_object_size(errors) > 0 ||
	    custom_read(&q->custom, cert, key, &rules, complain, errors) == -1)
		return;
	if (q->custom.self_signed) {
		json_complain(errors, "tlscert", SELF_SIGNED);
		return;
	}
	cert_names(&q->custom.cert, take_name, im);
	if (im->nnames == 0)
		json_complain(errors, "tlscert",
		    "has no subjectAltName, which is where clients look for "
		    "names");
	else if (im->nnames > NAMES_MAX)
		json_complain(errors, "tlscert",
		    "is for %zu names; %d is the most that one import takes",
		    im->nnames, NAMES_MAX);
}

/* --- the answer --------------------------------------------------------------------- */

static void
answer(struct request *q)
{
	struct import_request *im = q->import;
	const struct custom *c = &q->custom;
	json_t *told = im->told;

	im->told = NULL;
	request_reply(q, 200,
	    json_pack("{s:b, s:{s:o, s:s, s:s, s:o, s:o, s:o, s:o}, s:o}",
		"dry_run", (int)im->dry, "certificate", "subject",
		json_text(c->subject), "serial", c->cert.serial, "sha1",
		c->cert.sha1, "issuer", json_text(c->cert.issuer), "key",
		json_text(c->key), "not_before", json_time(c->cert.not_before),
		"not_after", json_time(c->cert.not_after), "names", told));
}

static void
tell(struct request *q, const char *name, const char *result,
    const char *detail, int64_t renewal)
{
	json_array_append_new(q->import->told,
	    json_pack("{s:o, s:s, s:o, s:o}", "name", json_text(name), "result",
		result, "detail", json_text(detail), "renew_at",
		json_time(renewal)));
}

static const char *
detail_of(const struct request *q, const char *result)
{
	bool serves =
	    strcmp(result, "imported") == 0 || strcmp(result, "replaced") == 0;

	if (serves && strcmp(q->api->conf->fleet.rollout, "canary") == 0)
		return "one node proves it before the others get it";
	if (strcmp(result, "worse") == 0)
		return "the certificate that it has ends later";
	if (strcmp(result, "kept") == 0)
		return "another certificate is served, or Let's Encrypt is "
		       "switched off: it is kept for later";
	if (strcmp(result, "unchanged") == 0)
		return "it has this certificate already";
	return "";
}

/* --- name after name ------------------------------------------------------------------ */

static void
got_result(void *arg, const char *result, const struct err *e)
{
	struct request *q = arg;
	const struct domain *d = &q->domain;
	bool taken = strcmp(result, "imported") == 0 ||
	             strcmp(result, "replaced") == 0 ||
	             strcmp(result, "kept") == 0;

	if (e != NULL && strcmp(e->type, "TAKEN") == 0) {
		tell(q, d->name, "taken", "has already been taken", 0);
	} else if (e != NULL && strcmp(e->type, "REFUSED") == 0) {
		tell(q, d->name, "skipped", e->text, 0);
	} else if (e != NULL) {
		request_store_error(q, e);
		return;
	} else {
		tell(q, d->name, result, detail_of(q, result),
		    taken ? d->renew_at : 0);
	}
	go_on(q);
}

/* What the record is to say of the certificate. */
static void
describe(struct request *q)
{
	const struct conf *conf = q->api->conf;
	const struct cert *cert = &q->custom.cert;
	struct domain *d = &q->domain;
	char id[sizeof(d->ari_id)] = "";

	memcpy(d->serial, cert->serial, sizeof(d->serial));
	memcpy(d->sha1, cert->sha1, sizeof(d->sha1));
	memcpy(d->issuer, cert->issuer, sizeof(d->issuer));
	d->not_before = cert->not_before;
	d->not_after = cert->not_after;
	d->renew_at = renew_at(d->name, cert->not_before, cert->not_after,
	    conf->acme.renew_percent);
	if (q->import->ca[0] != '\0')
		cert_ari_id(cert, id, sizeof(id));
	ari_begin(d, q->import->ca, id, conf->acme.ari, loop_wall_ms(),
	    conf->acme.ari_poll_min_s);
}

/* The bundle tells, should Redis forget it, what the record says now. */
static void
got_known(void *arg, const struct domain *known, const struct err *e)
{
	struct request *q = arg;
	const struct custom *c = &q->custom;
	struct domain *d = &q->domain;
	struct err bad;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	d->letsencrypt = known == NULL || known->letsencrypt;
	d->canonical = known != NULL && known->canonical;
	d->created_at = known != NULL ? known->created_at : loop_wall_ms();
	describe(q);
	if (store_import(q->api->store, d, &c->cert, c->key_pem, q->import->dry,
		got_result, q, &bad) == -1)
		request_store_error(q, &bad);
}

/* The next name to the store; the names that cannot be domains are told of. */
static void
go_on(struct request *q)
{
	struct import_request *im = q->import;
	const struct custom *c = &q->custom;
	struct domain *d = &q->domain;
	struct err e = { 0 };

	while (im->next < im->nnames) {
		const char *name = im->name[im->next++];

		if (domain_normalise(name, d->name, &e) == -1 ||
		    cert_check(&c->cert, c->key_pem, d->name, loop_wall_ms(),
			&e) == -1) {
			tell(q, name, "skipped", e.text, 0);
			continue;
		}
		store_get(q->api->store, d->name, got_known, q);
		return;
	}
	answer(q);
}

void
import_make(struct request *q)
{
	struct err e = { 0 };
	json_t *errors;

	if (domain_app_check(q->param[0], &e) == -1 ||
	    str_copy(q->domain.app, sizeof(q->domain.app), q->param[0], &e) ==
		-1) {
		request_not_found(q, "app", e.text);
		return;
	}
	q->import = xcalloc(1, sizeof(*q->import));
	q->import->told = json_array();
	errors = json_object();
	read_wish(q, errors);
	if (json_object_size(errors) > 0) {
		request_unprocessable(q, errors);
		return;
	}
	json_decref(errors);
	go_on(q);
}
