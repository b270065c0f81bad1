/*
 * The variables of an app, in Scalingo's shape: names are shown, values only
 * of those that say where, never who.
 *
 * Several may be set at once; null takes one away.  They may come one by one:
 * only once DNS_PROVIDER is set must they be complete, and then they are tried
 * before they are kept.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/accesses.h"
#include "sync/api/env_check.h"
#include "sync/api/request.h"

#define TRIES 3 /* when somebody else is faster */

/* A change under way. */
struct variables_request {
	struct env env; /* as it is to be */
	char *sealed;   /* as it was */
	size_t sealed_len;
	bool is_new;     /* what it says about the provider */
	json_t *changes; /* [{ name, value }]; borrows from the body */
	struct provider_access access;
	struct env_check *check;
	json_t *warnings;
	int tries;
};

static void begin(struct request *);

void
variables_request_free(struct variables_request *v)
{
	if (v == NULL)
		return;
	env_check_free(v->check);
	provider_access_clear(&v->access);
	env_clear(&v->env);
	free(v->sealed);
	json_decref(v->changes);
	json_decref(v->warnings);
	free(v);
}

/* --- what is shown ----------------------------------------------------------------- */

static json_t *
json_variable(const struct env_variable *v)
{
	bool plain = env_plain(v->name);

	return json_pack("{s:s, s:s, s:o, s:b}", "id", v->name, "name", v->name,
	    "value", plain ? json_text(v->value) : json_null(), "secret",
	    !plain);
}

static json_t *
json_variables(const struct env *env)
{
	json_t *list = json_array();
	const char *provider = env_get(env, ENV_PROVIDER);

	for (size_t i = 0; i < env->n; i++)
		json_array_append_new(list, json_variable(&env->variable[i]));
	return json_pack("{s:o, s:o}", "variables", list, "dns_provider",
	    json_text(provider != NULL ? provider : ""));
}

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
show(void *arg, const struct store_env *read, const struct err *e)
{
	struct request *q = arg;
	struct err bad;
	struct env env;
	json_t *o;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	env_init(&env);
	if (env_unpack(&env, read->text, read->len, &bad) == -1) {
		request_store_error(q, &bad);
	} else {
		o = json_variables(&env);
		request_reply(q, 200, o);
	}
	env_clear(&env);
}

void
variables_list(struct request *q)
{
	if (check_app(q) == 0)
		store_env(q->api->store, q->param[0], show, q);
}

/* --- what is refused ---------------------------------------------------------------- */

/* 422 with the sentence, and with the variables that it is about. */
static void
refuse(struct request *q, const char *provider, const char *const *names,
    size_t n, const struct err *e)
{
	json_t *list = json_array(), *errors = json_object();
	const char *field = "variables";

	if (n == 1)
		field = names[0];
	else if (provider[0] != '\0')
		field = ENV_PROVIDER;
	json_complain(errors, field, "%s", e->text);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(names[i]));
	request_reply(q, 422,
	    json_pack("{s:o, s:{s:o, s:o}}", "errors", errors, "acme_dns_error",
		"dns_provider", json_text(provider), "variables", list));
}

/* Which variables say who (when that is wrong), or where. */
static void
refuse_access(struct request *q, const struct err *e)
{
	const struct provider_access *a = &q->variables->access;
	const char *names[PROVIDER_SETTINGS_MAX];
	bool where = e->kind == ERR_REFUSED;
	size_t n = 0;

	for (size_t i = 0; i < a->provider->nsettings; i++)
		if (a->credential[i][0] != '\0' &&
		    a->provider->setting[i].plain == where)
			names[n++] = a->provider->setting[i].name;
	refuse(q, a->provider->name, names, n, e);
}

/* --- a change ------------------------------------------------------------------------- */

/* The one that was set. */
static json_t *
json_added(const struct variables_request *v)
{
	const char *name = json_string_value(
	    json_object_get(json_array_get(v->changes, 0), "name"));

	for (size_t i = 0; i < v->env.n; i++)
		if (strcmp(v->env.variable[i].name, name) == 0)
			return json_variable(&v->env.variable[i]);
	return json_null();
}

/* What they are made with has changed: those that wait need wait no longer. */
static void
got_domains(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct request *q = arg;
	struct variables_request *v = q->variables;
	json_t *o;

	(void)e; /* then they are looked at when they are due */
	for (size_t i = 0; i < n; i++)
		if (domain_wildcard(d[i]->name))
			store_env_changed(q->api->store, d[i]->name);
	o = json_variables(&v->env);
	if (q->status == 201)
		json_object_set_new(o, "variable", json_added(v));
	json_object_set(o, "warnings", v->warnings);
	request_reply(q, q->status, o);
}

static void
written(void *arg, const struct err *e)
{
	struct request *q = arg;

	if (e == NULL)
		store_list(q->api->store, q->param[0], got_domains, q);
	else if (strcmp(e->type, "CHANGED") == 0 &&
		 ++q->variables->tries < TRIES)
		begin(q);
	else if (strcmp(e->type, "CHANGED") == 0)
		request_error(q, 409, "changed",
		    "somebody else changes these variables; try again");
	else
		request_store_error(q, e);
}

static void
write_env(struct request *q)
{
	struct variables_request *v = q->variables;
	struct buf text;
	struct err e;
	int rc;

	buf_init(&text, ENV_MAX);
	rc = env_pack(&v->env, &text, &e);
	if (rc == 0)
		rc = store_env_put(q->api->store, q->param[0], v->sealed,
		    v->sealed_len, text.p, text.len, written, q, &e);
	if (rc == -1)
		refuse(q, "", NULL, 0, &e);
	buf_wipe(&text);
}

static void
checked(void *arg, const json_t *warnings, const struct err *e)
{
	struct request *q = arg;
	struct variables_request *v = q->variables;
	json_t *sentence;
	size_t i;

	if (e != NULL) {
		refuse_access(q, e);
		return;
	}
	json_array_clear(v->warnings);
	json_array_foreach (warnings, i, sentence)
		json_array_append(v->warnings, sentence);
	env_check_free(v->check);
	v->check = NULL;
	write_env(q);
}

/* Complete?  Then it is tried. */
static void
try_access(struct request *q)
{
	struct variables_request *v = q->variables;
	struct provider_vars bad;
	struct err e;
	int rc;

	provider_access_clear(&v->access);
	rc = access_from(&v->env, q->api->conf, &v->access, &bad, &e);
	if (rc == -1) {
		refuse(q,
		    v->access.provider != NULL ? v->access.provider->name : "",
		    bad.name, bad.n, &e);
		return;
	}
	v->is_new = false;
	for (size_t i = 0; rc == 1 && i < json_array_size(v->changes); i++)
		if (env_concerns(v->access.provider,
			json_string_value(json_object_get(
			    json_array_get(v->changes, i), "name"))))
			v->is_new = true;
	if (v->is_new)
		v->check =
		    env_check_new(q->api, q->param[0], &v->access, checked, q);
	else
		write_env(q);
}

/* Return -1 when the request has been answered. */
static int
apply(struct request *q)
{
	struct env *env = &q->variables->env;
	json_t *change;
	struct err e;
	size_t i;

	json_array_foreach (q->variables->changes, i, change) {
		const char *name =
		    json_string_value(json_object_get(change, "name"));
		const char *value =
		    json_string_value(json_object_get(change, "value"));

		if (value == NULL && !env_remove(env, name)) {
			request_not_found(q, "variable", NULL);
			return -1;
		}
		if (value != NULL && env_put(env, name, value, &e) == -1) {
			refuse(q, "", NULL, 0, &e);
			return -1;
		}
	}
	return 0;
}

static void
got_env(void *arg, const struct store_env *read, const struct err *e)
{
	struct request *q = arg;
	struct variables_request *v = q->variables;
	struct err bad;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	env_clear(&v->env);
	if (env_unpack(&v->env, read->text, read->len, &bad) == -1) {
		request_store_error(q, &bad);
		return;
	}
	free(v->sealed);
	v->sealed = xmemdup0(read->sealed, read->sealed_len);
	v->sealed_len = read->sealed_len;
	if (apply(q) == 0)
		try_access(q);
}

static void
begin(struct request *q)
{
	store_env(q->api->store, q->param[0], got_env, q);
}

/* --- what is asked for ------------------------------------------------------------------ */

/* Is each { name, value }?  Complaints go into errors. */
static void
check_changes(json_t *changes, bool may_unset, json_t *errors)
{
	json_t *change, *value;
	size_t i;

	if (!json_is_array(changes) || json_array_size(changes) == 0)
		json_complain(
		    errors, "variables", "must be a list of { name, value }");
	json_array_foreach (changes, i, change) {
		value = json_object_get(change, "value");
		if (!json_is_string(json_object_get(change, "name")))
			json_complain(errors, "name", "must be a string");
		else if (!json_is_string(value) &&
			 !(may_unset && json_is_null(value)))
			json_complain(errors, "value", "must be a string%s",
			    may_unset ? ", or null to unset it" : "");
	}
}

static void
change(struct request *q, json_t *stolen_changes, bool may_unset, int status)
{
	struct variables_request *v = xcalloc(1, sizeof(*v));
	json_t *errors = json_object();

	q->variables = v;
	q->status = status;
	v->changes = stolen_changes;
	v->warnings = json_array();
	env_init(&v->env);
	check_changes(v->changes, may_unset, errors);
	if (json_object_size(errors) > 0) {
		request_unprocessable(q, errors);
		return;
	}
	json_decref(errors);
	begin(q);
}

void
variables_change(struct request *q)
{
	if (check_app(q) == 0)
		change(q, json_incref(json_object_get(q->body, "variables")),
		    true, 200);
}

void
variables_add(struct request *q)
{
	json_t *one = json_object_get(q->body, "variable");

	if (check_app(q) == 0)
		change(q, json_pack("[O]", one != NULL ? one : q->body), false,
		    201);
}

void
variables_remove(struct request *q)
{
	if (check_app(q) == 0)
		change(q,
		    json_pack("[{s:s, s:n}]", "name", q->param[1], "value"),
		    true, 204);
}
