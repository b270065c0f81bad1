/*
 * The key ring: who has which keys, what is sealed by each, another key, one
 * that goes.  The file is changed here, on this node; the other nodes get it by
 * whatever brings them files, and read it when they start.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/seal.h"
#include "common/seal_change.h"
#include "common/str.h"
#include "sync/cli/cli.h"
#include "sync/cli/kek.h"
#include "sync/cli/kek_impl.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

static void
kek_clear(struct kek *k)
{
	free(k->path);
	json_decref(k->fleet);
	conf_free(k->conf);
}

int
kek_complain(const struct err *e)
{
	cli_complain("%s", e->text);
	return e->kind == ERR_REFUSED ? CLI_REFUSED : CLI_FAILED;
}

int
kek_ask_fleet(struct kek *k)
{
	struct cli copy = *k->cli;
	char *path = cli_socket(k->cli);
	json_t *answer;
	int rc;

	if (path == NULL)
		return CLI_FAILED;
	copy.socket = path;
	rc = cli_ask(&copy, "GET", "/api/v1/kek", NULL, "", &answer);
	k->fleet = json_incref(json_object_get(answer, "kek"));
	json_decref(answer);
	free(path);
	return rc;
}

int
kek_open_file(struct kek *k)
{
	struct err e = { 0 };

	k->conf = conf_load_public(k->cli->conf, &e);
	if (k->conf == NULL)
		return CLI_FAILED;
	k->path = kek_path(k->conf);
	return CLI_OK;
}

/* --- backed-up --------------------------------------------------------------------- */

static int
backed_up(struct kek *k)
{
	char digest[KEK_DIGEST_SIZE];
	struct err e = { 0 };
	json_t *o;
	int rc = kek_open_file(k);

	if (rc != CLI_OK)
		return rc;
	if (kek_digest(k->path, digest, &e) == -1 ||
	    kek_say_backed_up(k->conf, digest, &e) == -1)
		return kek_complain(&e);
	if (!k->cli->json) {
		cli_say("noted that %s, as it is now, is backed up", k->path);
		return CLI_OK;
	}
	o = json_pack("{s:s, s:s}", "file", k->path, "sha256", digest);
	cli_print_json(o);
	json_decref(o);
	return CLI_OK;
}

/* --- list, reseal ------------------------------------------------------------------ */

static int
list(struct kek *k)
{
	struct show s = { 0, k->cli->colours };
	struct buf out;
	json_t *o;
	int rc = kek_ask_fleet(k);

	if (rc != CLI_OK)
		return rc;
	if (k->cli->json) {
		o = json_pack("{s:O}", "kek", k->fleet);
		cli_print_json(o);
		json_decref(o);
		return CLI_OK;
	}
	buf_init(&out, CLI_OUTPUT_MAX);
	show_kek(&s, k->fleet, &out);
	cli_print(&out);
	return CLI_OK;
}

int
kek_ask_reseal(const struct kek *k, json_t **answer)
{
	struct cli copy = *k->cli;
	char *path = cli_socket(k->cli);
	int rc;

	*answer = NULL;
	if (path == NULL)
		return CLI_FAILED;
	copy.socket = path;
	rc = cli_ask(&copy, "POST", "/api/v1/kek/reseal", NULL, "", answer);
	free(path);
	return rc;
}

static int
reseal(struct kek *k)
{
	json_t *answer;
	int rc = kek_ask_reseal(k, &answer);

	if (rc == CLI_OK && k->cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		cli_say("the leader goes through all that is sealed; certfleet "
			"kek list tells how far it is");
	json_decref(answer);
	return rc;
}

/* --- rotate ------------------------------------------------------------------------ */

static bool
has_key(const json_t *node, int64_t id)
{
	const json_t *key;
	size_t i;

	json_array_foreach (json_object_get(node, "keys"), i, key)
		if (json_integer_value(key) == id)
			return true;
	return false;
}

/* The first node that lacks the key, NULL: all have it. */
static char *
node_without(const struct kek *k, int64_t id)
{
	const json_t *node;
	size_t i;

	json_array_foreach (json_object_get(k->fleet, "nodes"), i, node)
		if (!has_key(node, id))
			return text_member(node, "id");
	return NULL;
}

void
kek_say_changed(const struct kek *k, const char *verb, uint32_t id,
    const char *next, const char *sentence)
{
	json_t *o;

	if (!k->cli->json) {
		cli_say("%s", sentence);
		return;
	}
	o = json_pack("{s:s, s:I, s:s, s:s}", "file", k->path, "id",
	    (json_int_t)id, "change", verb, "next", next);
	cli_print_json(o);
	json_decref(o);
}

static int
activate(struct kek *k, uint32_t id)
{
	char *without = node_without(k, id), *text;
	struct err e = { 0 };

	if (without != NULL) {
		cli_complain("node %s has no key %u yet: give it %s and "
			     "restart its certfleet-sync before one seals with "
			     "it",
		    without, id, k->path);
		free(without);
		return CLI_REFUSED;
	}
	if (seal_ring_activate(k->path, id, &e) == -1)
		return kek_complain(&e);
	text = xasprintf("key %u seals from now on: give %s to every node and "
			 "restart certfleet-sync there; the leader then seals "
			 "anew what older keys have sealed",
	    id, k->path);
	kek_say_changed(k, "activated", id, "restart", text);
	free(text);
	return CLI_OK;
}

/* Where there is only this node nobody else has to have it first. */
static int
add(struct kek *k)
{
	size_t n = json_array_size(json_object_get(k->fleet, "nodes"));
	struct err e = { 0 };
	uint32_t id;
	char *text;

	if (seal_ring_add(k->path, n <= 1, &id, &e) == -1)
		return kek_complain(&e);
	text = n <= 1 ? xasprintf("key %u seals from now on: restart "
				  "certfleet-sync, which then seals anew what "
				  "older keys have sealed",
			    id)
	              : xasprintf("key %u is in %s: give that to every node "
				  "and restart certfleet-sync there, then "
				  "certfleet kek rotate again makes it seal",
			    id, k->path);
	kek_say_changed(k, n <= 1 ? "activated" : "added", id, "restart", text);
	free(text);
	return CLI_OK;
}

static int
rotate(struct kek *k)
{
	struct seal_key *key;
	struct seal_ring *ring;
	struct err e = { 0 };
	uint32_t next = 0;
	size_t n;
	int rc = kek_open_file(k);

	if (rc == CLI_OK)
		rc = kek_ask_fleet(k);
	if (rc != CLI_OK)
		return rc;
	ring = seal_ring_load(k->path, &e);
	if (ring == NULL)
		return kek_complain(&e);
	key = xcalloc(SEAL_KEYS_MAX, sizeof(*key));
	n = seal_ring_keys(ring, key, SEAL_KEYS_MAX);
	for (size_t i = 0; i < n; i++)
		if (key[i].state == SEAL_NEXT)
			next = key[i].id;
	free(key);
	seal_ring_free(ring);
	return next != 0 ? activate(k, next) : add(k);
}

int
cli_kek(const struct cli *cli)
{
	static const struct {
		const char *verb;
		int (*fn)(struct kek *);
	} verbs[] = {
		{ "list", list },
		{ "rotate", rotate },
		{ "reseal", reseal },
		{ "retire", kek_retire },
		{ "backed-up", backed_up },
	};
	struct kek k = { .cli = cli };
	int rc;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(cli->arg[0], verbs[i].verb) != 0)
			continue;
		rc = verbs[i].fn(&k);
		kek_clear(&k);
		return rc;
	}
	cli_complain("\"list\", \"rotate\", \"reseal\", \"retire\" or "
		     "\"backed-up\", not \"%s\"",
	    cli->arg[0]);
	return CLI_USAGE;
}
