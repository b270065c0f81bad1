/* How far behind the leader is: what has been due for longest. */
#include <stdlib.h>

#include "common/mem.h"
#include "sync/store_call.h"

static void
got_first(struct call *c, const struct rds_reply *r, const struct err *e)
{
	int64_t *first = c->state, at;

	if (e != NULL)
		c->failed = *e;
	else if (r->nitems == 2) {
		at = reply_int(&r->item[1]);
		if (*first == 0 || at < *first)
			*first = at;
	}
	if (c->waiting == 0)
		c->tell.gen(c->arg, *first,
		    c->failed.kind != ERR_NONE ? &c->failed : NULL);
}

static void
drop_first(struct call *c)
{
	free(c->state);
}

void
store_due(struct store *s, store_gen_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->state = xcalloc(1, sizeof(int64_t));
	c->drop = drop_first;
	c->tell.gen = fn;
	for (int p = 0; p < s->partitions; p++) {
		rds_cmd(&cmd, "ZRANGE");
		rds_arg(&cmd, store_key(s, KEY_DUE, key, sizeof(key), p, NULL));
		rds_arg(&cmd, "0");
		rds_arg(&cmd, "0");
		rds_arg(&cmd, "WITHSCORES");
		call_send(c, &cmd, got_first);
	}
}
