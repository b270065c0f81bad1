#include "sync/limits_replay.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/store_limit.h"

#define IN_FLIGHT_MAX 64
#define AGAIN_MS 1000

struct entry {
	enum limit_bucket bucket;
	char *key;
	char *id; /* NULL: a block */
	int64_t at;
};

/* A copy of what the ledger had, and how far it is. */
struct replay {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct event *timer;
	struct entry *entry;
	size_t n, room;
	size_t next, waiting;
	bool failed;
	replay_fn *fn;
	void *arg;
};

static void go_on(void *);

/* The bucket of a key, with the settings of today. */
static void
limit_of_key(const struct conf *conf, enum limit_bucket b, const char *key,
    struct limit *l)
{
	char name[DOMAIN_NAME_MAX], text[LIMIT_KEY_MAX];
	const char *at = strchr(key, '@');
	size_t len = at != NULL ? (size_t)(at - key) : 0;

	if (len >= sizeof(name))
		len = 0;
	memcpy(name, key, len);
	name[len] = '\0';
	memcpy(text, key, strlen(key) + 1);
	limit_of(conf, "", b, name, l);
	memcpy(l->key, text, sizeof(text));
}

/* Only what still counts is worth a command. */
static bool
counts(const struct limit *l, const char *id, int64_t at)
{
	int64_t now = loop_wall_ms();

	return id == NULL ? at > now : l->max > 0 && at >= now - l->window_ms;
}

static void
take(
    void *arg, enum limit_bucket b, const char *key, const char *id, int64_t at)
{
	struct replay *r = arg;
	struct limit limit;

	limit_of_key(r->conf, b, key, &limit);
	if (!counts(&limit, id, at))
		return;
	if (r->n == r->room) {
		r->room = r->room > 0 ? r->room * 2 : 64;
		r->entry = xrealloc(r->entry, r->room * sizeof(*r->entry));
	}
	r->entry[r->n++] = (struct entry){
		.bucket = b, .key = xstrdup(key), .id = xstrdup(id), .at = at
	};
}

void
replay_free(struct replay *r)
{
	if (r == NULL)
		return;
	store_forget(r->store, r);
	loop_timer_free(&r->timer);
	for (size_t i = 0; i < r->n; i++) {
		free(r->entry[i].key);
		free(r->entry[i].id);
	}
	free(r->entry);
	free(r);
}

struct replay *
replay_new(struct event_base *base, const struct conf *conf,
    struct store *store, const struct ledger *ledger, replay_fn *fn, void *arg)
{
	struct replay *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->conf = conf;
	r->store = store;
	r->fn = fn;
	r->arg = arg;
	ledger_each(ledger, LIMIT_ORDERS, NULL, take, r);
	if (r->n > 0)
		log_info("limits: %zu spends of this node's ledger go to Redis",
		    r->n);
	loop_after(base, &r->timer, 0, go_on, r);
	return r;
}

static void
put(struct store *store, const struct limit *limit, const char *id, int64_t at,
    store_fn *fn, void *arg)
{
	if (id != NULL)
		store_limit_happened(store, limit, id, at, fn, arg);
	else
		store_limit_block(store, limit, at, fn, arg);
}

static void
done(void *arg, const struct err *e)
{
	struct replay *r = arg;

	r->waiting--;
	if (e != NULL && !r->failed) {
		log_warn("limits: ledger not in Redis: %s; again in %d ms",
		    e->text, AGAIN_MS);
		r->failed = true;
	}
	go_on(r);
}

static void
go_on(void *arg)
{
	struct replay *r = arg;
	replay_fn *fn = r->fn;
	void *fn_arg = r->arg;
	struct limit limit;

	while (!r->failed && r->next < r->n && r->waiting < IN_FLIGHT_MAX) {
		const struct entry *x = &r->entry[r->next++];

		limit_of_key(r->conf, x->bucket, x->key, &limit);
		r->waiting++;
		put(r->store, &limit, x->id, x->at, done, r);
	}
	if (r->waiting > 0)
		return;
	if (r->failed) {
		/* From the beginning: it does no harm. */
		r->failed = false;
		r->next = 0;
		loop_after(r->base, &r->timer, AGAIN_MS, go_on, r);
		return;
	}
	replay_free(r);
	fn(fn_arg);
}

struct bucket {
	struct store *store;
	const struct limit *limit;
};

static void
put_back(
    void *arg, enum limit_bucket b, const char *key, const char *id, int64_t at)
{
	const struct bucket *k = arg;

	(void)b, (void)key;
	if (counts(k->limit, id, at))
		put(k->store, k->limit, id, at, NULL, NULL);
}

void
replay_bucket(
    struct store *store, const struct ledger *ledger, const struct limit *limit)
{
	struct bucket k = { store, limit };

	ledger_each(ledger, limit->bucket, limit->key, put_back, &k);
}
