#include "sync/witness.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/hold.h"
#include "sync/store.h"
#include "sync/store_canary.h"

#define ID_MAX 40
#define QUESTIONS_MAX 32
#define NODES_MAX 1000
#define ANSWER_MAX 2048

/* Ours, until its answers are there. */
struct question {
	LIST_ENTRY(question) link;
	struct witness *witness;
	char id[ID_MAX];
	size_t live;
	json_t *nodes;
	struct event *end;
	witness_fn *fn;
	void *arg;
};

/* Anybody's, until our HAProxy has shown what it shows. */
struct reply_to {
	LIST_ENTRY(reply_to) link;
	struct witness *witness;
	char id[ID_MAX];
};

struct witness {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct hold *hold;
	LIST_HEAD(, question) questions;
	LIST_HEAD(, reply_to) replies;
	size_t n;
};

struct witness *
witness_new(struct event_base *base, const struct conf *conf,
    struct store *store, struct hold *hold)
{
	struct witness *w = xcalloc(1, sizeof(*w));

	w->base = base;
	w->conf = conf;
	w->store = store;
	w->hold = hold;
	LIST_INIT(&w->questions);
	LIST_INIT(&w->replies);
	return w;
}

static void
question_free(struct question *q)
{
	LIST_REMOVE(q, link);
	q->witness->n--;
	json_decref(q->nodes);
	loop_timer_free(&q->end);
	free(q);
}

static void
reply_free(struct reply_to *r)
{
	LIST_REMOVE(r, link);
	free(r);
}

void
witness_free(struct witness *w)
{
	if (w == NULL)
		return;
	while (!LIST_EMPTY(&w->questions))
		question_free(LIST_FIRST(&w->questions));
	while (!LIST_EMPTY(&w->replies))
		reply_free(LIST_FIRST(&w->replies));
	free(w);
}

void
witness_forget(struct witness *w, const void *arg)
{
	struct question *q, *next;

	if (w == NULL)
		return;
	for (q = LIST_FIRST(&w->questions); q != NULL; q = next) {
		next = LIST_NEXT(q, link);
		if (q->arg == arg)
			question_free(q);
	}
}

/* --- who asks -------------------------------------------------------------------- */

static void
answered(void *arg)
{
	struct question *q = arg;

	q->fn(q->arg, q->nodes);
	question_free(q);
}

int
witness_ask(
    struct witness *w, const char *name, size_t live, witness_fn *fn, void *arg)
{
	char text[DOMAIN_NAME_MAX + ID_MAX + 16];
	struct question *q;

	if (w->n == QUESTIONS_MAX)
		return -1;
	q = xcalloc(1, sizeof(*q));
	q->witness = w;
	q->live = live;
	q->nodes = json_object();
	q->fn = fn;
	q->arg = arg;
	snprintf(q->id, sizeof(q->id), "%08x%08x%08x", loop_random(UINT32_MAX),
	    loop_random(UINT32_MAX), loop_random(UINT32_MAX));
	LIST_INSERT_HEAD(&w->questions, q, link);
	w->n++;
	loop_after(w->base, &q->end, live > 0 ? WITNESS_MS : 0, answered, q);
	snprintf(text, sizeof(text), "ask %s %s", q->id, name);
	store_say(w->store, text);
	return 0;
}

/* What a node says goes to people: only what has to be there is taken. */
static void
take_answer(struct question *q, const json_t *said)
{
	static const char *const members[] = { "sha1", "wanted", "version",
		"since", "trial", "error" };
	const char *node = json_string_value(json_object_get(said, "node"));
	json_t *taken;

	if (node == NULL || json_object_size(q->nodes) >= NODES_MAX)
		return;
	taken = json_object();
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *value = json_object_get(said, members[i]);

		if (json_is_object(value) || json_is_array(value))
			value = NULL;
		json_object_set(taken, members[i], value);
		if (value == NULL)
			json_object_set_new(taken, members[i], json_null());
	}
	json_object_set_new(q->nodes, node, taken);
	if (json_object_size(q->nodes) >= q->live)
		loop_after(q->witness->base, &q->end, 0, answered, q);
}

static void
on_shows(struct witness *w, const char *id, const char *text)
{
	struct question *q;
	json_t *said;

	LIST_FOREACH (q, &w->questions, link)
		if (strcmp(q->id, id) == 0)
			break;
	if (q == NULL || strlen(text) > ANSWER_MAX)
		return;
	said = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	take_answer(q, said);
	json_decref(said);
}

/* --- who is asked ------------------------------------------------------------------ */

static void
say(struct witness *w, const char *id, const struct hold_shown *s)
{
	char sha1[41], text[ANSWER_MAX + ID_MAX + 16], *json;
	json_t *o;

	snprintf(sha1, sizeof(sha1), "%s", s->shown);
	o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:s%}", "node",
	    w->conf->node, "sha1", sha1, "wanted", s->wanted, "version",
	    (json_int_t)s->version, "since", (json_int_t)s->since, "trial",
	    (int)s->trial, "error", s->error, strnlen(s->error, 300));
	json = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	if (json != NULL) {
		snprintf(text, sizeof(text), "shows %s %s", id, json);
		store_say(w->store, text);
	}
	free(json);
	json_decref(o);
}

static void
on_shown(void *arg, const struct hold_shown *s)
{
	struct reply_to *r = arg;

	say(r->witness, r->id, s);
	reply_free(r);
}

static void
on_ask(struct witness *w, const char *id, const char *name)
{
	const struct hold_shown busy = { .name = name,
		.wanted = "",
		.shown = "",
		.error = "too many ask this node at the same time" };
	char clean[DOMAIN_NAME_MAX];
	struct reply_to *r;
	struct err e;

	if (domain_normalise(name, clean, &e) == -1)
		return;
	r = xcalloc(1, sizeof(*r));
	r->witness = w;
	snprintf(r->id, sizeof(r->id), "%s", id);
	LIST_INSERT_HEAD(&w->replies, r, link);
	if (hold_show(w->hold, clean, on_shown, r) == -1) {
		reply_free(r);
		say(w, id, &busy);
	}
}

void
witness_hear(struct witness *w, const char *text)
{
	bool shows = str_has_prefix(text, "shows ");
	const char *p = strchr(text, ' ');
	char id[ID_MAX];
	size_t len;

	if (!shows && !str_has_prefix(text, "ask "))
		return;
	len = strcspn(++p, " ");
	if (len >= sizeof(id) || p[len] == '\0')
		return;
	memcpy(id, p, len);
	id[len] = '\0';
	if (shows)
		on_shows(w, id, p + len + 1);
	else
		on_ask(w, id, p + len + 1);
}
