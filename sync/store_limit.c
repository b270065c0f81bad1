#include "sync/store_limit.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/conf.h"
#include "common/mem.h"
#include "sync/store_call.h"

#define LIMIT_REDIS_KEY_MAX (KEY_MAX + LIMIT_KEY_MAX)

static const char *
limit_key(const struct store *s, const struct limit *l,
    char key[static LIMIT_REDIS_KEY_MAX])
{
	const char *prefix = s->conf->redis.prefix;
	const char *bucket = limit_name(l->bucket);

	if (s->conf->redis.cluster.n > 0)
		snprintf(key, LIMIT_REDIS_KEY_MAX, KEY_LIMIT_CLUSTER, prefix,
		    bucket, l->key);
	else
		snprintf(key, LIMIT_REDIS_KEY_MAX, KEY_LIMIT, prefix, bucket,
		    l->key);
	return key;
}

/* Begin a call about a bucket; the command borrows key. */
static void
begin(const struct store *s, struct rds_cmd *cmd, const char *function,
    const struct limit *l, char key[static LIMIT_REDIS_KEY_MAX])
{
	call_function(cmd, function, 1);
	rds_arg(cmd, limit_key(s, l, key));
}

#define SPEND_FIXED 2  /* granted, now */
#define SPEND_BUCKET 4 /* for each bucket */

static void
got_spend(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_limit found[LIMIT_BUCKETS] = { 0 };
	const struct rds_reply *it;
	struct err bad;
	size_t n = 0;

	if (e == NULL && r->type == RDS_ARRAY && r->nitems > SPEND_FIXED)
		n = (r->nitems - SPEND_FIXED) / SPEND_BUCKET;
	if (e == NULL && (n == 0 || n > LIMIT_BUCKETS)) {
		err_set(
		    &bad, ERR_BUG, "certfleet_limits_spend answers nonsense");
		e = &bad;
	}
	if (e != NULL) {
		c->tell.limits(c->arg, NULL, 0, false, e);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		it = &r->item[SPEND_FIXED + SPEND_BUCKET * i];
		found[i].granted = reply_int(&it[0]) == 1;
		found[i].left = reply_int(&it[1]);
		found[i].free_at = reply_int(&it[2]);
		found[i].used = reply_int(&it[3]);
		found[i].now = reply_int(&r->item[1]);
	}
	c->tell.limits(c->arg, found, n, reply_int(&r->item[0]) == 1, NULL);
}

void
store_limits_spend(struct store *s, const struct limit *l, size_t n,
    const char *id, store_limits_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[LIMIT_BUCKETS][LIMIT_REDIS_KEY_MAX];
	struct rds_cmd cmd;

	c->tell.limits = fn;
	call_function(&cmd, "certfleet_limits_spend", (int)n);
	for (size_t i = 0; i < n; i++)
		rds_arg(&cmd, limit_key(s, &l[i], key[i]));
	rds_arg(&cmd, id);
	for (size_t i = 0; i < n; i++) {
		rds_arg_int(&cmd, l[i].max);
		rds_arg_int(&cmd, l[i].window_ms);
		rds_arg(&cmd, limit_spends(l[i].bucket) ? "1" : "0");
	}
	call_send(c, &cmd, got_spend);
}

/* With or without somebody who wants to hear how it went. */
static void
send(struct store *s, const struct rds_cmd *cmd, store_fn *fn, void *arg)
{
	struct call *c;

	if (fn == NULL) {
		call_forget(s, cmd);
		return;
	}
	c = call_new(s, arg);
	c->tell.done = fn;
	call_send(c, cmd, call_done);
}

void
store_limit_happened(struct store *s, const struct limit *l, const char *id,
    int64_t at, store_fn *fn, void *arg)
{
	char key[LIMIT_REDIS_KEY_MAX];
	struct rds_cmd cmd;

	begin(s, &cmd, "certfleet_limit_spend", l, key);
	rds_arg(&cmd, id);
	rds_arg_int(&cmd, l->max);
	rds_arg_int(&cmd, l->window_ms);
	rds_arg_int(&cmd, at);
	send(s, &cmd, fn, arg);
}

void
store_limit_refund(struct store *s, const struct limit *l, const char *id)
{
	char key[LIMIT_REDIS_KEY_MAX];
	struct rds_cmd cmd;

	begin(s, &cmd, "certfleet_limit_refund", l, key);
	rds_arg(&cmd, id);
	call_forget(s, &cmd);
}

void
store_limit_block(struct store *s, const struct limit *l, int64_t until,
    store_fn *fn, void *arg)
{
	char key[LIMIT_REDIS_KEY_MAX];
	struct rds_cmd cmd;

	begin(s, &cmd, "certfleet_limit_block", l, key);
	rds_arg_int(&cmd, until);
	rds_arg_int(&cmd, l->window_ms);
	send(s, &cmd, fn, arg);
}

#define PEEK_FIXED 5 /* before the spends */

static void
got_peek(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_limit l = { 0 };
	struct err bad;
	int64_t *spent;

	if (e == NULL && (r->type != RDS_ARRAY || r->nitems < PEEK_FIXED)) {
		err_set(&bad, ERR_BUG, "certfleet_limit_peek answers nonsense");
		e = &bad;
	}
	if (e != NULL) {
		c->tell.limit(c->arg, NULL, e);
		return;
	}
	l.left = reply_int(&r->item[0]);
	l.free_at = reply_int(&r->item[1]);
	l.used = reply_int(&r->item[2]);
	l.now = reply_int(&r->item[3]);
	l.blocked_until = reply_int(&r->item[4]);
	l.nspent = r->nitems - PEEK_FIXED;
	spent = xcalloc(l.nspent + 1, sizeof(*spent));
	for (size_t i = 0; i < l.nspent; i++)
		spent[i] = reply_int(&r->item[PEEK_FIXED + i]);
	l.spent = spent;
	c->tell.limit(c->arg, &l, NULL);
	free(spent);
}

void
store_limit_peek(struct store *s, const struct limit *l, int64_t nspent,
    store_limit_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[LIMIT_REDIS_KEY_MAX];
	struct rds_cmd cmd;

	c->tell.limit = fn;
	begin(s, &cmd, "certfleet_limit_peek", l, key);
	call_read_only(&cmd);
	rds_arg_int(&cmd, l->max);
	rds_arg_int(&cmd, l->window_ms);
	rds_arg_int(&cmd,
	    nspent < STORE_LIMIT_SPENT_MAX ? nspent : STORE_LIMIT_SPENT_MAX);
	call_send(c, &cmd, got_peek);
}

#define PEEKS_FIXED 1  /* now */
#define PEEKS_BUCKET 4 /* for each bucket */

static void
got_peeks(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_limit found[STORE_LIMITS_PEEK_MAX] = { 0 };
	const struct rds_reply *it;
	struct err bad;
	size_t n = 0;

	if (e == NULL && r->type == RDS_ARRAY && r->nitems > PEEKS_FIXED)
		n = (r->nitems - PEEKS_FIXED) / PEEKS_BUCKET;
	if (e == NULL && (n == 0 || n > STORE_LIMITS_PEEK_MAX)) {
		err_set(
		    &bad, ERR_BUG, "certfleet_limits_peek answers nonsense");
		e = &bad;
	}
	for (size_t i = 0; e == NULL && i < n; i++) {
		it = &r->item[PEEKS_FIXED + PEEKS_BUCKET * i];
		found[i].left = reply_int(&it[0]);
		found[i].free_at = reply_int(&it[1]);
		found[i].used = reply_int(&it[2]);
		found[i].blocked_until = reply_int(&it[3]);
		found[i].now = reply_int(&r->item[0]);
	}
	c->tell.limits(c->arg, e == NULL ? found : NULL, n, e == NULL, e);
}

void
store_limits_peek(struct store *s, const struct limit *l, size_t n,
    store_limits_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[STORE_LIMITS_PEEK_MAX][LIMIT_REDIS_KEY_MAX];
	struct rds_cmd cmd;

	c->tell.limits = fn;
	call_function(&cmd, "certfleet_limits_peek", (int)n);
	call_read_only(&cmd);
	for (size_t i = 0; i < n; i++)
		rds_arg(&cmd, limit_key(s, &l[i], key[i]));
	for (size_t i = 0; i < n; i++) {
		rds_arg_int(&cmd, l[i].max);
		rds_arg_int(&cmd, l[i].window_ms);
	}
	call_send(c, &cmd, got_peeks);
}
