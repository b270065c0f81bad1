/* What owners change: an own certificate, Let's Encrypt, renewal, revocation. */
#include <string.h>

#include "common/conf.h"
#include "sync/bundle.h"
#include "sync/store_call.h"

static void
put(struct rds_cmd *cmd, const char *field, const char *value)
{
	rds_arg(cmd, field);
	rds_arg(cmd, value);
}

int
store_custom_set(struct store *s, const struct domain *d,
    const struct cert *cert, const char *key_pem, store_fn *fn, void *arg,
    struct err *e)
{
	struct bundle_about about;
	struct domain_keys k;
	struct rds_cmd cmd;
	struct buf bundle;
	struct call *c;

	bundle_describe(&about, d);
	about.custom = true;
	buf_init(&bundle, BUNDLE_MAX);
	if (bundle_pack_two(s->ring, d->name, cert, key_pem, NULL, NULL, &about,
		&bundle, e) == -1) {
		buf_clear(&bundle);
		return -1;
	}
	domain_keys(s, d->name, &k);
	c = call_new(s, arg);
	c->tell.done = fn;
	call_owner(&cmd,
	    strcmp(s->conf->fleet.rollout, "canary") == 0
		? "certfleet_custom_stage"
		: "certfleet_custom_set",
	    &k);
	rds_arg(&cmd, d->name);
	rds_arg(&cmd, d->custom_sha1);
	rds_arg_int(&cmd, d->custom_not_after);
	rds_arg_mem(&cmd, bundle.p, bundle.len);
	rds_arg_int(&cmd, 6); /* fields follow */
	put(&cmd, "custom_serial", d->custom_serial);
	put(&cmd, "custom_issuer", d->custom_issuer);
	put(&cmd, "custom_subject", d->custom_subject);
	put(&cmd, "custom_key", d->custom_key);
	put(&cmd, "custom_note", d->custom_note);
	rds_arg(&cmd, "custom_not_before");
	rds_arg_int(&cmd, d->custom_not_before);
	call_send(c, &cmd, call_done);
	buf_clear(&bundle);
	return 0;
}

void
store_custom_clear(struct store *s, const char *name, int64_t epoch,
    const char *sha1, store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.yes = fn;
	call_owner(&cmd, "certfleet_custom_clear", &k);
	rds_arg(&cmd, name);
	if (epoch > 0)
		rds_arg_int(&cmd, epoch);
	else
		rds_arg(&cmd, "");
	rds_arg(&cmd, sha1);
	call_send(c, &cmd, call_yes);
}

/* Switch something of a domain on or off. */
static void
switch_it(struct store *s, const char *function, const char *name, bool on,
    store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.yes = fn;
	call_owner(&cmd, function, &k);
	rds_arg(&cmd, name);
	rds_arg(&cmd, on ? "1" : "0");
	call_send(c, &cmd, call_yes);
}

void
store_letsencrypt(
    struct store *s, const char *name, bool on, store_yes_fn *fn, void *arg)
{
	switch_it(s, "certfleet_letsencrypt", name, on, fn, arg);
}

void
store_canonical(
    struct store *s, const char *name, bool on, store_yes_fn *fn, void *arg)
{
	switch_it(s, "certfleet_canonical", name, on, fn, arg);
}

void
store_revoke(struct store *s, const char *name, const char *reason,
    store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.yes = fn;
	call_owner(&cmd, "certfleet_revoke", &k);
	rds_arg(&cmd, name);
	rds_arg(&cmd, reason);
	call_send(c, &cmd, call_yes);
}

void
store_renew(struct store *s, const char *name, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.done = fn;
	call_owner(&cmd, "certfleet_renew", &k);
	rds_arg(&cmd, name);
	call_send(c, &cmd, call_done);
}

void
store_revoked(struct store *s, const char *name, int64_t epoch,
    const char *sha1, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.done = fn;
	call_owner(&cmd, "certfleet_revoked", &k);
	rds_arg(&cmd, name);
	rds_arg_int(&cmd, epoch);
	rds_arg(&cmd, sha1);
	call_send(c, &cmd, call_done);
}
