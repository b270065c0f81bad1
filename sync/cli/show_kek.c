/* The key ring as people read it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/grid.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

/* How many records a key has sealed; "" when nobody has counted. */
static char *
records_of(const json_t *reseal, int64_t id)
{
	const json_t *one;
	size_t i;

	if (!json_is_object(reseal))
		return xstrdup("");
	json_array_foreach (json_object_get(reseal, "keys"), i, one)
		if (text_int_member(one, "id") == id)
			return xasprintf(
			    "%" PRId64, text_int_member(one, "records"));
	return xstrdup("0");
}

static char *
nodes_of(const json_t *nodes, int64_t id)
{
	const json_t *node, *key;
	size_t n = 0, i, j;

	json_array_foreach (nodes, i, node)
		json_array_foreach (json_object_get(node, "keys"), j, key)
			n += json_integer_value(key) == id;
	return xasprintf("%zu of %zu", n, json_array_size(nodes));
}

static void
put_reseal(const json_t *o, struct buf *out)
{
	char *at = text_member(o, "at");

	if (json_is_object(o))
		buf_putf(out,
		    "\n%s by %s: %" PRId64 " looked at, %" PRId64
		    " sealed anew, %" PRId64 " failed\n",
		    json_is_true(json_object_get(o, "done")) ? "counted"
							     : "under way",
		    at, text_int_member(o, "looked"),
		    text_int_member(o, "resealed"),
		    text_int_member(o, "failed"));
	free(at);
}

void
show_kek(const struct show *s, const json_t *o, struct buf *out)
{
	static const char *const head[] = { "Key", "State", "Created", "",
		"Records", "Nodes" };
	const json_t *reseal = json_object_get(o, "reseal"), *k;
	struct grid g;
	size_t i;

	grid_init(&g, sizeof(head) / sizeof(head[0]), head);
	json_array_foreach (json_object_get(o, "keys"), i, k) {
		int64_t id = text_int_member(k, "id");
		bool seals = json_is_true(json_object_get(k, "seals"));

		grid_put(&g, xasprintf("%" PRId64, id), COLOUR_BOLD);
		grid_put(&g, text_member(k, "state"), COLOUR_NONE);
		grid_put(&g, text_member(k, "created_at"), COLOUR_NONE);
		grid_put(&g, xstrdup(seals ? "seals" : ""), COLOUR_GREEN);
		grid_put(&g, records_of(reseal, id), COLOUR_NONE);
		grid_put(
		    &g, nodes_of(json_object_get(o, "nodes"), id), COLOUR_NONE);
	}
	grid_print(&g, s->colours, out);
	grid_clear(&g);
	put_reseal(reseal, out);
}
