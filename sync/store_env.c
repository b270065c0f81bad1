/* An app's variables in the store: one sealed string. */
#include "sync/env.h"
#include "sync/store_call.h"

/* The seal is for this app alone. */
#define SEAL_TYPE "env"

static const char *
env_key(const struct store *s, const char *app, char key[static KEY_MAX])
{
	return store_key(s, KEY_ENV, key, KEY_MAX, 0, app);
}

int
store_env_open(struct store *s, const char *app, const void *sealed, size_t len,
    struct buf *plain, struct err *e)
{
	buf_init(plain, ENV_MAX);
	if (seal_open(s->ring, SEAL_TYPE, app, "", sealed, len, plain, e) == 0)
		return 0;
	err_prefix(e, "the variables of app %s", app);
	return -1;
}

static void
got_env(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_env env = { .text = "", .sealed = "" };
	struct buf plain;
	struct err bad;

	if (e != NULL) {
		c->tell.env(c->arg, NULL, e);
		return;
	}
	if (r->type != RDS_STRING || r->len == 0) {
		c->tell.env(c->arg, &env, NULL);
		return;
	}
	if (store_env_open(c->store, c->name, r->str, r->len, &plain, &bad) ==
	    -1) {
		c->tell.env(c->arg, NULL, &bad);
	} else {
		env = (struct store_env){ plain.p, plain.len, r->str, r->len };
		c->tell.env(c->arg, &env, NULL);
	}
	buf_wipe(&plain);
}

void
store_env(struct store *s, const char *app, store_env_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	snprintf(c->name, sizeof(c->name), "%s", app);
	c->tell.env = fn;
	rds_cmd(&cmd, "GET");
	rds_arg(&cmd, env_key(s, app, key));
	call_send(c, &cmd, got_env);
}

static void
got_put(struct call *c, const struct rds_reply *r, const struct err *e)
{
	(void)r;
	if (e == NULL)
		call_event(c->store, "variables", c->name);
	c->tell.done(c->arg, e);
}

int
store_env_put(struct store *s, const char *app, const void *sealed,
    size_t sealed_len, const void *text, size_t len, store_fn *fn, void *arg,
    struct err *e)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;
	struct buf out;
	struct call *c;

	buf_init(&out, ENV_MAX + SEAL_OVERHEAD);
	if (len > 0 &&
	    seal(s->ring, SEAL_TYPE, app, "", text, len, &out, e) == -1) {
		buf_clear(&out);
		return -1;
	}
	c = call_new(s, arg);
	snprintf(c->name, sizeof(c->name), "%s", app);
	c->tell.done = fn;
	call_function(&cmd, "certfleet_env_put", 1);
	rds_arg(&cmd, env_key(s, app, key));
	rds_arg_mem(&cmd, sealed, sealed_len);
	rds_arg_mem(&cmd, out.p, out.len);
	call_send(c, &cmd, got_put);
	buf_clear(&out);
	return 0;
}

void
store_env_changed(struct store *s, const char *name)
{
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	call_keys(&cmd, "certfleet_env_changed",
	    (const char *const[]){
		k.domain, k.due, k.events, k.timeline, NULL });
	rds_arg(&cmd, name);
	call_forget(s, &cmd);
}
