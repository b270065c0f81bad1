/* The leader's work in the store: lease, due names, orders, certificates. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/store_call.h"

#define SEALED_MAX (16 * 1024)

static void
got_lease(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct err bad;

	if (e == NULL && (r->type != RDS_ARRAY || r->nitems != 4 ||
			     r->item[2].type != RDS_STRING)) {
		err_set(&bad, ERR_BUG, "certfleet_lease answers nonsense");
		e = &bad;
	}
	if (e != NULL)
		c->tell.lease(c->arg, false, 0, "", 0, e);
	else
		c->tell.lease(c->arg, reply_int(&r->item[0]) == 1,
		    reply_int(&r->item[1]), r->item[2].str,
		    reply_int(&r->item[3]), NULL);
}

void
store_lease(struct store *s, int64_t seen, store_lease_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.lease = fn;
	call_function(&cmd, "certfleet_lease", 1);
	rds_arg(&cmd, store_key(s, KEY_LEADER, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, s->conf->node);
	rds_arg_int(&cmd, s->conf->fleet.lease_ms);
	rds_arg_int(&cmd, seen);
	call_send(c, &cmd, got_lease);
}

void
store_release(struct store *s, int64_t epoch, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.done = fn;
	call_function(&cmd, "certfleet_release", 1);
	rds_arg(&cmd, store_key(s, KEY_LEADER, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, s->conf->node);
	rds_arg_int(&cmd, epoch);
	call_send(c, &cmd, call_done);
}

void
store_claim(struct store *s, int partition, int64_t now_ms, int n,
    int64_t visibility_ms, store_names_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.names = fn;
	call_function(&cmd, "certfleet_claim", 1);
	rds_arg(&cmd, store_key(s, KEY_DUE, key, sizeof(key), partition, NULL));
	rds_arg_int(&cmd, now_ms);
	rds_arg_int(&cmd, n);
	rds_arg_int(&cmd, visibility_ms);
	call_send(c, &cmd, call_names);
}

/* The journal's key, opened; no key at all is "". */
static int
open_key(
    const struct call *c, const struct rds_reply *r, char **key, struct err *e)
{
	const struct rds_reply *sealed = NULL;
	struct buf plain;

	*key = NULL;
	for (size_t i = 0; i + 1 < r->nitems; i += 2)
		if (strcmp(r->item[i].str, "csrkey") == 0)
			sealed = &r->item[i + 1];
	if (sealed == NULL)
		return 0;
	buf_init(&plain, SEALED_MAX);
	if (seal_open(c->store->ring, "csrkey", c->name, "", sealed->str,
		sealed->len, &plain, e) == -1) {
		buf_wipe(&plain);
		return -1;
	}
	*key = buf_take(&plain);
	return 0;
}

static void
got_order(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_order o = { 0 };
	const char *text;
	struct err bad;

	if (e == NULL && open_key(c, r, &o.key_pem, &bad) == -1)
		e = &bad;
	if (e != NULL) {
		c->tell.order(c->arg, NULL, e);
		return;
	}
	o.step = xstrdup((text = rds_field(r, "step")) ? text : "");
	o.url = xstrdup((text = rds_field(r, "url")) ? text : "");
	o.first_ca = xstrdup((text = rds_field(r, "first_ca")) ? text : "");
	if (o.key_pem == NULL)
		o.key_pem = xstrdup("");
	for (size_t i = 0; i + 1 < r->nitems; i += 2) {
		if (strcmp(r->item[i].str, "epoch") == 0)
			o.epoch = reply_int(&r->item[i + 1]);
		else if (strcmp(r->item[i].str, "started_at") == 0)
			o.started_at = reply_int(&r->item[i + 1]);
		else if (strcmp(r->item[i].str, "first") == 0) {
			o.first = r->item[i + 1].str;
			o.first_len = r->item[i + 1].len;
		}
	}
	c->tell.order(c->arg, &o, NULL);
	free(o.step);
	free(o.url);
	free(o.first_ca);
	mem_wipe_free(o.key_pem);
}

void
store_order(struct store *s, const char *name, store_order_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	memcpy(c->name, name, strlen(name) + 1);
	c->tell.order = fn;
	rds_cmd(&cmd, "HGETALL");
	rds_arg(&cmd, k.order);
	call_send(c, &cmd, got_order);
}

/* The journal is only for who has taken the domain: store_take(). */
static void
arg_taken(struct rds_cmd *cmd, int64_t epoch)
{
	size_t at = cmd->argc;

	rds_arg_int(cmd, epoch);
	cmd->len[at] = (size_t)snprintf(cmd->number[at],
	    sizeof(cmd->number[at]), "=%lld", (long long)epoch);
}

static void
got_begun(struct call *c, const struct rds_reply *r, const struct err *e)
{
	int64_t started_at = e == NULL ? reply_int(r) : 0;

	/* An older library says only that it went well. */
	c->tell.begun(c->arg, started_at > 1 ? started_at : 0, e);
}

void
store_begin(struct store *s, const char *name, int64_t epoch,
    store_begun_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.begun = fn;
	call_function(&cmd, "certfleet_journal", 2);
	rds_arg(&cmd, k.domain);
	rds_arg(&cmd, k.order);
	arg_taken(&cmd, epoch);
	rds_arg(&cmd, "");
	rds_arg(&cmd, "new");
	call_send(c, &cmd, got_begun);
}

int
store_journal(struct store *s, const char *name, int64_t epoch,
    const char *expected, const char *step, const char *url,
    const char *key_pem, store_fn *fn, void *arg, struct err *e)
{
	struct domain_keys k;
	struct rds_cmd cmd;
	struct buf sealed;
	struct call *c;

	buf_init(&sealed, SEALED_MAX);
	if (key_pem != NULL && seal(s->ring, "csrkey", name, "", key_pem,
				   strlen(key_pem), &sealed, e) == -1) {
		buf_clear(&sealed);
		return -1;
	}
	domain_keys(s, name, &k);
	c = call_new(s, arg);
	c->tell.done = fn;
	call_keys(&cmd, "certfleet_journal",
	    (const char *const[]){ k.domain, k.order, NULL });
	arg_taken(&cmd, epoch);
	rds_arg(&cmd, expected);
	rds_arg(&cmd, step);
	if (url != NULL) {
		rds_arg(&cmd, "url");
		rds_arg(&cmd, url);
	}
	if (key_pem != NULL) {
		rds_arg(&cmd, "csrkey");
		rds_arg_mem(&cmd, sealed.p, sealed.len);
	}
	call_send(c, &cmd, call_done);
	buf_clear(&sealed);
	return 0;
}

/* A time of its own: each order spends what the CA allows. */
int
store_journal_first(struct store *s, const char *name, int64_t epoch,
    const void *first, size_t len, const char *ca, store_fn *fn, void *arg,
    struct err *e)
{
	struct domain_keys k;
	struct rds_cmd cmd;
	struct buf sealed;
	struct call *c;

	buf_init(&sealed, SEALED_MAX);
	if (seal(s->ring, "csrkey", name, "", "", 0, &sealed, e) == -1) {
		buf_clear(&sealed);
		return -1;
	}
	domain_keys(s, name, &k);
	c = call_new(s, arg);
	c->tell.done = fn;
	call_keys(&cmd, "certfleet_journal",
	    (const char *const[]){ k.domain, k.order, NULL });
	arg_taken(&cmd, epoch);
	rds_arg(&cmd, "*");
	rds_arg(&cmd, "new");
	rds_arg(&cmd, "url");
	rds_arg(&cmd, "");
	rds_arg(&cmd, "csrkey");
	rds_arg_mem(&cmd, sealed.p, sealed.len);
	rds_arg(&cmd, "first");
	rds_arg_mem(&cmd, first, len);
	rds_arg(&cmd, "first_ca");
	rds_arg(&cmd, ca);
	rds_arg(&cmd, "started_at");
	rds_arg_int(&cmd, loop_wall_ms());
	call_send(c, &cmd, call_done);
	buf_clear(&sealed);
	return 0;
}

void
store_abandon(
    struct store *s, const char *name, int64_t epoch, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.done = fn;
	call_keys(&cmd, "certfleet_abandon",
	    (const char *const[]){ k.domain, k.order, NULL });
	rds_arg_int(&cmd, epoch);
	call_send(c, &cmd, call_done);
}

void
call_committed(struct call *c, const struct rds_reply *r, const struct err *e)
{
	if (e != NULL || r->nitems < 2)
		c->tell.commit(c->arg, 0, 0, e);
	else
		c->tell.commit(c->arg, reply_int(&r->item[0]),
		    r->nitems == 2 ? reply_int(&r->item[1]) : 0, NULL);
}

void
store_commit(struct store *s, const struct domain *d, int64_t next_at,
    bool newer, const void *bundle, size_t len, store_commit_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;
	size_t at;

	domain_keys(s, d->name, &k);
	c->tell.commit = fn;
	call_keys(&cmd,
	    strcmp(s->conf->fleet.rollout, "canary") == 0 ? "certfleet_stage"
							  : "certfleet_commit",
	    (const char *const[]){ k.domain, k.cert, k.order, k.due, k.index,
		k.gen, k.events, k.timeline, NULL });
	rds_arg_int(&cmd, d->epoch);
	rds_arg(&cmd, d->name);
	rds_arg(&cmd, d->sha1);
	rds_arg_int(&cmd, d->not_after);
	rds_arg_int(&cmd, next_at);
	rds_arg(&cmd, newer ? "1" : "");
	rds_arg_mem(&cmd, bundle, len);
	at = cmd.argc;
	rds_arg_int(&cmd, 0);
	call_arg_set(&cmd, at, (int64_t)domain_args(d, &cmd));
	domain_absent_args(d, &cmd);
	call_send(c, &cmd, call_committed);
}

void
store_publish(struct store *s, const char *token, const char *keyauth,
    int ttl_s, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX], channel[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.done = fn;
	call_function(&cmd, "certfleet_publish", 1);
	rds_arg(&cmd, store_key(s, KEY_CHALLENGE, key, sizeof(key), 0, token));
	rds_arg(&cmd, token);
	rds_arg(&cmd, keyauth);
	rds_arg_int(&cmd, ttl_s);
	rds_arg(&cmd, store_key(s, CHANNEL_CHALLENGES, channel, sizeof(channel),
			  0, NULL));
	call_send(c, &cmd, call_done);
}

void
store_withdraw(struct store *s, const char *token)
{
	char key[KEY_MAX], channel[KEY_MAX];
	struct rds_cmd cmd;

	call_function(&cmd, "certfleet_withdraw", 1);
	rds_arg(&cmd, store_key(s, KEY_CHALLENGE, key, sizeof(key), 0, token));
	rds_arg(&cmd, token);
	rds_arg(&cmd, store_key(s, CHANNEL_CHALLENGES, channel, sizeof(channel),
			  0, NULL));
	call_forget(s, &cmd);
}

void
store_thumbprint(struct store *s, const char *thumbprint)
{
	char key[KEY_MAX], channel[KEY_MAX];
	struct rds_cmd cmd;

	call_function(&cmd, "certfleet_thumbprint", 1);
	rds_arg(&cmd, store_key(s, KEY_THUMBPRINT, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, thumbprint);
	rds_arg(&cmd, store_key(s, CHANNEL_CHALLENGES, channel, sizeof(channel),
			  0, NULL));
	call_forget(s, &cmd);
}
