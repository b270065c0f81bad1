#include "sync/store_hot.h"

#include "sync/store_call.h"

#define FIELD "names"
#define KEPT_MS INT64_C(2592000000)

static void
got_hot(struct call *c, const struct rds_reply *r, const struct err *e)
{
	c->tell.text(
	    c->arg, r != NULL && r->type == RDS_STRING ? r->str : "", e);
}

void
store_hot(struct store *s, store_text_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.text = fn;
	rds_cmd(&cmd, "HGET");
	rds_arg(&cmd, store_key(s, KEY_HOT, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, FIELD);
	call_send(c, &cmd, got_hot);
}

void
store_hot_put(struct store *s, const char *text)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	store_key(s, KEY_HOT, key, sizeof(key), 0, NULL);
	rds_cmd(&cmd, "HSET");
	rds_arg(&cmd, key);
	rds_arg(&cmd, FIELD);
	rds_arg(&cmd, text);
	call_forget(s, &cmd);
	rds_cmd(&cmd, "PEXPIRE");
	rds_arg(&cmd, key);
	rds_arg_int(&cmd, KEPT_MS);
	call_forget(s, &cmd);
}
