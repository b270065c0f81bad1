/* Nodes: their heartbeats, and the list of all of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/store_call.h"

#define DAY_MS (24LL * 3600 * 1000)
#define NODES_MAX 1000

static void
got_time(struct call *c, const struct rds_reply *r, const struct err *e)
{
	int64_t ms = 0;

	if (e == NULL && r->nitems == 2)
		ms = reply_int(&r->item[0]) * 1000 +
		     reply_int(&r->item[1]) / 1000;
	c->tell.gen(c->arg, ms, e);
}

void
store_time(struct store *s, store_gen_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct rds_cmd cmd;

	c->tell.gen = fn;
	rds_cmd(&cmd, "TIME");
	call_send(c, &cmd, got_time);
}

/* The nodes by their last beat; who has not been seen for a day is dropped. */
void
store_present(struct store *s, const char *id, int64_t now_ms)
{
	char nodes[KEY_MAX];
	struct rds_cmd cmd;

	store_key(s, KEY_NODES, nodes, sizeof(nodes), 0, NULL);
	rds_cmd(&cmd, "ZADD");
	rds_arg(&cmd, nodes);
	rds_arg_int(&cmd, now_ms);
	rds_arg(&cmd, id);
	call_forget(s, &cmd);
	rds_cmd(&cmd, "ZREMRANGEBYSCORE");
	rds_arg(&cmd, nodes);
	rds_arg(&cmd, "-inf");
	rds_arg_int(&cmd, now_ms - DAY_MS);
	call_forget(s, &cmd);
}

void
store_beat(struct store *s, const struct store_node *n, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char node[KEY_MAX], channel[KEY_MAX], gens[GENS_TEXT_MAX];
	struct rds_cmd cmd;

	gens_format(&n->gens, gens);
	c->tell.done = fn;
	call_function(&cmd, "certfleet_beat", 1);
	rds_arg(&cmd, store_key(s, KEY_NODE, node, sizeof(node), 0, n->id));
	rds_arg(&cmd, n->id);
	rds_arg_int(&cmd, n->at);
	rds_arg_int(&cmd, s->conf->fleet.node_ttl_ms);
	rds_arg(&cmd,
	    store_key(s, CHANNEL_ACKS, channel, sizeof(channel), 0, NULL));
	rds_arg(&cmd, gens);
	rds_arg(&cmd, "version");
	rds_arg(&cmd, n->version);
	rds_arg(&cmd, "haproxy");
	rds_arg(&cmd, n->haproxy);
	rds_arg(&cmd, "haproxy_pids");
	rds_arg(&cmd, n->haproxy_pids);
	rds_arg(&cmd, "wanted");
	rds_arg_int(&cmd, n->wanted);
	rds_arg(&cmd, "served");
	rds_arg_int(&cmd, n->served);
	rds_arg(&cmd, "failed");
	rds_arg_int(&cmd, n->failed);
	rds_arg(&cmd, "errors");
	rds_arg(&cmd, n->errors);
	rds_arg(&cmd, "keks");
	rds_arg(&cmd, n->keks);
	rds_arg(&cmd, "candidate");
	rds_arg_int(&cmd, n->candidate);
	rds_arg(&cmd, "in_hand");
	rds_arg_int(&cmd, n->in_hand);
	rds_arg(&cmd, "orders");
	rds_arg_int(&cmd, n->orders);
	rds_arg(&cmd, "committed_at");
	rds_arg_int(&cmd, n->committed_at);
	rds_arg(&cmd, "differs");
	rds_arg(&cmd, n->differs);
	rds_arg(&cmd, "digest");
	rds_arg(&cmd, n->digest);
	rds_arg(&cmd, "trials");
	rds_arg(&cmd, n->trials);
	rds_arg(&cmd, "behind_at");
	rds_arg_int(&cmd, n->behind_at);
	rds_arg(&cmd, "leader");
	rds_arg_int(&cmd, n->leader);
	rds_arg(&cmd, "barrier");
	rds_arg_int(&cmd, n->barrier);
	rds_arg(&cmd, "offers");
	rds_arg_int(&cmd, n->offers);
	rds_arg(&cmd, "mustered");
	rds_arg_int(&cmd, n->mustered);
	call_send(c, &cmd, call_done);
}

void
store_leave(struct store *s, const char *id)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "ZREM");
	rds_arg(&cmd, store_key(s, KEY_NODES, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, id);
	call_forget(s, &cmd);
	rds_cmd(&cmd, "DEL");
	rds_arg(&cmd, store_key(s, KEY_NODE, key, sizeof(key), 0, id));
	call_forget(s, &cmd);
}

/* --- the list of nodes: ids, then a hash each ------------------------------ */

struct nodes {
	struct store_node *node;
	size_t n, got;
	struct err e;
};

static void
drop_nodes(struct call *c)
{
	struct nodes *l = c->state;

	free(l->node);
	free(l);
}

static void
keep_text(
    char *dst, size_t size, const struct rds_reply *fields, const char *name)
{
	const char *value = rds_field(fields, name);

	snprintf(dst, size, "%s", value != NULL ? value : "");
}

static int64_t
field_int(const struct rds_reply *fields, const char *name)
{
	const char *value = rds_field(fields, name);
	int64_t v = 0;

	if (value != NULL)
		str_int(value, INT64_MIN, INT64_MAX, &v);
	return v;
}

static void
read_node(struct store_node *n, const struct rds_reply *r)
{
	const char *gens;

	n->live = r->nitems > 0; /* its key has not expired */
	if (!n->live)
		return;
	n->at = field_int(r, "at");
	gens = rds_field(r, "gen");
	if (gens != NULL)
		gens_parse(&n->gens, gens);
	n->wanted = field_int(r, "wanted");
	n->served = field_int(r, "served");
	n->failed = field_int(r, "failed");
	keep_text(n->keks, sizeof(n->keks), r, "keks");
	n->candidate = field_int(r, "candidate") == 1;
	n->in_hand = field_int(r, "in_hand");
	n->orders = field_int(r, "orders");
	n->committed_at = field_int(r, "committed_at");
	n->leader = field_int(r, "leader") == 1;
	n->barrier = field_int(r, "barrier") == 1;
	n->offers = field_int(r, "offers");
	n->mustered = rds_field(r, "mustered") != NULL
	                  ? field_int(r, "mustered")
	                  : INT64_MAX; /* older ones do not tell */
	keep_text(n->version, sizeof(n->version), r, "version");
	keep_text(n->haproxy, sizeof(n->haproxy), r, "haproxy");
	keep_text(n->haproxy_pids, sizeof(n->haproxy_pids), r, "haproxy_pids");
	n->behind_at = field_int(r, "behind_at");
	keep_text(n->errors, sizeof(n->errors), r, "errors");
	keep_text(n->differs, sizeof(n->differs), r, "differs");
	keep_text(n->digest, sizeof(n->digest), r, "digest");
	keep_text(n->trials, sizeof(n->trials), r, "trials");
}

static int
by_id(const void *a, const void *b)
{
	const struct store_node *x = a, *y = b;

	return strcmp(x->id, y->id);
}

/* Replies come in the order of the questions. */
static void
got_node(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct nodes *l = c->state;

	if (e != NULL)
		l->e = *e;
	else
		read_node(&l->node[l->got], r);
	l->got++;
	if (c->waiting > 0)
		return;
	qsort(l->node, l->n, sizeof(*l->node), by_id);
	if (l->e.kind != ERR_NONE)
		c->tell.nodes(c->arg, NULL, 0, &l->e);
	else
		c->tell.nodes(c->arg, l->node, l->n, NULL);
}

static void
got_node_ids(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct nodes *l = c->state;
	char key[KEY_MAX];
	struct rds_cmd cmd;

	if (e != NULL || r->nitems == 0) {
		c->tell.nodes(c->arg, NULL, 0, e);
		return;
	}
	l->n = r->nitems < NODES_MAX ? r->nitems : NODES_MAX;
	l->node = xcalloc(l->n, sizeof(*l->node));
	for (size_t i = 0; i < l->n; i++) {
		snprintf(l->node[i].id, sizeof(l->node[i].id), "%s",
		    r->item[i].str != NULL ? r->item[i].str : "");
		rds_cmd(&cmd, "HGETALL");
		rds_arg(&cmd, store_key(c->store, KEY_NODE, key, sizeof(key), 0,
				  l->node[i].id));
		call_send(c, &cmd, got_node);
	}
}

void
store_nodes(struct store *s, store_nodes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->state = xcalloc(1, sizeof(struct nodes));
	c->drop = drop_nodes;
	c->tell.nodes = fn;
	rds_cmd(&cmd, "ZRANGE");
	rds_arg(&cmd, store_key(s, KEY_NODES, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, "0");
	rds_arg(&cmd, "-1");
	call_send(c, &cmd, got_node_ids);
}

void
store_ready(struct store *s, const char *token)
{
	char channel[KEY_MAX], text[256];
	struct rds_cmd cmd;

	snprintf(text, sizeof(text), "%s %s", token, s->conf->node);
	rds_cmd(&cmd, "PUBLISH");
	rds_arg(&cmd,
	    store_key(s, CHANNEL_READY, channel, sizeof(channel), 0, NULL));
	rds_arg(&cmd, text);
	call_forget(s, &cmd);
}
