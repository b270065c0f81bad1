#include "sync/store_limit.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/conf.h"
#include "common/mem.h"
#include "sync/store_call.h"

#define LIMIT_REDIS_KEY_MAX (KEY_MAX + LIMIT_KEY_MAX)

/* Begin a call about a bucket; the command borrows key. */
static void
begin(const struct store *s, struct rds_cmd *cmd, const char *function,
    const struct limit *l, char key[static LIMIT_REDIS_KEY_MAX])
{
	snprintf(key, LIMIT_REDIS_KEY_MAX, KEY_LIMIT, s->conf->redis.prefix,
	    limit_name(l->bucket), l->key);
	call_function(cmd, function, 1);
	rds_arg(cmd, key);
}

static void
got_spend(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_limit l = { 0 };
	struct err bad;

	if (e == NULL && (r->type != RDS_ARRAY || r->nitems != 5)) {
		err_set(
		    &bad, ERR_BUG, "certfleet_limit_spend answers nonsense");
		e = &bad;
	}
	if (e != NULL) {
		c->tell.limit(c->arg, NULL, e);
		return;
	}
	l.granted = reply_int(&r->item[0]) == 1;
	l.left = reply_int(&r->item[1]);
	l.free_at = reply_int(&r->item[2]);
	l.used = reply_int(&r->item[3]);
	l.now = reply_int(&r->item[4]);
	c->tell.limit(c->arg, &l, NULL);
}

void
store_limit_spend(struct store *s, const struct limit *l, const char *id,
    store_limit_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[LIMIT_REDIS_KEY_MAX];
	struct rds_cmd cmd;

	c->tell.limit = fn;
	begin(s, &cmd, "certfleet_limit_spend", l, key);
	rds_arg(&cmd, id);
	rds_arg_int(&cmd, l->max);
	rds_arg_int(&cmd, l->window_ms);
	rds_arg(&cmd, "");
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
