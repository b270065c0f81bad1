/*
 * A new key for the CA account in the store: asked for (""), then the key
 * itself, sealed, until the account has it.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/store_call.h"

#define KEY_PEM_MAX (16 * 1024)

static const char *
rollover_key(const struct store *s, char key[static KEY_MAX])
{
	return store_key(s, KEY_ROLLOVER, key, KEY_MAX, 0, NULL);
}

void
store_rollover_ask(struct store *s, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.done = fn;
	rds_cmd(&cmd, "SETNX");
	rds_arg(&cmd, rollover_key(s, key));
	rds_arg(&cmd, "");
	call_send(c, &cmd, call_done);
	call_event(s, "rollover", NULL);
}

static void
got_rollover(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct buf plain;
	struct err bad;

	if (e != NULL || r->type != RDS_STRING || r->len == 0) {
		c->tell.rollover(
		    c->arg, e == NULL && r->type == RDS_STRING, "", e);
		return;
	}
	buf_init(&plain, KEY_PEM_MAX);
	if (seal_open(c->store->ring, "account", "rollover", "", r->str, r->len,
		&plain, &bad) == -1)
		c->tell.rollover(c->arg, true, "", &bad);
	else
		c->tell.rollover(c->arg, true, plain.p, NULL);
	buf_wipe(&plain);
}

void
store_rollover(struct store *s, store_rollover_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.rollover = fn;
	rds_cmd(&cmd, "GET");
	rds_arg(&cmd, rollover_key(s, key));
	call_send(c, &cmd, got_rollover);
}

int
store_rollover_put(struct store *s, const char *key_pem, store_fn *fn,
    void *arg, struct err *e)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;
	struct buf sealed;
	struct call *c;

	buf_init(&sealed, KEY_PEM_MAX + SEAL_OVERHEAD);
	if (seal(s->ring, "account", "rollover", "", key_pem, strlen(key_pem),
		&sealed, e) == -1) {
		buf_clear(&sealed);
		return -1;
	}
	c = call_new(s, arg);
	c->tell.done = fn;
	rds_cmd(&cmd, "SET");
	rds_arg(&cmd, rollover_key(s, key));
	rds_arg_mem(&cmd, sealed.p, sealed.len);
	call_send(c, &cmd, call_done);
	buf_clear(&sealed);
	return 0;
}

void
store_rollover_end(struct store *s, bool done)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "DEL");
	rds_arg(&cmd, rollover_key(s, key));
	call_forget(s, &cmd);
	call_event(s, done ? "rolled" : "rollover_refused", NULL);
}
