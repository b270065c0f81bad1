/* The nodes of the fleet, as their heartbeats say. */
#include "sync/api/call.h"

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	json_t *list;

	if (e != NULL) {
		call_store_error(arg, e);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_node(&node[i]));
	call_reply(arg, 200, json_pack("{s:o}", "nodes", list));
}

void
nodes_list(struct call *c)
{
	store_nodes(c->api->store, got_nodes, c);
}
