/* The journal of TXT records in the store: a HASH of JSON. */
#include "sync/store_txt.h"

#include <stdlib.h>

#include "sync/store_call.h"

static const char *
journal_key(const struct store *s, char key[static KEY_MAX])
{
	return store_key(s, KEY_TXT, key, KEY_MAX, 0, NULL);
}

void
store_txt_put(struct store *s, const struct txt *t, store_fn *fn, void *arg)
{
	char key[KEY_MAX], field[TXT_KEY_MAX], *text = txt_write(t);
	struct rds_cmd cmd;
	struct call *c;

	txt_key(t, field);
	rds_cmd(&cmd, "HSET");
	rds_arg(&cmd, journal_key(s, key));
	rds_arg(&cmd, field);
	rds_arg(&cmd, text);
	if (fn != NULL) {
		c = call_new(s, arg);
		c->tell.done = fn;
		call_send(c, &cmd, call_done);
	} else {
		call_forget(s, &cmd);
	}
	free(text);
}

void
store_txt_drop(struct store *s, const struct txt *t, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX], field[TXT_KEY_MAX];
	struct rds_cmd cmd;

	txt_key(t, field);
	rds_cmd(&cmd, "HDEL");
	rds_arg(&cmd, journal_key(s, key));
	rds_arg(&cmd, field);
	c->tell.done = fn;
	call_send(c, &cmd, call_done);
}

void
store_txts(struct store *s, store_names_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.names = fn;
	rds_cmd(&cmd, "HVALS");
	rds_arg(&cmd, journal_key(s, key));
	call_send(c, &cmd, call_names);
}
