/* The nodes of the fleet, as their heartbeats say. */
#include "common/loop.h"
#include "sync/api/request.h"

/* Compared with each other, and with where Redis is. */
static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct request *q = arg;
	json_t *list, *one;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++) {
		one = json_node(&node[i]);
		json_compare(one, &node[i], node, n, &q->gens, loop_wall_ms());
		json_array_append_new(list, one);
	}
	request_reply(q, 200, json_pack("{s:o}", "nodes", list));
}

static void
got_gen(void *arg, int64_t gen, const struct err *e)
{
	struct request *q = arg;
	struct store *store = q->api->store;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	q->gens.gen[q->gens.n++] = gen;
	if (q->gens.n < store_partitions(store) && q->gens.n < GENS_MAX)
		store_gen(store, q->gens.n, got_gen, q);
	else
		store_nodes(store, got_nodes, q);
}

void
nodes_list(struct request *q)
{
	store_gen(q->api->store, 0, got_gen, q);
}
