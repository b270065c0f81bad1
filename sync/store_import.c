/* Certificates that were made elsewhere, into the store. */
#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "sync/bundle.h"
#include "sync/store_call.h"

static void
got_result(struct call *c, const struct rds_reply *r, const struct err *e)
{
	c->tell.import(
	    c->arg, r != NULL && r->type == RDS_STRING ? r->str : "", e);
}

struct fields {
	struct rds_cmd *cmd;
	int64_t n;
};

static void
put_text(struct fields *f, const char *field, const char *value)
{
	if (value[0] == '\0')
		return;
	rds_arg(f->cmd, field);
	rds_arg(f->cmd, value);
	f->n++;
}

static void
put_time(struct fields *f, const char *field, int64_t ms)
{
	if (ms == 0)
		return;
	rds_arg(f->cmd, field);
	rds_arg_int(f->cmd, ms);
	f->n++;
}

/* What is known of the certificate but its fingerprint and end. */
static void
put_certificate(struct rds_cmd *cmd, const struct domain *d)
{
	struct fields f = { cmd, 0 };
	size_t at = cmd->argc;

	rds_arg_int(cmd, 0); /* how many follow: known below */
	put_text(&f, "serial", d->serial);
	put_text(&f, "issuer", d->issuer);
	put_time(&f, "not_before", d->not_before);
	put_time(&f, "renew_at", d->renew_at);
	put_text(&f, "ca", d->ca);
	put_text(&f, "ari_id", d->ari_id);
	put_time(&f, "ari_poll_at", d->ari_poll_at);
	call_arg_set(cmd, at, f.n);
}

int
store_import(struct store *s, const struct domain *d, const struct cert *cert,
    const char *key_pem, bool dry, store_import_fn *fn, void *arg,
    struct err *e)
{
	struct bundle_about about;
	struct domain_keys k;
	struct rds_cmd cmd;
	struct buf bundle;
	struct call *c;

	buf_init(&bundle, BUNDLE_MAX);
	bundle_describe(&about, d);
	snprintf(about.ca, sizeof(about.ca), "%s", d->ca);
	if (bundle_pack_two(s->ring, d->name, cert, key_pem, NULL, NULL, &about,
		&bundle, e) == -1) {
		buf_clear(&bundle);
		return -1;
	}
	if (!dry)
		app_add(s, d->app, d->name);
	domain_keys(s, d->name, &k);
	c = call_new(s, arg);
	c->tell.import = fn;
	call_keys(&cmd,
	    strcmp(s->conf->fleet.rollout, "canary") == 0
		? "certfleet_import_stage"
		: "certfleet_import",
	    (const char *const[]){ k.domain, k.custom, k.cert, k.due, k.index,
		k.gen, k.events, k.removed, k.timeline, NULL });
	rds_arg(&cmd, d->name);
	rds_arg(&cmd, d->app);
	rds_arg(&cmd, d->sha1);
	rds_arg_int(&cmd, d->not_after);
	rds_arg(&cmd, dry ? "1" : "");
	rds_arg_mem(&cmd, bundle.p, bundle.len);
	put_certificate(&cmd, d);
	call_send(c, &cmd, got_result);
	buf_clear(&bundle);
	return 0;
}
