/*
 * A key goes out of the ring: nobody may seal with another one than the newest,
 * and nothing may be sealed with it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/seal_change.h"
#include "common/str.h"
#include "sync/cli/kek_impl.h"
#include "sync/cli/text.h"

#define COUNT_MS (10 * 60 * 1000) /* the leader has to count */
#define ASK_MS 3000

/* A node that seals with another key than the others, NULL: there is none. */
static char *
odd_node(const struct kek *k)
{
	const json_t *nodes = json_object_get(k->fleet, "nodes"), *one;
	int64_t seals = text_int_member(json_array_get(nodes, 0), "seals");
	size_t i;

	json_array_foreach (nodes, i, one)
		if (text_int_member(one, "seals") != seals)
			return text_member(one, "id");
	return NULL;
}

/*
 * Let the leader count once more and wait for it: what was sealed since it last
 * did is not in what it told.
 */
static int
count_anew(struct kek *k)
{
	int64_t deadline = loop_now_ms() + COUNT_MS, before, asked_at = 0;
	const json_t *o = json_object_get(k->fleet, "reseal");
	const struct timespec pause = { 0, 300 * 1000000L };
	json_t *answer;
	int rc = CLI_OK;

	before = text_time_member(o, "started_at");
	while (rc == CLI_OK) {
		o = json_object_get(k->fleet, "reseal");
		if (json_is_true(json_object_get(o, "done")) &&
		    text_time_member(o, "started_at") > before)
			return CLI_OK;
		if (loop_now_ms() > deadline) {
			cli_complain("the leader has not counted in time: "
				     "certfleet kek list tells how far it is");
			return CLI_TIMEOUT;
		}
		/* One that was under way already does not count. */
		if (loop_now_ms() - asked_at > ASK_MS) {
			asked_at = loop_now_ms();
			rc = kek_ask_reseal(k, &answer);
			json_decref(answer);
		}
		nanosleep(&pause, NULL);
		json_decref(k->fleet);
		k->fleet = NULL;
		if (rc == CLI_OK)
			rc = kek_ask_fleet(k);
	}
	return rc;
}

/* Why nobody can do without that key yet, NULL: all can. */
static char *
needed(const struct kek *k, int64_t id)
{
	const json_t *o = json_object_get(k->fleet, "reseal"), *one;
	int64_t failed = text_int_member(o, "failed");
	int64_t txt = text_int_member(o, "txt");
	size_t i;

	json_array_foreach (json_object_get(o, "keys"), i, one) {
		int64_t its = text_int_member(one, "id");
		int64_t n = text_int_member(one, "records");

		if (its == id && n > 0)
			return xasprintf(
			    "%" PRId64 " records are sealed with it", n);
		if (its == 0 && n > 0)
			return xasprintf("of %" PRId64 " records it is not "
					 "known what has sealed them",
			    n);
	}
	if (failed > 0)
		return xasprintf(
		    "%" PRId64 " records could not be looked at", failed);
	if (txt > 0)
		return xasprintf("%" PRId64 " TXT records are at DNS "
				 "providers, whose variables it may have "
				 "sealed: try again when they are gone",
		    txt);
	return NULL;
}

int
kek_retire(struct kek *k)
{
	struct err e = { 0 };
	int64_t id;
	char *why, *text;
	int rc;

	if (k->cli->narg != 2 ||
	    str_int(k->cli->arg[1], 1, UINT32_MAX, &id) == -1) {
		cli_complain("kek retire wants the id of a key: certfleet kek "
			     "list");
		return CLI_USAGE;
	}
	if (!cli_confirm(k->cli, true, k->cli->arg[1],
		"Backups of Redis from before it was resealed cannot be "
		"opened without key %" PRId64 ".",
		id))
		return CLI_USAGE;
	rc = kek_open_file(k);
	if (rc == CLI_OK)
		rc = kek_ask_fleet(k);
	if (rc != CLI_OK)
		return rc;
	why = odd_node(k);
	if (why != NULL) {
		cli_complain("node %s seals with another key than the first "
			     "one: restart what has not read its ring yet",
		    why);
		free(why);
		return CLI_REFUSED;
	}
	rc = count_anew(k);
	if (rc != CLI_OK)
		return rc;
	why = needed(k, id);
	if (why != NULL) {
		cli_complain("key %" PRId64 " is needed: %s", id, why);
		free(why);
		return CLI_REFUSED;
	}
	if (seal_ring_drop(k->path, (uint32_t)id, &e) == -1)
		return kek_complain(&e);
	text = xasprintf("key %" PRId64 " is no longer in %s: give that to "
			 "every node.  Backups of Redis from before it was "
			 "resealed need the old ring",
	    id, k->path);
	kek_say_changed(k, "retired", (uint32_t)id, "copy", text);
	free(text);
	return CLI_OK;
}
