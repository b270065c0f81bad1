/* Tokens: made, listed, revoked; and what was done with them. */
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/mem.h"
#include "sync/api/auth.h"
#include "sync/store_token.h"

#define AUDITED 100
#define AUDITED_MAX 1000

/* --- made ---------------------------------------------------------------------- */

static void
got_added(void *arg, bool added, const struct err *e)
{
	struct request *q = arg;
	json_t *o = q->reply;

	if (e != NULL) {
		request_store_error(q, e);
	} else if (!added) {
		request_error(q, 409, "refused",
		    "there are %d tokens; revoke some", STORE_TOKENS_MAX);
	} else {
		q->reply = NULL;
		request_reply(q, 201, o);
	}
}

void
tokens_add(struct request *q)
{
	char text[TOKEN_SIZE], *record;
	json_t *errors = json_object(), *o;
	int64_t now = loop_wall_ms();
	struct token t;

	if (token_ask(q->body, now, &t, errors) == -1) {
		token_clear(&t);
		request_unprocessable(q, errors);
		return;
	}
	json_decref(errors);
	token_make(text);
	token_hash(text, t.hash);
	o = token_show(&t, now);
	json_object_set_new(o, "secret", json_string(text));
	q->reply = json_pack("{s:o}", "token", o);
	record = token_pack(&t);
	store_token_add(q->api->store, t.hash, record, got_added, q);
	free(record);
	token_clear(&t);
	mem_wipe(text, sizeof(text));
}

/* --- listed -------------------------------------------------------------------- */

static int
by_name(const void *a, const void *b)
{
	json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = strcmp(json_string_value(json_object_get(x, "name")),
	    json_string_value(json_object_get(y, "name")));

	return order != 0 ? order
	                  : strcmp(json_string_value(json_object_get(x, "id")),
				json_string_value(json_object_get(y, "id")));
}

static void
got_all(void *arg, const char *const *text, size_t n, const struct err *e)
{
	json_t **shown, *list = json_array();
	int64_t now = loop_wall_ms();
	size_t nshown = 0;
	struct token t;
	struct err bad;

	if (e != NULL) {
		json_decref(list);
		request_store_error(arg, e);
		return;
	}
	shown = xcalloc(n / 2 + 1, sizeof(json_t *));
	for (size_t i = 0; i + 1 < n; i += 2) {
		if (token_unpack(&t, text[i], text[i + 1], &bad) == -1)
			continue;
		shown[nshown++] = token_show(&t, now);
		token_clear(&t);
	}
	if (nshown > 0)
		qsort(shown, nshown, sizeof(json_t *), by_name);
	for (size_t i = 0; i < nshown; i++)
		json_array_append_new(list, shown[i]);
	free(shown);
	request_reply(arg, 200, json_pack("{s:o}", "tokens", list));
}

void
tokens_list(struct request *q)
{
	store_tokens(q->api->store, got_all, q);
}

/* --- revoked ------------------------------------------------------------------- */

static void
got_removed(void *arg, bool removed, const struct err *e)
{
	if (e != NULL)
		request_store_error(arg, e);
	else if (!removed)
		request_not_found(arg, "token", NULL);
	else
		request_reply(arg, 204, NULL);
}

/* Which one is meant: an id is one's own, a name may be several's. */
static void
got_choice(void *arg, const char *const *text, size_t n, const struct err *e)
{
	struct request *q = arg;
	const char *wanted = q->param[0], *found = NULL;
	size_t matches = 0;
	struct token t;
	struct err bad;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	for (size_t i = 0; i + 1 < n; i += 2) {
		char id[TOKEN_ID_SIZE];

		if (token_unpack(&t, text[i], text[i + 1], &bad) == -1)
			continue;
		token_id(&t, id);
		if (strcmp(id, wanted) == 0 || strcmp(t.name, wanted) == 0) {
			found = text[i];
			matches++;
		}
		token_clear(&t);
	}
	if (matches == 0)
		request_not_found(q, "token", NULL);
	else if (matches > 1)
		request_error(q, 409, "refused",
		    "%zu tokens have that name; say which by its id", matches);
	else
		store_token_remove(q->api->store, found, got_removed, q);
}

void
tokens_remove(struct request *q)
{
	store_tokens(q->api->store, got_choice, q);
}

/* --- who did what -------------------------------------------------------------- */

static void
got_audited(
    void *arg, const struct store_event *event, size_t n, const struct err *e)
{
	json_t *list;

	if (e != NULL) {
		request_store_error(arg, e);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
		    json_event(event[i].id, event[i].field, event[i].nfields));
	request_reply(arg, 200, json_pack("{s:o}", "audit", list));
}

void
audit_list(struct request *q)
{
	struct err e = { 0 };
	int64_t n;

	if (target_int(&q->target, "n", 1, AUDITED_MAX, AUDITED, &n, &e) == -1)
		request_error(q, 400, "bad_request", "%s", e.text);
	else
		store_audited(q->api->store, (int)n, got_audited, q);
}
