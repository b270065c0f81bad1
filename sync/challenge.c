#include "sync/challenge.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/table.h"
#include "sync/order.h"
#include "sync/roster.h"
#include "sync/store.h"

#define TTL_S 3600
#define AGAIN_MS 1000 /* publish again: a message can be lost */
#define NODES_MAX 256 /* whose word one barrier can wait for */
#define NODE_ID_MAX 64

/* A published challenge; dies when it is withdrawn. */
struct challenge {
	UT_hash_handle hh;
	struct challenges *all;
	char token[ORDER_TOKEN_MAX];
	char *keyauth;
	challenge_fn *fn; /* NULL once told */
	void *arg;
	struct event *again;
	int64_t deadline;
	char (*ready)[NODE_ID_MAX]; /* nodes that answer it */
	size_t nready;
};

struct challenges {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct roster *roster;
	struct challenge *table;
};

static void publish(void *);

struct challenges *
challenges_new(struct event_base *base, const struct conf *conf,
    struct store *store, struct roster *roster)
{
	struct challenges *all = xcalloc(1, sizeof(*all));

	all->base = base;
	all->conf = conf;
	all->store = store;
	all->roster = roster;
	return all;
}

static void
challenge_free(struct challenge *c)
{
	HASH_DEL(c->all->table, c);
	store_forget(c->all->store, c);
	roster_forget(c->all->roster, c);
	loop_timer_free(&c->again);
	free(c->ready);
	free(c->keyauth);
	free(c);
}

void
challenges_leave(struct challenges *all)
{
	struct challenge *c, *next;

	HASH_ITER (hh, all->table, c, next)
		challenge_free(c);
}

void
challenges_free(struct challenges *all)
{
	if (all == NULL)
		return;
	challenges_leave(all);
	free(all);
}

static struct challenge *
find(struct challenges *all, const char *token, size_t len)
{
	struct challenge *c;

	HASH_FIND(hh, all->table, token, len, c);
	return c;
}

void
challenge_publish(struct challenges *all, const char *token,
    const char *keyauth, challenge_fn *fn, void *arg)
{
	struct challenge *c = find(all, token, strlen(token));

	if (c == NULL) {
		c = xcalloc(1, sizeof(*c));
		c->all = all;
		memcpy(c->token, token, strlen(token) + 1);
		HASH_ADD_STR(all->table, token, c);
	}
	free(c->keyauth);
	c->keyauth = xstrdup(keyauth);
	c->fn = fn;
	c->arg = arg;
	c->nready = 0;
	c->deadline = loop_now_ms() + all->conf->haproxy.barrier_timeout_ms;
	loop_after(all->base, &c->again, 0, publish, c);
}

void
challenge_withdraw(struct challenges *all, const char *token)
{
	struct challenge *c = find(all, token, strlen(token));

	if (c == NULL)
		return;
	store_withdraw(all->store, token);
	challenge_free(c);
}

void
challenge_leave(struct challenges *all, const char *token)
{
	struct challenge *c = find(all, token, strlen(token));

	if (c != NULL)
		challenge_free(c);
}

static void
tell(struct challenge *c, const struct err *e)
{
	challenge_fn *fn = c->fn;

	loop_cancel(c->again);
	c->fn = NULL;
	if (fn != NULL)
		fn(c->arg, e);
}

static bool
node_ready(const struct challenge *c, const char *id)
{
	for (size_t i = 0; i < c->nready; i++)
		if (strcmp(c->ready[i], id) == 0)
			return true;
	return false;
}

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct challenge *c = arg;
	const char *missing = NULL;
	struct err late;

	if (c->fn == NULL)
		return;
	for (size_t i = 0; e == NULL && i < n; i++)
		if (node[i].live && node[i].barrier &&
		    !node_ready(c, node[i].id))
			missing = node[i].id;
	if (e == NULL && missing == NULL) {
		tell(c, NULL);
		return;
	}
	if (loop_now_ms() < c->deadline)
		return; /* the timer asks again, or a node says so */
	err_set(&late, ERR_AGAIN,
	    "node %s does not answer the challenge through its HAProxy; "
	    "see its log, and haproxy.http_address in its configuration",
	    missing != NULL ? missing : "(unknown, Redis is away)");
	tell(c, &late);
}

static void
judge(struct challenge *c)
{
	roster_ask(c->all->roster, got_nodes, c);
}

static void
published(void *arg, const struct err *e)
{
	struct challenge *c = arg;

	if (e != NULL)
		log_warn("challenge not published: %s", e->text);
	if (c->fn != NULL)
		judge(c);
}

static void
publish(void *arg)
{
	struct challenge *c = arg;

	store_publish(c->all->store, c->token, c->keyauth, TTL_S, published, c);
	loop_after(c->all->base, &c->again, AGAIN_MS, publish, c);
}

void
challenge_ready(struct challenges *all, const char *text)
{
	const char *space = strchr(text, ' ');
	struct challenge *c;
	size_t len;

	if (space == NULL)
		return;
	c = find(all, text, (size_t)(space - text));
	len = strlen(space + 1);
	if (c == NULL || c->fn == NULL || len >= NODE_ID_MAX ||
	    c->nready == NODES_MAX || node_ready(c, space + 1))
		return;
	c->ready = xrealloc(c->ready, (c->nready + 1) * sizeof(*c->ready));
	memcpy(c->ready[c->nready++], space + 1, len + 1);
	judge(c);
}
