/* Domains in the store: add, remove, read, list, the leader's update. */
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/mem.h"
#include "sync/store_call.h"

/* SADD or SREM of an app's set. */
static void
app_set(struct store *s, const char *command, const char *app, const char *name)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, command);
	rds_arg(&cmd, store_key(s, KEY_APP, key, sizeof(key), 0, app));
	rds_arg(&cmd, name);
	call_forget(s, &cmd);
}

void
app_add(struct store *s, const char *app, const char *name)
{
	char apps[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "SADD");
	rds_arg(&cmd, store_key(s, KEY_APPS, apps, sizeof(apps), 0, NULL));
	rds_arg(&cmd, app);
	call_forget(s, &cmd);
	app_set(s, "SADD", app, name);
}

void
store_add(struct store *s, const struct domain *d, store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	app_add(s, d->app, d->name);
	domain_keys(s, d->name, &k);
	c->tell.yes = fn;
	call_keys(&cmd, "certfleet_add",
	    (const char *const[]){
		k.domain, k.due, k.events, k.removed, k.timeline, NULL });
	rds_arg(&cmd, d->name);
	rds_arg(&cmd, "now");
	rds_arg(&cmd, "app");
	rds_arg(&cmd, d->app);
	rds_arg(&cmd, "letsencrypt");
	rds_arg(&cmd, d->letsencrypt ? "1" : "0");
	rds_arg(&cmd, "created_at");
	rds_arg_int(&cmd, d->created_at);
	domain_args(d, &cmd);
	call_send(c, &cmd, call_yes);
}

void
store_remove(struct store *s, const char *name, const char *app,
    store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.yes = fn;
	call_keys(&cmd, "certfleet_remove",
	    (const char *const[]){ k.domain, k.cert, k.order, k.due, k.index,
		k.gen, k.events, k.removed, k.timeline, k.custom, NULL });
	rds_arg(&cmd, name);
	call_send(c, &cmd, call_yes);
	app_set(s, "SREM", app, name);
}

static void
got_domain(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct domain d;
	struct err bad;

	if (e != NULL || r->nitems == 0) {
		c->tell.domain(c->arg, NULL, e);
		return;
	}
	domain_init(&d);
	if (reply_domain(r, &d, &bad) == -1)
		c->tell.domain(c->arg, NULL, &bad);
	else
		c->tell.domain(c->arg, &d, NULL);
	domain_clear(&d);
}

void
store_get(struct store *s, const char *name, store_domain_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.domain = fn;
	rds_cmd(&cmd, "HGETALL");
	rds_arg(&cmd, store_key(s, KEY_DOMAIN, key, sizeof(key),
			  domain_partition(name, s->partitions), name));
	call_send(c, &cmd, got_domain);
}

void
store_take(struct store *s, const char *name, int64_t epoch,
    store_domain_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.domain = fn;
	call_function(&cmd, "certfleet_take", 1);
	rds_arg(&cmd, store_key(s, KEY_DOMAIN, key, sizeof(key),
			  domain_partition(name, s->partitions), name));
	rds_arg_int(&cmd, epoch);
	call_send(c, &cmd, got_domain);
}

void
store_update(struct store *s, const struct domain *d, int64_t next_at,
    const char *event_type, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;
	size_t at, n;

	domain_keys(s, d->name, &k);
	c->tell.done = fn;
	call_keys(&cmd, "certfleet_update",
	    (const char *const[]){
		k.domain, k.due, k.events, k.timeline, NULL });
	rds_arg_int(&cmd, d->epoch);
	rds_arg(&cmd, d->name);
	if (next_at > 0)
		rds_arg_int(&cmd, next_at);
	else
		rds_arg(&cmd, next_at == 0 ? "-" : "");
	rds_arg(&cmd, event_type != NULL ? event_type : "");
	at = cmd.argc;
	rds_arg_int(&cmd, 0); /* how many fields follow: known below */
	n = domain_args(d, &cmd);
	call_arg_set(&cmd, at, (int64_t)n);
	domain_absent_args(d, &cmd);
	call_send(c, &cmd, call_done);
}
