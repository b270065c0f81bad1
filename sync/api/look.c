/*
 * What DNS says of a name now, and what it should say: the check that comes
 * before an order, made here for whoever asks, and followed by none.
 */
#include <string.h>

#include "common/conf.h"
#include "sync/api/auth.h"
#include "sync/check.h"

#define LOOKS_MAX 32 /* at the same time */

/* The probe's answer is published for it alone: any thumbprint will do. */
static const char thumbprint[] = "asked-by-certfleet-check-and-not-by-any-CAs";
_Static_assert(sizeof(thumbprint) == 44, "as long as one of SHA-256");

static json_t *
json_list(const struct conf_list *list)
{
	json_t *out = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(out, json_text(list->item[i]));
	return out;
}

static json_t *
json_found(const struct request *q, const struct check_seen *seen)
{
	const struct conf_list *targets = &q->api->conf->dns.targets;
	const struct resolve_answer *a = seen->answer;
	json_t *cnames = json_array(), *addresses = json_array();

	for (size_t i = 0; i < a->ncnames; i++)
		json_array_append_new(cnames, json_text(a->cname[i]));
	for (size_t i = 0; i < a->naddresses; i++)
		json_array_append_new(addresses,
		    json_pack("{s:s, s:b}", "address", a->address[i], "ours",
			(int)precheck_ours(q->name, a, a->address[i], targets,
			    seen->target, seen->ntargets)));
	return json_pack("{s:o, s:o, s:o, s:I, s:o}", "cnames", cnames,
	    "addresses", addresses, "error", json_text(a->error), "probed",
	    (json_int_t)seen->probed, "unreached", json_text(seen->unreached));
}

static json_t *
json_expected(const struct request *q, const struct check_seen *seen)
{
	json_t *addresses = json_array();

	for (size_t i = 0; i < seen->ntargets; i++)
		json_array_append_new(addresses, json_text(seen->target[i]));
	return json_pack("{s:o, s:o}", "targets",
	    json_list(&q->api->conf->dns.targets), "addresses", addresses);
}

/* May the CAs of that list issue? */
static json_t *
json_issue(const struct request *q, const struct check_seen *seen,
    const struct conf_list *identities)
{
	struct err why = { 0 };
	int rc = precheck_caa(q->name, seen->answer, identities, &why);

	return json_pack("{s:o, s:b, s:o}", "identities", json_list(identities),
	    "allowed", rc == 0, "sentence", json_text(why.text));
}

static json_t *
json_caa(const struct request *q, const struct check_seen *seen)
{
	const struct conf *conf = q->api->conf;
	const struct resolve_answer *a = seen->answer;
	bool second = conf->acme_fallback.caa_identities.n > 0;
	json_t *records = json_array();

	if (!conf->dns.caa) {
		json_decref(records);
		return json_null();
	}
	for (size_t i = 0; i < a->ncaas; i++)
		json_array_append_new(
		    records, json_pack("{s:i, s:o, s:o}", "flags",
				 a->caas[i].critical ? 128 : 0, "tag",
				 json_text(a->caas[i].tag), "value",
				 json_text(a->caas[i].value)));
	return json_pack("{s:o, s:o, s:o, s:o}", "found_at",
	    json_text(a->caa_name), "records", records, "ca",
	    json_issue(q, seen, &conf->dns.caa_identities), "second_ca",
	    second ? json_issue(q, seen, &conf->acme_fallback.caa_identities)
		   : json_null());
}

static const char *
verdict_name(enum precheck_verdict verdict)
{
	switch (verdict) {
	case PRECHECK_OK:
		return "ok";
	case PRECHECK_PENDING:
	case PRECHECK_PROBE:
		return "pending";
	case PRECHECK_AGAIN:
		return "unknown";
	case PRECHECK_CAA:
		return "caa";
	}
	return "unknown";
}

static void
seen(void *arg, const struct check_seen *s)
{
	struct request *q = arg;
	json_t *o = q->reply;

	q->reply = NULL;
	q->api->looks--;
	q->looks = false;
	json_object_set_new(
	    o, "verdict", json_string(verdict_name(s->verdict)));
	json_object_set_new(o, "sentence",
	    s->why != NULL ? json_text(s->why->text) : json_null());
	json_object_set_new(o, "found", json_found(q, s));
	json_object_set_new(o, "expected", json_expected(q, s));
	json_object_set_new(o, "caa", json_caa(q, s));
	request_reply(q, 200, json_pack("{s:o}", "check", o));
}

static void
got_domain(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;
	bool ours = e == NULL && d != NULL && auth_sees(q, d->app);

	/* Without Redis there is still DNS. */
	q->reply = json_pack("{s:s, s:s, s:o, s:o}", "name", q->name,
	    "challenge", domain_wildcard(q->name) ? "dns-01" : "http-01", "app",
	    ours ? json_text(d->app) : json_null(), "status",
	    ours ? json_string(domain_status_name(d->status)) : json_null());
	if (q->api->checks == NULL || q->api->looks >= LOOKS_MAX) {
		request_error(q, 503, "busy",
		    "%d checks are under way: ask again", q->api->looks);
		return;
	}
	q->api->looks++;
	q->looks = true;
	check_look(q->api->checks, q->name, thumbprint, seen, q);
}

void
look_forget(struct request *q)
{
	if (!q->looks)
		return;
	check_cancel(q->api->checks, q);
	q->api->looks--;
}

void
look_show(struct request *q)
{
	struct err e = { 0 };

	if (domain_normalise(q->param[0], q->name, &e) == -1)
		request_error(q, 400, "bad_request", "%s", e.text);
	else
		store_get(q->api->store, q->name, got_domain, q);
}
