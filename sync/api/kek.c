/*
 * The key ring: what this node has, what all nodes have, and by which keys the
 * secrets in Redis are sealed, as the leader last counted.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/seal.h"
#include "common/str.h"
#include "sync/api/request.h"
#include "sync/store_reseal.h"

#define YEAR_10000 INT64_C(253402300800000)

static int64_t
number(const char *text)
{
	int64_t v = 0;

	return str_int(text, 0, YEAR_10000, &v) == 0 ? v : 0;
}

static json_t *
json_keys(const struct seal_ring *ring)
{
	struct seal_key *key = xcalloc(SEAL_KEYS_MAX, sizeof(*key));
	size_t n = seal_ring_keys(ring, key, SEAL_KEYS_MAX);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		    list, json_pack("{s:I, s:o, s:s, s:b}", "id",
			      (json_int_t)key[i].id, "created_at",
			      json_time(key[i].created_at), "state",
			      seal_state_name(key[i].state), "seals",
			      key[i].id == seal_ring_seals(ring)));
	free(key);
	return list;
}

/* "2:1,2": the one that seals, then all. */
static json_t *
json_its_keys(const struct store_node *n)
{
	const char *text = strchr(n->keks, ':');
	json_t *all = json_array();

	for (; text != NULL; text = strchr(text, ',')) {
		text++;
		json_array_append_new(
		    all, json_integer(strtoll(text, NULL, 10)));
	}
	return json_pack("{s:o, s:b, s:I, s:o}", "id", json_text(n->id), "live",
	    (int)n->live, "seals", (json_int_t)strtoll(n->keks, NULL, 10),
	    "keys", all);
}

static json_t *
json_note(const char *const *field, size_t n)
{
	static const char *const times[] = { "started_at", "at" };
	static const char *const numbers[] = { "seals", "looked", "resealed",
		"failed", "txt" };
	json_t *o = json_pack("{s:b, s:n, s:n, s:i, s:i, s:i, s:i, s:i}",
	    "done", 0, "started_at", "at", "seals", 0, "looked", 0, "resealed",
	    0, "failed", 0, "txt", 0);
	json_t *records = json_array();

	for (size_t i = 0; i < n; i++) {
		const char *name = field[2 * i];
		int64_t v = number(field[2 * i + 1]);

		if (strcmp(name, "done") == 0)
			json_object_set_new(o, name, json_boolean(v == 1));
		for (size_t j = 0; j < 2; j++)
			if (strcmp(name, times[j]) == 0)
				json_object_set_new(o, name, json_time(v));
		for (size_t j = 0; j < sizeof(numbers) / sizeof(numbers[0]);
		     j++)
			if (strcmp(name, numbers[j]) == 0)
				json_object_set_new(o, name, json_integer(v));
		if (str_has_prefix(name, "key:"))
			json_array_append_new(
			    records, json_pack("{s:I, s:I}", "id",
					 (json_int_t)number(name + 4),
					 "records", (json_int_t)v));
	}
	json_object_set_new(o, "keys", records);
	return o;
}

static void
got_note(void *arg, const char *const *field, size_t n, const struct err *e)
{
	struct request *q = arg;
	json_t *o = q->reply;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	q->reply = NULL;
	json_object_set_new(
	    o, "reseal", n > 0 ? json_note(field, n) : json_null());
	request_reply(q, 200, json_pack("{s:o}", "kek", o));
}

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct request *q = arg;
	json_t *list;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_its_keys(&node[i]));
	json_object_set_new(q->reply, "nodes", list);
	store_reseal_noted(q->api->store, got_note, q);
}

void
kek_show(struct request *q)
{
	q->reply = json_pack("{s:o, s:o}", "node",
	    json_text(q->api->conf->node), "keys", json_keys(q->api->ring));
	store_nodes(q->api->store, got_nodes, q);
}

void
kek_reseal(struct request *q)
{
	store_reseal_ask(q->api->store);
	request_reply(q, 202, json_pack("{s:s}", "reseal", "asked"));
}
