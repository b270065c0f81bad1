/* Who holds the lease, for those who only look. */
#include <stdio.h>

#include "common/str.h"
#include "sync/store_call.h"

static int64_t
number(const struct rds_reply *fields, const char *name)
{
	const char *value = rds_field(fields, name);
	int64_t v = 0;

	if (value != NULL)
		str_int(value, 0, INT64_MAX, &v);
	return v;
}

static void
got_leader(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_leader l = { .epoch = 0 };
	const char *node;

	if (e != NULL) {
		c->tell.leader(c->arg, NULL, e);
		return;
	}
	node = rds_field(r, "node");
	snprintf(l.node, sizeof(l.node), "%s", node != NULL ? node : "");
	l.epoch = number(r, "epoch");
	l.until = number(r, "until");
	c->tell.leader(c->arg, &l, NULL);
}

void
store_leader(struct store *s, store_leader_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.leader = fn;
	rds_cmd(&cmd, "HGETALL");
	rds_arg(&cmd, store_key(s, KEY_LEADER, key, sizeof(key), 0, NULL));
	call_send(c, &cmd, got_leader);
}
