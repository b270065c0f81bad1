/* How the whole is: for people, for load balancers, for supervisors. */
#include "common/loop.h"
#include "sync/api/request.h"

/* The store is asked twice; what it cannot say is null. */
static void
got_counts(void *arg, const struct store_counts *counts, const struct err *e)
{
	struct request *q = arg;
	json_t *o = q->reply;

	q->reply = NULL;
	json_object_set_new(
	    o, "domains", e == NULL ? json_counts(counts) : json_null());
	if (e != NULL)
		json_object_set_new(o, "error", json_text(e->text));
	request_reply(q, 200, o);
}

static void
got_leader(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct request *q = arg;
	json_t *leader = json_object_get(q->reply, "leader");
	json_int_t live = 0;

	for (size_t i = 0; i < n; i++) {
		if (node[i].live && node[i].leader)
			json_object_set_new(
			    leader, "node", json_text(node[i].id));
		live += node[i].live;
	}
	json_object_set_new(q->reply, "nodes",
	    e == NULL
		? json_pack("{s:I, s:I}", "total", (json_int_t)n, "live", live)
		: json_null());
	store_counts(q->api->store, got_counts, q);
}

void
status_show(struct request *q)
{
	const struct api *a = q->api;
	struct api_state s = { 0 };

	a->state(a->state_arg, &s);
	q->reply = json_pack("{s:s, s:o, s:o, s:{s:o, s:b, s:I}, s:{s:b}, "
			     "s:{s:i, s:i}, s:o}",
	    "version", CERTFLEET_VERSION, "node", json_text(a->conf->node),
	    "now", json_time(loop_wall_ms()), "leader", "node",
	    s.leader ? json_text(a->conf->node) : json_null(), "self",
	    (int)s.leader, "epoch", (json_int_t)s.epoch, "redis", "up",
	    (int)s.redis_up, "haproxies", "total", s.haproxies, "up",
	    s.haproxies_up, "error", json_text(s.error));
	store_nodes(a->store, got_leader, q);
}

void
health_show(struct request *q)
{
	request_reply(q, 200, json_pack("{s:s}", "status", "ok"));
}

void
ready_show(struct request *q)
{
	const struct api *a = q->api;
	struct api_state s = { 0 };
	json_t *reasons = json_array();
	bool ready;

	a->state(a->state_arg, &s);
	if (!s.redis_up)
		json_array_append_new(
		    reasons, json_string("Redis does not answer"));
	if (s.haproxies > 0 && s.haproxies_up == 0)
		json_array_append_new(
		    reasons, json_string("no HAProxy of this node answers"));
	ready = json_array_size(reasons) == 0;
	if (!ready && s.error[0] != '\0')
		json_array_append_new(reasons, json_text(s.error));
	request_reply(q, ready ? 200 : 503,
	    json_pack("{s:b, s:o}", "ready", (int)ready, "reasons", reasons));
}
