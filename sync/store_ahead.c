/* What is ahead of the fleet, a day at a time. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/store_call.h"
#include "sync/store_search.h"

#define LOOK 500 /* domains that Redis looks at in one call */

struct ahead {
	struct store_ahead sum;
	int64_t from_ms;
	int days, partition;
};

static void
drop_ahead(struct call *c)
{
	free(c->state);
}

static void ask(struct call *, const char *after);

static void
add(int64_t *sum, const struct rds_reply *count, int n)
{
	for (int i = 0; i < n; i++)
		sum[i] += reply_int(&count[i]);
}

static void
got(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct ahead *a = c->state;
	int n = a->days + 1;
	const char *next = "";

	if (e == NULL && r->nitems == (size_t)(3 * n + 1) &&
	    r->item[0].type == RDS_STRING) {
		next = r->item[0].str;
		add(a->sum.renewals, r->item + 1, n);
		add(a->sum.ends, r->item + 1 + n, n);
		add(a->sum.custom_ends, r->item + 1 + 2 * n, n);
	}
	if (*next != '\0')
		ask(c, next);
	else if (e == NULL && ++a->partition < c->store->partitions)
		ask(c, "");
	else
		c->tell.ahead(c->arg, &a->sum, e);
}

static void
ask(struct call *c, const char *after)
{
	const struct ahead *a = c->state;
	char key[KEY_MAX];
	struct rds_cmd cmd;

	call_function(&cmd, "certfleet_ahead", 1);
	call_read_only(&cmd);
	rds_arg(&cmd, store_key(c->store, KEY_NAMES, key, sizeof(key),
			  a->partition, NULL));
	rds_arg(&cmd, after);
	rds_arg_int(&cmd, LOOK);
	rds_arg_int(&cmd, a->from_ms);
	rds_arg_int(&cmd, 86400000);
	rds_arg_int(&cmd, a->days);
	call_send(c, &cmd, got);
}

void
store_ahead(
    struct store *s, int64_t from_ms, int days, store_ahead_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct ahead *a = xcalloc(1, sizeof(*a));

	c->state = a;
	c->drop = drop_ahead;
	c->tell.ahead = fn;
	a->from_ms = from_ms;
	a->days = days < STORE_AHEAD_DAYS ? days : STORE_AHEAD_DAYS;
	ask(c, "");
}
