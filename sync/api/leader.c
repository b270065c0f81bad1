/*
 * Who leads, until when, and how far it has come.  What the leader has in hand
 * it tells by its heartbeat, so every node can say.
 */
#include <string.h>

#include "common/loop.h"
#include "sync/api/request.h"

static json_t *
json_progress(const struct store_node *n)
{
	return json_pack("{s:o, s:I, s:I, s:o}", "at", json_time(n->at),
	    "in_hand", (json_int_t)n->in_hand, "orders", (json_int_t)n->orders,
	    "last_commit_at", json_time(n->committed_at));
}

static void
got_due(void *arg, int64_t first, const struct err *e)
{
	struct request *q = arg;
	json_t *o = q->reply;
	int64_t late = q->free_at - first;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	q->reply = NULL;
	if (first == 0 || late < 0)
		late = 0;
	json_object_set_new(o, "overdue_s", json_integer(late / 1000));
	request_reply(q, 200, json_pack("{s:o}", "leader", o));
}

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct request *q = arg;
	const char *leads =
	    json_string_value(json_object_get(q->reply, "node"));
	json_t *candidates = json_array(), *progress = json_null();
	bool is;

	if (e != NULL) {
		json_decref(candidates);
		request_store_error(q, e);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		is = leads != NULL && strcmp(node[i].id, leads) == 0;
		if (is && node[i].live)
			progress = json_progress(&node[i]);
		/* Of one that is away it is not known whether it may. */
		if (node[i].candidate || is)
			json_array_append_new(candidates,
			    json_pack("{s:o, s:b, s:b}", "id",
				json_text(node[i].id), "live",
				(int)node[i].live, "leads", (int)is));
	}
	json_object_set_new(q->reply, "progress", progress);
	json_object_set_new(q->reply, "candidates", candidates);
	store_due(q->api->store, got_due, q);
}

/* An epoch is the time when it began, unless two began in one millisecond. */
static void
got_leader(void *arg, const struct store_leader *l, const struct err *e)
{
	struct request *q = arg;
	const char *self = q->api->conf->node;
	int64_t now = q->free_at;
	bool leads;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	leads = l->node[0] != '\0' && l->until > now;
	q->reply = json_pack("{s:o, s:b, s:I, s:o, s:o, s:o, s:o}", "node",
	    leads ? json_text(l->node) : json_null(), "self",
	    leads && strcmp(l->node, self) == 0, "epoch", (json_int_t)l->epoch,
	    "since", leads ? json_time(l->epoch) : json_null(), "until",
	    leads ? json_time(l->until) : json_null(), "last_node",
	    json_text(l->node), "now", json_time(now));
	store_nodes(q->api->store, got_nodes, q);
}

/* A lease is by Redis's clock. */
static void
got_time(void *arg, int64_t now, const struct err *e)
{
	struct request *q = arg;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	q->free_at = now;
	store_leader(q->api->store, got_leader, q);
}

void
leader_show(struct request *q)
{
	store_time(q->api->store, got_time, q);
}
