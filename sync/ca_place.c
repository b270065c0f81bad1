/* Which CA a client is for: the first one, or the one of acme_fallback. */
#include <string.h>

#include "common/mem.h"
#include "sync/ca_impl.h"

static struct ca *
new_at(const struct ca_place *at, struct event_base *base, struct http *http,
    const struct conf *conf, ca_account_fn *fn, void *arg)
{
	struct ca *ca = xcalloc(1, sizeof(*ca));

	ca->at = *at;
	ca->base = base;
	ca->http = http;
	ca->conf = conf;
	ca->account_fn = fn;
	ca->account_arg = arg;
	TAILQ_INIT(&ca->waiting);
	TAILQ_INIT(&ca->flying);
	TAILQ_INIT(&ca->failed);
	return ca;
}

struct ca *
ca_new(struct event_base *base, struct http *http, const struct conf *conf,
    ca_account_fn *fn, void *arg)
{
	const struct ca_place at = {
		.directory = conf->acme.directory,
		.contact = &conf->acme.contact,
		.allow_hosts = &conf->acme.allow_hosts,
		.agree_tos = conf->acme.agree_tos,
		.eab_kid = conf->acme.eab_kid,
		.eab_hmac_key = conf->acme.eab_hmac_key,
	};

	return new_at(&at, base, http, conf, fn, arg);
}

struct ca *
ca_new_fallback(struct event_base *base, struct http *http,
    const struct conf *conf, ca_account_fn *fn, void *arg)
{
	const struct ca_place at = {
		.directory = conf->acme_fallback.directory,
		.contact = &conf->acme_fallback.contact,
		.allow_hosts = &conf->acme_fallback.allow_hosts,
		.agree_tos = conf->acme_fallback.agree_tos,
		.eab_kid = conf->acme_fallback.eab_kid,
		.eab_hmac_key = conf->acme_fallback.eab_hmac_key,
	};

	return new_at(&at, base, http, conf, fn, arg);
}

const char *
ca_directory(const struct ca *ca)
{
	return ca->at.directory;
}

bool
ca_owns(const struct ca *ca, const char *url)
{
	return acme_url_at(url, ca->at.directory, ca->at.allow_hosts);
}

uint64_t
ca_renewal_info(struct ca *ca, const char *id, ca_fn *fn, void *arg)
{
	struct call *c = ca_call_new(ca, "renewalInfo", NULL);

	c->below = xstrdup(id);
	c->fn = fn;
	c->arg = arg;
	ca_advance_soon(ca);
	return c->id;
}
