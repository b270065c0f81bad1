/* The nodes of the fleet, as their heartbeats say. */
#include "sync/api/request.h"

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	json_t *list;

	if (e != NULL) {
		request_store_error(arg, e);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_node(&node[i]));
	request_reply(arg, 200, json_pack("{s:o}", "nodes", list));
}

void
nodes_list(struct request *q)
{
	store_nodes(q->api->store, got_nodes, q);
}
