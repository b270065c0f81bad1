#include "sync/api/env_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/api/request.h"
#include "sync/authority.h"
#include "sync/dialogue.h"

#define ZONES_MAX 16 /* that are looked for */
#define CHALLENGE "_acme-challenge."

/* Where the records of a wildcard would be. */
struct zone {
	struct env_check *check;
	char wildcard[DOMAIN_NAME_MAX];
	struct txt_record record;
	uint64_t look, run; /* under way; 0: not */
	struct err err;
};

struct env_check {
	struct api *api;
	char app[DOMAIN_APP_MAX];
	struct provider_access *access;
	env_check_fn *fn;
	void *arg;
	struct txt_record verify;
	uint64_t run;
	struct zone zone[ZONES_MAX];
	size_t nzones, waiting;
	json_t *warnings;
};

static void
warn(struct env_check *c, const char *before, const struct err *e)
{
	char *text = xasprintf("%s%s", before, e->text);

	json_array_append_new(c->warnings, json_text(text));
	free(text);
}

static void
done(struct env_check *c, const struct err *e)
{
	c->fn(c->arg, c->warnings, e); /* frees us, perhaps */
}

static bool
says_no(const struct err *e)
{
	return e->kind == ERR_REFUSED || e->kind == ERR_CONFIG;
}

/* --- the zones ------------------------------------------------------------------ */

static void find(struct zone *);

/* One zone that is there: the account is the right one. */
static void
judge(struct env_check *c)
{
	const struct err *first = NULL;
	size_t missing = 0;

	for (size_t i = 0; i < c->nzones; i++) {
		if (!says_no(&c->zone[i].err))
			continue;
		missing++;
		if (first == NULL)
			first = &c->zone[i].err;
	}
	if (c->nzones > 0 && missing == c->nzones) {
		done(c, first);
		return;
	}
	for (size_t i = 0; i < c->nzones; i++) {
		char *before = xasprintf("%s: ", c->zone[i].wildcard);

		if (c->zone[i].err.kind != ERR_NONE)
			warn(c, before, &c->zone[i].err);
		free(before);
	}
	done(c, NULL);
}

/* Where the record is without a CNAME. */
static void
own_name(const struct zone *z, char fqdn[static 254])
{
	snprintf(fqdn, 254, CHALLENGE "%.200s", domain_base(z->wildcard));
}

/* As dns01.c does it: a CNAME of *.shop.example is none to follow. */
static bool
comes_home(struct zone *z)
{
	char fqdn[sizeof(z->record.fqdn)];

	own_name(z, fqdn);
	if (strcmp(z->record.fqdn, fqdn) == 0)
		return false;
	memcpy(z->record.fqdn, fqdn, sizeof(fqdn));
	z->record.soa_zone[0] = '\0';
	find(z);
	return true;
}

static void
on_found(void *arg, struct txt_record *t, const struct err *e)
{
	struct zone *z = arg;

	(void)t;
	z->run = 0;
	if (e == NULL)
		z->err = (struct err){ 0 };
	else if (z->err.kind == ERR_NONE)
		z->err = *e;
	if (e != NULL && says_no(e) && comes_home(z))
		return;
	if (--z->check->waiting == 0)
		judge(z->check);
}

static void
find(struct zone *z)
{
	z->run = dialogue_run(
	    z->check->api->dialogues, &z->record, PROVIDER_FIND, on_found, z);
}

/* The record may be in another zone, by a CNAME. */
static void
on_look(void *arg, const struct authority_answer *a)
{
	struct zone *z = arg;
	struct err e;

	z->look = 0;
	if (a->zone[0] != '\0' &&
	    (str_copy(z->record.fqdn, sizeof(z->record.fqdn), a->name, &e) ==
		    -1 ||
		str_copy(z->record.soa_zone, sizeof(z->record.soa_zone),
		    a->zone, &e) == -1))
		z->err = e;
	find(z);
}

static void
add_zone(struct env_check *c, const char *name)
{
	struct zone *z = &c->zone[c->nzones];
	struct err e;

	*z = (struct zone){ .check = c, .record = { .access = c->access } };
	snprintf(z->wildcard, sizeof(z->wildcard), "%s", name);
	own_name(z, z->record.fqdn);
	c->nzones++;
	c->waiting++;
	if (c->api->authorities == NULL)
		c->api->authorities =
		    authorities_new(c->api->base, c->api->conf, &e);
	if (c->api->authorities == NULL)
		find(z); /* where it would be without a CNAME */
	else
		z->look = authority_look(
		    c->api->authorities, z->record.fqdn, on_look, z);
}

static void
got_domains(
    void *arg, const struct domain *const *d, size_t n, const struct err *e)
{
	struct env_check *c = arg;

	if (e != NULL)
		warn(c, "the app's wildcards were not looked at: ", e);
	for (size_t i = 0; i < n && c->nzones < ZONES_MAX; i++)
		if (domain_wildcard(d[i]->name))
			add_zone(c, d[i]->name);
	if (c->nzones == 0)
		done(c, NULL);
}

/* --- the credentials -------------------------------------------------------------- */

static void
on_verified(void *arg, struct txt_record *t, const struct err *e)
{
	struct env_check *c = arg;

	(void)t;
	c->run = 0;
	if (e == NULL) {
		store_list(c->api->store, c->app, got_domains, c);
	} else if (e->kind == ERR_AGAIN || e->kind == ERR_LIMITED) {
		/* Its outage must not keep anybody from doing this. */
		warn(c, "kept, but not checked: ", e);
		done(c, NULL);
	} else {
		done(c, e);
	}
}

struct env_check *
env_check_new(struct api *api, const char *app, struct provider_access *access,
    env_check_fn *fn, void *arg)
{
	struct env_check *c = xcalloc(1, sizeof(*c));

	c->api = api;
	snprintf(c->app, sizeof(c->app), "%s", app);
	c->access = access;
	c->fn = fn;
	c->arg = arg;
	c->warnings = json_array();
	c->verify = (struct txt_record){ .access = access };
	snprintf(
	    c->verify.fqdn, sizeof(c->verify.fqdn), CHALLENGE "example.com");
	c->run = dialogue_run(
	    api->dialogues, &c->verify, PROVIDER_VERIFY, on_verified, c);
	return c;
}

void
env_check_free(struct env_check *c)
{
	if (c == NULL)
		return;
	dialogue_cancel(c->api->dialogues, c->run);
	for (size_t i = 0; i < c->nzones; i++) {
		struct zone *z = &c->zone[i];

		if (z->look != 0)
			authority_cancel(c->api->authorities, z->look);
		dialogue_cancel(c->api->dialogues, z->run);
		txt_record_clear(&z->record);
	}
	txt_record_clear(&c->verify);
	store_forget(c->api->store, c);
	json_decref(c->warnings);
	free(c);
}
