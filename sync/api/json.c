#include "sync/api/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/env.h"

#define SENTENCE_MAX 1024

json_t *
json_text(const char *s)
{
	json_t *text = *s != '\0' ? json_string(s) : json_null();
	size_t size;
	char *safe;

	if (text != NULL)
		return text;
	size = strlen(s) * 4 + 1;
	safe = xmalloc(size);
	text = json_string(str_printable(safe, size, s, strlen(s)));
	free(safe);
	return text;
}

json_t *
json_time(int64_t ms)
{
	char text[STR_TIME_MAX];

	return ms > 0 ? json_string(str_time(text, ms)) : json_null();
}

/* The owner's own certificate; its key is never shown. */
static json_t *
custom(const struct domain *d)
{
	if (d->custom_sha1[0] == '\0')
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
	    "serial", json_text(d->custom_serial), "sha1",
	    json_text(d->custom_sha1), "issuer", json_text(d->custom_issuer),
	    "subject", json_text(d->custom_subject), "key",
	    json_text(d->custom_key), "not_before",
	    json_time(d->custom_not_before), "not_after",
	    json_time(d->custom_not_after), "note", json_text(d->custom_note),
	    "left_at", json_time(d->custom_left_at));
}

/* The fields that are ours, into an object that is there. */
static void
put_own(json_t *o, const struct domain *d)
{
	json_object_set_new(
	    o, "status", json_string(domain_status_name(d->status)));
	json_object_set_new(
	    o, "label", json_string(domain_status_label(d->status)));
	json_object_set_new(o, "status_at", json_time(d->status_at));
	json_object_set_new(o, "reason", json_text(d->reason));
	json_object_set_new(o, "action", json_text(d->action));
	json_object_set_new(o, "acme_dns_until", json_time(d->acme_dns_until));
	json_object_set_new(o, "next_at", json_time(d->next_at));
	json_object_set_new(o, "last_error", json_text(d->last_error));
	json_object_set_new(o, "attempts", json_integer(d->attempts));
	json_object_set_new(o, "serial", json_text(d->serial));
	json_object_set_new(o, "sha1", json_text(d->sha1));
	json_object_set_new(o, "issuer", json_text(d->issuer));
	json_object_set_new(o, "not_before", json_time(d->not_before));
	json_object_set_new(o, "not_after", json_time(d->not_after));
	json_object_set_new(o, "ca", json_text(d->ca));
	json_object_set_new(o, "renew_at", json_time(d->renew_at));
	json_object_set_new(o, "ari_start", json_time(d->ari_start));
	json_object_set_new(o, "ari_end", json_time(d->ari_end));
	json_object_set_new(
	    o, "explanation_url", json_text(d->explanation_url));
	json_object_set_new(o, "version", json_integer(d->version));
	json_object_set_new(
	    o, "rate_limited_until", json_time(d->rate_limited_until));
	json_object_set_new(o, "custom", custom(d));
}

/* Scalingo has five words where we have six statuses and a history. */
static const char *
letsencrypt_status(const struct domain *d)
{
	switch (d->status) {
	case DOMAIN_PENDING_DNS:
		return "pending_dns";
	case DOMAIN_CREATING:
		return d->attempts > 0 ? "error" : "new";
	case DOMAIN_IN_USE:
	case DOMAIN_NOT_USED:
		return "created";
	case DOMAIN_ACTION_REQUIRED:
		return "dns_required";
	case DOMAIN_DISABLED:
		return d->sha1[0] != '\0' ? "created" : "new";
	case DOMAIN_STATUSES:
		break;
	}
	return "error";
}

/* Of a custom certificate: has it reached the nodes?  Not while on trial. */
static const char *
ssl_status(const struct domain *d)
{
	if (d->custom_trial_at > 0)
		return d->custom_trial_at == 1 ? "pending" : "error";
	return d->custom_sha1[0] != '\0' && d->proven == d->version ? "success"
	                                                            : "pending";
}

/* A renewal that waits for a person does not end the certificate there is. */
static bool
is_served(const struct domain *d)
{
	if (d->sha1[0] == '\0')
		return false;
	return d->status == DOMAIN_IN_USE ||
	       (d->status == DOMAIN_ACTION_REQUIRED && d->version > 0 &&
		   d->proven == d->version);
}

/* Of a failure that its owner's variables are the cause of; else {}. */
static json_t *
dns_error(const struct domain *d)
{
	const char *names[PROVIDER_SETTINGS_MAX], *provider;
	size_t n = 0;
	json_t *o = json_object(), *list;

	if (domain_wildcard(d->name))
		n = env_named(d->last_error, names, &provider);
	if (n == 0)
		return o;
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	json_object_set_new(o, "dns_provider",
	    provider != NULL ? json_string(provider) : json_null());
	json_object_set_new(o, "variables", list);
	return o;
}

json_t *
json_domain(const struct domain *d)
{
	bool serves = d->custom_sha1[0] != '\0';
	bool ssl = serves || d->custom_trial_at > 0;
	char id[DOMAIN_ID_MAX];
	json_t *own = json_object(), *o;

	domain_id(d->name, id);
	put_own(own, d);
	o = json_pack("{s:s, s:o, s:o, s:o, s:b, s:s, s:o, s:b, s:b, s:b, s:s,"
		      " s:o, s:o, s:o, s:n}",
	    "id", id, "app_id", json_text(d->app), "name", json_text(d->name),
	    "created_at", json_time(d->created_at), "ssl", (int)ssl,
	    "ssl_status", ssl_status(d), "validity",
	    json_time(serves ? d->custom_not_after : d->not_after), "canonical",
	    (int)d->canonical, "letsencrypt_enabled", (int)d->letsencrypt,
	    "letsencrypt", (int)(!serves && is_served(d)), "letsencrypt_status",
	    letsencrypt_status(d), "acme_dns_fqdn", json_text(d->acme_dns_fqdn),
	    "acme_dns_value", json_text(d->acme_dns_value), "acme_dns_error",
	    dns_error(d), "acme_challenge_error");
	if (serves) {
		json_object_set_new(o, "tlscert", json_text(d->custom_subject));
		json_object_set_new(o, "tlskey", json_text(d->custom_key));
	}
	json_object_set_new(o, "certfleet", own);
	return o;
}

json_t *
json_spec(const struct domain *d)
{
	json_t *o = json_pack("{s:o, s:b}", "name", json_text(d->name),
	    "letsencrypt_enabled", (int)d->letsencrypt);

	/* Those who never spoke of it do not see it. */
	if (d->canonical)
		json_object_set_new(o, "canonical", json_true());
	return o;
}

json_t *
json_own_domain(const struct domain *d)
{
	char id[DOMAIN_ID_MAX];
	json_t *o;

	domain_id(d->name, id);
	o = json_pack("{s:o, s:o, s:s, s:o, s:b, s:b, s:o, s:o}", "name",
	    json_text(d->name), "app", json_text(d->app), "id", id,
	    "created_at", json_time(d->created_at), "letsencrypt_enabled",
	    (int)d->letsencrypt, "canonical", (int)d->canonical,
	    "acme_dns_fqdn", json_text(d->acme_dns_fqdn), "acme_dns_value",
	    json_text(d->acme_dns_value));
	put_own(o, d);
	return o;
}

/* What is said of a domain whose record does not say it. */
static const char *
usual_reason(enum domain_status status)
{
	switch (status) {
	case DOMAIN_PENDING_DNS:
		return "its DNS has not been seen to point here yet";
	case DOMAIN_CREATING:
		return "a certificate is on its way";
	case DOMAIN_IN_USE:
		return "its certificate is served";
	case DOMAIN_NOT_USED:
		return "a custom certificate serves it";
	case DOMAIN_ACTION_REQUIRED:
		return "somebody has to do something";
	case DOMAIN_DISABLED:
		return "Let's Encrypt is switched off for it";
	case DOMAIN_STATUSES:
		break;
	}
	return "";
}

static int64_t
next_at(const struct domain *d)
{
	switch (d->status) {
	case DOMAIN_IN_USE:
		return d->renew_at > 0 ? d->renew_at : d->next_at;
	case DOMAIN_NOT_USED:
		return d->letsencrypt ? d->next_at : 0;
	case DOMAIN_DISABLED:
		return 0;
	case DOMAIN_PENDING_DNS:
	case DOMAIN_CREATING:
	case DOMAIN_ACTION_REQUIRED:
	case DOMAIN_STATUSES:
		break;
	}
	return d->next_at;
}

/* What happens next, with the time at the end unless it is now. */
static const char *
next_sentence(const struct domain *d, bool ahead)
{
	switch (d->status) {
	case DOMAIN_PENDING_DNS:
		return ahead ? "checked again at" : "DNS is being checked";
	case DOMAIN_CREATING:
		return ahead ? "tried again at"
		             : "a certificate is being ordered";
	case DOMAIN_IN_USE:
		if (d->renew_at == 0)
			return ahead ? "looked at again at" : "being looked at";
		return ahead ? "renewed from" : "renewal is due";
	case DOMAIN_ACTION_REQUIRED:
		return ahead ? "checked again at" : "being checked";
	case DOMAIN_NOT_USED:
		if (d->letsencrypt)
			return ahead ? "Let's Encrypt prepares to follow at"
			             : "Let's Encrypt prepares to follow";
		return "nothing happens by itself";
	case DOMAIN_DISABLED:
	case DOMAIN_STATUSES:
		break;
	}
	return "nothing happens by itself";
}

json_t *
json_why(const struct domain *d, int64_t now)
{
	const char *label = domain_status_label(d->status);
	const char *reason =
	    d->reason[0] != '\0' ? d->reason : usual_reason(d->status);
	char next[128], at[STR_TIME_MAX], sentence[SENTENCE_MAX];
	int64_t when = next_at(d);
	bool ahead = when > now;
	size_t n;

	snprintf(next, sizeof(next), "%s%s%s", next_sentence(d, ahead),
	    ahead ? " " : "", ahead ? str_time(at, when) : "");
	n = (size_t)snprintf(
	    sentence, sizeof(sentence), "%s: %s", label, reason);
	if (d->status == DOMAIN_CREATING && d->rate_limited_until > now)
		n += (size_t)snprintf(sentence + n, sizeof(sentence) - n,
		    "; the CA's limit ends at %s",
		    str_time(at, d->rate_limited_until));
	snprintf(sentence + n, sizeof(sentence) - n, "; %s", next);
	return json_pack("{s:s, s:o, s:s, s:o, s:o}", "state", label, "reason",
	    json_text(reason), "next", next, "next_at",
	    json_time(ahead ? when : 0), "sentence", json_text(sentence));
}

/* A time that travels as text in ms becomes one that people read. */
static void
read_time(json_t *o, const char *member)
{
	const char *text = json_string_value(json_object_get(o, member));
	int64_t ms;

	if (text != NULL && str_int(text, 0, INT64_MAX, &ms) == 0)
		json_object_set_new(o, member, json_time(ms));
}

json_t *
json_timeline(const char *const *texts, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *o = json_loads(texts[i], JSON_REJECT_DUPLICATES, NULL);

		if (!json_is_object(o)) {
			json_decref(o);
			continue;
		}
		read_time(o, "at");
		read_time(o, "next_at");
		read_time(o, "not_after");
		json_array_append_new(list, o);
	}
	return list;
}
