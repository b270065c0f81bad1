/* Bodies of requests: read, checked, complained about; never coerced. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "providers/step.h"
#include "sync/api/json.h"

#define SENTENCE_MAX 1024

json_t *
json_body(const char *text, size_t len, struct err *e)
{
	json_error_t why;
	json_t *body;

	if (len == 0)
		return json_object();
	body = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (body == NULL) {
		err_set(e, ERR_REFUSED, "the body is not JSON: line %d: %.120s",
		    why.line, why.text);
		return NULL;
	}
	if (!json_is_object(body)) {
		err_set(e, ERR_REFUSED, "the body must be a JSON object");
		json_decref(body);
		return NULL;
	}
	return body;
}

void
json_complain(json_t *errors, const char *field, const char *fmt, ...)
{
	json_t *list = json_object_get(errors, field);
	char text[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (list == NULL) {
		list = json_array();
		json_object_set_new(errors, field, list);
	}
	json_array_append_new(list, json_text(text));
}

/* A boolean is true or false, never "false" or 0.  -1: not there. */
static int
take_bool(json_t *o, const char *field, json_t *errors)
{
	json_t *v = json_object_get(o, field);

	if (v == NULL)
		return -1;
	if (json_is_boolean(v))
		return json_is_true(v);
	json_complain(errors, field, "must be a boolean");
	return -1;
}

static void
take_name(json_t *o, bool need, struct domain_change *c, json_t *errors)
{
	json_t *v = json_object_get(o, "name");
	struct err e = { 0 };

	if (v == NULL) {
		if (need)
			json_complain(errors, "name", "can't be blank");
	} else if (!json_is_string(v)) {
		json_complain(errors, "name", "must be a string");
	} else if (domain_normalise(json_string_value(v), c->name, &e) == -1) {
		c->name[0] = '\0';
		json_complain(errors, "name", "%s", e.text);
	}
}

static const char *
take_pem(json_t *o, const char *field, json_t *errors)
{
	json_t *v = json_object_get(o, field);

	if (v != NULL && !json_is_null(v) && !json_is_string(v))
		json_complain(errors, field, "must be a string");
	return json_string_value(v);
}

/* A certificate comes with its key; "" for either takes it away. */
static void
take_custom(json_t *o, struct domain_change *c, json_t *errors)
{
	bool cert, key;

	c->tlscert = take_pem(o, "tlscert", errors);
	c->tlskey = take_pem(o, "tlskey", errors);
	cert = c->tlscert != NULL && c->tlscert[0] != '\0';
	key = c->tlskey != NULL && c->tlskey[0] != '\0';
	if (cert && !key)
		json_complain(errors, "tlskey",
		    "can't be blank: a certificate needs its private key");
	else if (key && !cert)
		json_complain(errors, "tlscert",
		    "can't be blank: a private key needs its certificate");
	else if (!cert && c->tlskey != NULL)
		c->tlscert = c->tlskey;
}

void
json_forget(json_t *stolen)
{
	step_wipe_json(stolen);
}

/* What a client may send: what it sets, or all that it was given. */
static const char *const known[] = { "name", "canonical", "tlscert", "tlskey",
	"letsencrypt_enabled", "id", "app_id", "created_at", "ssl",
	"ssl_status", "validity", "letsencrypt", "letsencrypt_status",
	"acme_dns_fqdn", "acme_dns_value", "acme_dns_error",
	"acme_challenge_error", "certfleet" };

/* A setting that is misspelt must not be taken for done. */
static void
refuse_unknown(json_t *o, json_t *errors)
{
	const char *field;
	json_t *unused;
	size_t i;

	json_object_foreach (o, field, unused) {
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strcmp(known[i], field) == 0)
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			json_complain(errors, field, "is no field of a domain");
	}
}

static void
refuse_beside(json_t *body, json_t *errors)
{
	const char *field;
	json_t *unused;

	json_object_foreach (body, field, unused)
		if (strcmp(field, "domain") != 0)
			json_complain(
			    errors, field, "is beside \"domain\", not in it");
}

int
json_domain_change(
    json_t *body, bool need_name, struct domain_change *c, json_t *errors)
{
	json_t *o = json_object_get(body, "domain");

	*c = (struct domain_change){ .canonical = -1,
		.letsencrypt_enabled = -1 };
	if (o == NULL)
		o = body;
	else
		refuse_beside(body, errors);
	if (!json_is_object(o)) {
		json_complain(errors, "domain", "must be an object");
		return -1;
	}
	refuse_unknown(o, errors);
	take_name(o, need_name, c, errors);
	c->canonical = take_bool(o, "canonical", errors);
	c->letsencrypt_enabled = take_bool(o, "letsencrypt_enabled", errors);
	take_custom(o, c, errors);
	return json_object_size(errors) > 0 ? -1 : 0;
}
