/*
 * The API's server, asked over its socket: the store and the stream behind it
 * are these stubs, which answer in the next turn of the loop as the real ones.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <jansson.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/redis_keys.h"
#include "common/str.h"
#include "sync/api/api.h"
#include "sync/api/pass.h"
#include "sync/api/token.h"
#include "sync/cert.h"
#include "sync/cli/reply.h"
#include "sync/store_canary.h"
#include "sync/store_limit.h"
#include "sync/store_reseal.h"
#include "sync/store_search.h"
#include "sync/store_token.h"
#include "tests/unit/made.h"

#define ANSWER_MAX (8 * 1024 * 1024)

/* --- a store and a stream -------------------------------------------------- */

struct later {
	struct event *timer;
	void (*fn)(struct later *);
	void *arg;
	void *call; /* the caller's function, in a union of its own */
	char name[DOMAIN_NAME_MAX];
	int partition, n;
	size_t offset, limit;
};

static struct world {
	struct event_base *base;
	struct api *api;
	struct conf conf;
	char dir[64], socket[96];
	struct api_state state;

	struct domain domain[4];
	size_t ndomains;
	struct err fails; /* what the store says to everything */
	bool holds;       /* the store does not answer yet */
	struct later *held[32];
	size_t nheld;

	int naudits; /* what was written down */
	char audit[512];
	char token[TOKEN_HASH_SIZE], record[256]; /* the only one */

	/* The variables of all apps; "sealed" by a letter before them. */
	char env[256];
	size_t env_len;
	int nchanged;      /* wildcards that were told */
	bool is_disturbed; /* the next change finds others there */

	/* Two streams; an event is its number in its partition. */
	int nevents[2];
	struct rds_stream *stream[2];
	int nstreams;
} w;

struct rds_stream {
	int partition;
	rds_entry_fn *entry;
	void *arg;
};

union fns {
	store_fn *done;
	store_yes_fn *yes;
	store_domain_fn *domain;
	store_list_fn *list;
	store_page_fn *page;
	store_counts_fn *counts;
	store_found_fn *found;
	store_leader_fn *leader;
	store_import_fn *import;
	store_pairs_fn *pairs;
	store_bundle_fn *bundle;
	store_commit_fn *commit;
	store_ahead_fn *ahead;
	store_nodes_fn *nodes;
	store_names_fn *names;
	store_events_fn *events;
	store_limit_fn *limit;
	store_limits_fn *limits;
	store_gen_fn *gen;
	store_token_fn *token;
	store_token_key_fn *token_key;
	store_env_fn *env;
	void *p;
};

static void
run_later(void *arg)
{
	struct later *l = arg;

	if (w.holds) {
		w.held[w.nheld++] = l;
		return;
	}
	l->fn(l);
	loop_timer_free(&l->timer);
	free(l);
}

static struct later *
later(void (*fn)(struct later *), union fns call, void *arg)
{
	struct later *l = xcalloc(1, sizeof(*l));

	l->fn = fn;
	l->call = call.p;
	l->arg = arg;
	loop_after(w.base, &l->timer, 0, run_later, l);
	return l;
}

static void
release(void)
{
	w.holds = false;
	for (size_t i = 0; i < w.nheld; i++)
		run_later(w.held[i]);
	w.nheld = 0;
}

static const struct err *
failure(void)
{
	return w.fails.kind != ERR_NONE ? &w.fails : NULL;
}

static struct domain *
lookup(const char *name)
{
	for (size_t i = 0; i < w.ndomains; i++)
		if (strcmp(w.domain[i].name, name) == 0)
			return &w.domain[i];
	return NULL;
}

const char *
store_old(const struct store *s)
{
	(void)s;
	return "";
}

int
store_partitions(const struct store *s)
{
	(void)s;
	return 2;
}

const char *
store_key(const struct store *s, const char *format, char *out, size_t size,
    int partition, const char *name)
{
	(void)s, (void)name;
	assert_string_equal(format, KEY_EVENTS);
	snprintf(out, size, "%d", partition);
	return out;
}

static void
say_yes(struct later *l)
{
	union fns f = { .p = l->call };
	bool yes = l->n != 0;

	f.yes(l->arg, yes && failure() == NULL, failure());
}

void
store_add(struct store *s, const struct domain *d, store_yes_fn *fn, void *arg)
{
	struct later *l = later(say_yes, (union fns){ .yes = fn }, arg);

	(void)s;
	l->n = lookup(d->name) == NULL && w.ndomains < 4;
	if (l->n)
		w.domain[w.ndomains++] = *d;
}

void
store_remove(struct store *s, const char *name, const char *app,
    store_yes_fn *fn, void *arg)
{
	struct later *l = later(say_yes, (union fns){ .yes = fn }, arg);
	struct domain *d = lookup(name);

	(void)s;
	l->n = d != NULL;
	if (d != NULL) {
		assert_string_equal(d->app, app);
		*d = w.domain[--w.ndomains];
	}
}

static void
say_done(struct later *l)
{
	union fns f = { .p = l->call };

	f.done(l->arg, failure());
}

int
store_custom_set(struct store *s, const struct domain *d,
    const struct cert *cert, const char *key_pem, store_fn *fn, void *arg,
    struct err *e)
{
	struct domain *found = lookup(d->name);

	(void)s, (void)e;
	assert_non_null(found);
	assert_non_null(cert->chain);
	assert_non_null(strstr(key_pem, "PRIVATE KEY"));
	memcpy(found->custom_sha1, d->custom_sha1, sizeof(d->custom_sha1));
	memcpy(found->custom_key, d->custom_key, sizeof(d->custom_key));
	later(say_done, (union fns){ .done = fn }, arg);
	return 0;
}

void
store_custom_clear(struct store *s, const char *name, int64_t epoch,
    const char *sha1, store_yes_fn *fn, void *arg)
{
	struct later *l = later(say_yes, (union fns){ .yes = fn }, arg);

	(void)s;
	(void)sha1;
	assert_true(epoch == 0);
	l->n = lookup(name) != NULL;
	if (l->n)
		lookup(name)->custom_sha1[0] = '\0';
}

void
store_letsencrypt(
    struct store *s, const char *name, bool on, store_yes_fn *fn, void *arg)
{
	struct later *l = later(say_yes, (union fns){ .yes = fn }, arg);

	(void)s;
	l->n = lookup(name) != NULL;
	if (l->n)
		lookup(name)->letsencrypt = on;
}

void
store_canonical(
    struct store *s, const char *name, bool on, store_yes_fn *fn, void *arg)
{
	struct later *l = later(say_yes, (union fns){ .yes = fn }, arg);

	(void)s;
	l->n = lookup(name) != NULL;
	if (l->n)
		lookup(name)->canonical = on;
}

void
store_revoke(struct store *s, const char *name, const char *reason,
    store_yes_fn *fn, void *arg)
{
	struct later *l = later(say_yes, (union fns){ .yes = fn }, arg);

	(void)s, (void)reason;
	l->n = lookup(name) != NULL && lookup(name)->sha1[0] != '\0';
}

void
store_rollover_ask(struct store *s, store_fn *fn, void *arg)
{
	(void)s;
	later(say_done, (union fns){ .done = fn }, arg);
}

void
store_renew(struct store *s, const char *name, store_fn *fn, void *arg)
{
	(void)s, (void)name;
	later(say_done, (union fns){ .done = fn }, arg);
}

void
store_say(struct store *s, const char *text)
{
	(void)s, (void)text;
}

static void
say_no_pairs(struct later *l)
{
	union fns f = { .p = l->call };

	f.pairs(l->arg, NULL, 0, failure());
}

void
store_reseal_noted(struct store *s, store_pairs_fn *fn, void *arg)
{
	(void)s;
	later(say_no_pairs, (union fns){ .pairs = fn }, arg);
}

void
store_reseal_ask(struct store *s)
{
	(void)s;
}

static void
say_no_bundle(struct later *l)
{
	union fns f = { .p = l->call };

	f.bundle(l->arg, NULL, 0, failure());
}

void
store_previous(struct store *s, const char *name, bool custom,
    store_bundle_fn *fn, void *arg)
{
	(void)s, (void)name, (void)custom;
	later(say_no_bundle, (union fns){ .bundle = fn }, arg);
}

void
store_bundle(struct store *s, const char *name, bool custom,
    store_bundle_fn *fn, void *arg)
{
	(void)s, (void)name, (void)custom;
	later(say_no_bundle, (union fns){ .bundle = fn }, arg);
}

int
store_bundle_look(struct store *s, const char *name, const void *bundle,
    size_t len, struct cert *cert, struct err *e)
{
	(void)s, (void)name, (void)bundle, (void)len, (void)cert;
	return err_set(e, ERR_BUG, "there is no bundle");
}

static void
say_committed(struct later *l)
{
	union fns f = { .p = l->call };

	f.commit(l->arg, 1, 1, failure());
}

void
store_rollback(struct store *s, const struct domain *d, const void *bundle,
    size_t len, const char *who, const char *why, store_commit_fn *fn,
    void *arg)
{
	(void)s, (void)d, (void)bundle, (void)len, (void)who, (void)why;
	later(say_committed, (union fns){ .commit = fn }, arg);
}

static void
say_gen(struct later *l)
{
	union fns f = { .p = l->call };

	f.gen(l->arg, 1, failure());
}

void
store_gen(struct store *s, int partition, store_gen_fn *fn, void *arg)
{
	(void)s, (void)partition;
	later(say_gen, (union fns){ .gen = fn }, arg);
}

void
store_publish(struct store *s, const char *token, const char *keyauth,
    int ttl_s, store_fn *fn, void *arg)
{
	(void)s, (void)token, (void)keyauth, (void)ttl_s;
	later(say_done, (union fns){ .done = fn }, arg);
}

void
store_withdraw(struct store *s, const char *token)
{
	(void)s, (void)token;
}

static void
say_imported(struct later *l)
{
	union fns f = { .p = l->call };

	f.import(l->arg, "imported", failure());
}

int
store_import(struct store *s, const struct domain *d, const struct cert *cert,
    const char *key_pem, bool dry, store_import_fn *fn, void *arg,
    struct err *e)
{
	(void)s, (void)d, (void)cert, (void)key_pem, (void)dry, (void)e;
	later(say_imported, (union fns){ .import = fn }, arg);
	return 0;
}

static void
say_leader(struct later *l)
{
	union fns f = { .p = l->call };
	const struct store_leader leader = { .node = "n1", .epoch = 1 };

	f.leader(l->arg, failure() == NULL ? &leader : NULL, failure());
}

void
store_leader(struct store *s, store_leader_fn *fn, void *arg)
{
	(void)s;
	later(say_leader, (union fns){ .leader = fn }, arg);
}

static void
say_now(struct later *l)
{
	union fns f = { .p = l->call };

	f.gen(l->arg, failure() == NULL ? loop_wall_ms() : 0, failure());
}

void
store_time(struct store *s, store_gen_fn *fn, void *arg)
{
	(void)s;
	later(say_now, (union fns){ .gen = fn }, arg);
}

static void
say_domain(struct later *l)
{
	union fns f = { .p = l->call };

	f.domain(l->arg, failure() == NULL ? lookup(l->name) : NULL, failure());
}

void
store_get(struct store *s, const char *name, store_domain_fn *fn, void *arg)
{
	struct later *l = later(say_domain, (union fns){ .domain = fn }, arg);

	(void)s;
	str_copy(l->name, sizeof(l->name), name, NULL);
}

static void
say_list(struct later *l)
{
	union fns f = { .p = l->call };
	const struct domain *list[4];
	size_t n = 0;

	for (size_t i = 0; i < w.ndomains; i++)
		if (l->name[0] == '\0' || strcmp(w.domain[i].app, l->name) == 0)
			list[n++] = &w.domain[i];
	f.list(l->arg, list, failure() == NULL ? n : 0, failure());
}

void
store_list(struct store *s, const char *app, store_list_fn *fn, void *arg)
{
	struct later *l = later(say_list, (union fns){ .list = fn }, arg);

	(void)s;
	if (app != NULL)
		str_copy(l->name, sizeof(l->name), app, NULL);
}

static void
say_env(struct later *l)
{
	union fns f = { .p = l->call };
	struct store_env env = { w.env + 1, w.env_len > 0 ? w.env_len - 1 : 0,
		w.env, w.env_len };

	f.env(l->arg, failure() == NULL ? &env : NULL, failure());
}

void
store_env(struct store *s, const char *app, store_env_fn *fn, void *arg)
{
	(void)s, (void)app;
	later(say_env, (union fns){ .env = fn }, arg);
}

static void
say_changed(struct later *l)
{
	union fns f = { .p = l->call };
	struct err e = { .kind = ERR_REFUSED, .type = "CHANGED" };

	f.done(l->arg, &e);
}

int
store_env_put(struct store *s, const char *app, const void *sealed,
    size_t sealed_len, const void *text, size_t len, store_fn *fn, void *arg,
    struct err *e)
{
	(void)s, (void)app, (void)e;
	assert_int_equal(sealed_len, w.env_len);
	assert_memory_equal(sealed, w.env, sealed_len);
	if (w.is_disturbed) {
		w.is_disturbed = false;
		later(say_changed, (union fns){ .done = fn }, arg);
		return 0;
	}
	w.env[0] = 's';
	memcpy(w.env + 1, text, len);
	w.env_len = len > 0 ? len + 1 : 0;
	later(say_done, (union fns){ .done = fn }, arg);
	return 0;
}

void
store_env_changed(struct store *s, const char *name)
{
	(void)s;
	assert_true(domain_wildcard(name));
	w.nchanged++;
}

/* Nothing here is sealed. */
int
store_env_open(struct store *s, const char *app, const void *sealed, size_t len,
    struct buf *plain, struct err *e)
{
	(void)s, (void)app, (void)sealed, (void)len, (void)plain;
	return err_set(e, ERR_BUG, "nothing is sealed here");
}

void
store_forget(struct store *s, const void *arg)
{
	(void)s, (void)arg;
}

static void
say_page(struct later *l)
{
	union fns f = { .p = l->call };
	const struct domain *list[4];
	size_t n = 0, total = 0;

	for (size_t i = 0; i < w.ndomains; i++) {
		if (l->name[0] != '\0' && strcmp(w.domain[i].app, l->name) != 0)
			continue;
		if (total >= l->offset && total < l->offset + l->limit)
			list[n++] = &w.domain[i];
		total++;
	}
	f.page(
	    l->arg, list, failure() == NULL ? n : 0, (int64_t)total, failure());
}

void
store_page(struct store *s, const char *app, size_t offset, size_t limit,
    store_page_fn *fn, void *arg)
{
	struct later *l = later(say_page, (union fns){ .page = fn }, arg);

	(void)s;
	l->offset = offset;
	l->limit = limit;
	if (app != NULL)
		str_copy(l->name, sizeof(l->name), app, NULL);
}

static void
say_found(struct later *l)
{
	union fns f = { .p = l->call };
	const struct domain *list[4];
	size_t n = 0;

	for (size_t i = 0; i < w.ndomains && n < l->limit; i++)
		if (strstr(w.domain[i].name, l->name) != NULL &&
		    (l->n == -1 || l->n == (int)w.domain[i].status))
			list[n++] = &w.domain[i];
	f.found(l->arg, list, failure() == NULL ? n : 0,
	    n > 0 && n == l->limit ? list[n - 1]->name : "", failure());
}

void
store_find(struct store *s, const struct store_search *wanted,
    store_found_fn *fn, void *arg)
{
	struct later *l = later(say_found, (union fns){ .found = fn }, arg);

	(void)s;
	l->limit = wanted->limit;
	l->n = wanted->status;
	str_copy(l->name, sizeof(l->name), wanted->text, NULL);
}

static void
say_ahead(struct later *l)
{
	union fns f = { .p = l->call };
	struct store_ahead *a = xcalloc(1, sizeof(*a));

	a->renewals[1] = 7;
	a->custom_ends[0] = 1;
	f.ahead(l->arg, a, failure());
	free(a);
}

void
store_ahead(
    struct store *s, int64_t from_ms, int days, store_ahead_fn *fn, void *arg)
{
	(void)s, (void)from_ms, (void)days;
	later(say_ahead, (union fns){ .ahead = fn }, arg);
}

static void
say_counts(struct later *l)
{
	union fns f = { .p = l->call };
	struct store_counts counts = { .total = (int64_t)w.ndomains };

	for (size_t i = 0; i < w.ndomains; i++)
		counts.status[w.domain[i].status]++;
	f.counts(l->arg, &counts, failure());
}

void
store_counts(struct store *s, store_counts_fn *fn, void *arg)
{
	(void)s;
	later(say_counts, (union fns){ .counts = fn }, arg);
}

static void
say_due(struct later *l)
{
	union fns f = { .p = l->call };

	f.gen(l->arg, failure() == NULL ? loop_wall_ms() - 5000 : 0, failure());
}

void
store_due(struct store *s, store_gen_fn *fn, void *arg)
{
	(void)s;
	later(say_due, (union fns){ .gen = fn }, arg);
}

static void
say_token(struct later *l)
{
	union fns f = { .p = l->call };
	bool known = failure() == NULL && strcmp(l->name, w.token) == 0;

	f.token(l->arg, known ? w.record : NULL, failure());
}

void
store_token(struct store *s, const char *hash, store_token_fn *fn, void *arg)
{
	struct later *l = later(say_token, (union fns){ .token = fn }, arg);

	(void)s;
	str_copy(l->name, sizeof(l->name), hash, NULL);
}

static void
say_tokens(struct later *l)
{
	union fns f = { .p = l->call };
	const char *text[] = { w.token, w.record };

	f.names(l->arg, text, w.token[0] != '\0' ? 2 : 0, failure());
}

void
store_tokens(struct store *s, store_names_fn *fn, void *arg)
{
	(void)s;
	later(say_tokens, (union fns){ .names = fn }, arg);
}

void
store_token_add(struct store *s, const char *hash, const char *record,
    store_yes_fn *fn, void *arg)
{
	struct later *l = later(say_yes, (union fns){ .yes = fn }, arg);

	(void)s;
	l->n = w.token[0] == '\0';
	str_copy(w.token, sizeof(w.token), hash, NULL);
	str_copy(w.record, sizeof(w.record), record, NULL);
}

void
store_token_remove(
    struct store *s, const char *hash, store_yes_fn *fn, void *arg)
{
	struct later *l = later(say_yes, (union fns){ .yes = fn }, arg);

	(void)s;
	assert_string_equal(hash, w.token);
	l->n = 1;
	w.token[0] = '\0';
}

static void
say_key(struct later *l)
{
	static const uint8_t key[STORE_TOKEN_KEY_LEN] = { 1, 2, 3 };
	union fns f = { .p = l->call };

	f.token_key(l->arg, failure() == NULL ? key : NULL, failure());
}

void
store_token_key(struct store *s, store_token_key_fn *fn, void *arg)
{
	(void)s;
	later(say_key, (union fns){ .token_key = fn }, arg);
}

void
store_audit(struct store *s, const char *const *field, size_t npairs)
{
	size_t at = 0;

	(void)s;
	w.naudits++;
	for (size_t i = 0; i < 2 * npairs; i++)
		at += (size_t)snprintf(w.audit + at, sizeof(w.audit) - at,
		    "%s%s", field[i], i % 2 == 0 ? "=" : " ");
}

static void
say_audited(struct later *l)
{
	static const char *const field[] = { "at", "1000", "answer", "201" };
	union fns f = { .p = l->call };
	struct store_event event = { "1-0", field, 2 };

	f.events(l->arg, &event, failure() == NULL ? 1 : 0, failure());
}

void
store_audited(struct store *s, int n, store_events_fn *fn, void *arg)
{
	(void)s, (void)n;
	later(say_audited, (union fns){ .events = fn }, arg);
}

/* Every bucket has had one spend, half a window ago; orders are full. */
static void
say_limit(struct later *l)
{
	union fns f = { .p = l->call };
	int64_t now = loop_wall_ms(), spent = now - 1000;
	struct store_limit found = {
		.used = 1, .now = now, .spent = &spent, .nspent = 1
	};

	f.limit(l->arg, failure() == NULL ? &found : NULL, failure());
}

void
store_limit_peek(struct store *s, const struct limit *l, int64_t nspent,
    store_limit_fn *fn, void *arg)
{
	(void)s, (void)l, (void)nspent;
	later(say_limit, (union fns){ .limit = fn }, arg);
}

static void
say_limits(struct later *l)
{
	union fns f = { .p = l->call };
	struct store_limit found[STORE_LIMITS_PEEK_MAX] = { 0 };

	for (size_t i = 0; i < l->limit; i++)
		found[i].now = loop_wall_ms();
	f.limits(l->arg, failure() == NULL ? found : NULL, l->limit,
	    failure() == NULL, failure());
}

void
store_limits_peek(struct store *s, const struct limit *l, size_t n,
    store_limits_fn *fn, void *arg)
{
	(void)s, (void)l;
	later(say_limits, (union fns){ .limits = fn }, arg)->limit = n;
}

static void
say_nodes(struct later *l)
{
	static const struct store_node node[] = {
		{ .id = "n1", .live = true, .leader = true },
		{ .id = "n2" },
	};
	union fns f = { .p = l->call };

	f.nodes(l->arg, node, failure() == NULL ? 2 : 0, failure());
}

void
store_nodes(struct store *s, store_nodes_fn *fn, void *arg)
{
	(void)s;
	later(say_nodes, (union fns){ .nodes = fn }, arg);
}

static void
say_timeline(struct later *l)
{
	static const char *const told[] = {
		"{\"at\":\"1000\",\"type\":\"added\"}"
	};
	union fns f = { .p = l->call };

	f.names(l->arg, told, failure() == NULL ? 1 : 0, failure());
}

void
store_timeline(struct store *s, const char *name, store_names_fn *fn, void *arg)
{
	(void)s, (void)name;
	later(say_timeline, (union fns){ .names = fn }, arg);
}

static void
say_events(struct later *l)
{
	union fns f = { .p = l->call };
	struct store_event event[8];
	char id[8][16];
	static const char *const field[] = { "type", "added" };
	int first = w.nevents[l->partition] - l->n;
	size_t n = 0;

	for (int i = first < 0 ? 0 : first; i < w.nevents[l->partition]; i++) {
		snprintf(id[n], sizeof(id[n]), "%d-%d", i + 1, l->partition);
		event[n] = (struct store_event){ id[n], field, 1 };
		n++;
	}
	f.events(l->arg, event, failure() == NULL ? n : 0, failure());
}

void
store_events(
    struct store *s, int partition, int n, store_events_fn *fn, void *arg)
{
	struct later *l = later(say_events, (union fns){ .events = fn }, arg);

	(void)s;
	l->partition = partition;
	l->n = n;
}

struct rds_stream *
rds_stream_new(struct event_base *base, const struct rds_conf *conf,
    const char *key, const char *last_id, rds_entry_fn *entry,
    rds_state_fn *state, void *arg)
{
	struct rds_stream *s = xcalloc(1, sizeof(*s));
	char end[32];

	(void)base, (void)conf, (void)state;
	s->partition = key[0] - '0';
	s->entry = entry;
	s->arg = arg;
	/* It must begin where the stream ended. */
	snprintf(end, sizeof(end), "%d-%d", w.nevents[s->partition],
	    w.nevents[s->partition] > 0 ? s->partition : 0);
	assert_string_equal(last_id, end);
	w.stream[s->partition] = s;
	w.nstreams++;
	return s;
}

void
rds_stream_free(struct rds_stream *s)
{
	w.stream[s->partition] = NULL;
	w.nstreams--;
	free(s);
}

/* Something happens; who reads the stream hears of it. */
static void
happen(int partition)
{
	static char type[] = "type", added[] = "added";
	struct rds_reply item[2] = {
		{ .type = RDS_STRING, .str = type, .len = 4 },
		{ .type = RDS_STRING, .str = added, .len = 5 },
	};
	struct rds_reply fields = {
		.type = RDS_ARRAY, .item = item, .nitems = 2
	};
	struct rds_stream *s = w.stream[partition];
	char id[32];

	snprintf(id, sizeof(id), "%d-%d", ++w.nevents[partition], partition);
	if (s != NULL)
		s->entry(s->arg, id, &fields);
}

static void
ask_state(void *arg, struct api_state *s)
{
	(void)arg;
	*s = w.state;
	s->ends = (struct hold_ends){ .n = 1, .soonest = 1790000000000 };
}

/* --- a client --------------------------------------------------------------- */

struct client {
	int fd;
	struct reply reply;
	struct buf body;
	bool ended;
};

static void
turn(void)
{
	event_base_loop(w.base, EVLOOP_NONBLOCK);
}

static int
into_body(void *arg, const char *p, size_t len, struct err *e)
{
	(void)e;
	return buf_put(arg, p, len);
}

static void
client_open(struct client *c)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	*c = (struct client){ 0 };
	buf_init(&c->body, ANSWER_MAX);
	reply_init(&c->reply, into_body, &c->body);
	memcpy(sun.sun_path, w.socket, strlen(w.socket));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(
	    connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
}

static void
client_send(struct client *c, const char *text)
{
	size_t at = 0, len = strlen(text);

	for (int i = 0; at < len && i < 10000; i++) {
		ssize_t n = send(c->fd, text + at, len - at, MSG_NOSIGNAL);

		if (n > 0)
			at += (size_t)n;
		turn();
	}
	assert_int_equal(at, len);
}

/* Let the server run and take what it says. */
static void
client_hear(struct client *c)
{
	char bytes[4096];
	struct err e = { 0 };
	ssize_t n;

	turn();
	while ((n = recv(c->fd, bytes, sizeof(bytes), 0)) > 0)
		assert_int_equal(
		    reply_feed(&c->reply, bytes, (size_t)n, &e), 0);
	if (n == 0)
		c->ended = true;
}

static void
client_await(struct client *c)
{
	for (int i = 0; i < 2000; i++) {
		client_hear(c);
		if (c->reply.state == REPLY_DONE)
			return;
		usleep(100);
	}
	fail_msg("no answer");
}

static void
client_close(struct client *c)
{
	close(c->fd);
	reply_clear(&c->reply);
	buf_clear(&c->body);
}

/* Ask with another header and take the answer's body (NULL: it has none). */
static json_t *
ask_as(const char *header, const char *method, const char *path,
    const char *body, int want)
{
	struct client c;
	json_t *o = NULL;
	char *text;

	client_open(&c);
	text = xasprintf("%s %s HTTP/1.1\r\nHost: x\r\n%s"
			 "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
	    method, path, header, strlen(body), body);
	client_send(&c, text);
	free(text);
	client_await(&c);
	if (c.reply.status != want)
		print_error("%s %s: %s\n", method, path, c.body.p);
	assert_int_equal(c.reply.status, want);
	if (c.body.len > 0) {
		o = json_loads(c.body.p, 0, NULL);
		assert_non_null(o);
	}
	client_close(&c);
	turn();
	return o;
}

static json_t *
ask(const char *method, const char *path, const char *body, int want)
{
	return ask_as("", method, path, body, want);
}

/* The same, and compare the whole body. */
static void
expect(const char *method, const char *path, const char *body, int want,
    const char *want_body)
{
	json_t *o = ask(method, path, body, want);
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;

	if (want_body != NULL)
		assert_string_equal(text, want_body);
	free(text);
	json_decref(o);
}

static int
start(void **state)
{
	struct err e = { 0 };
	static char node[] = "n1", group[] = "", url[] = "";
	static char directory[] = "https://ca.example/dir";
	static char key_type[] = "ecdsa-p256";

	(void)state;
	memset(&w, 0, sizeof(w));
	w.base = loop_new();
	snprintf(w.dir, sizeof(w.dir), "/tmp/api-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	snprintf(w.socket, sizeof(w.socket), "%s/s", w.dir);
	w.conf.node = node;
	w.conf.api.socket = w.socket;
	w.conf.api.socket_group = group;
	w.conf.api.url = url;
	w.conf.api.max_connections = 20;
	w.conf.api.requests_per_minute = 20;
	w.conf.api.request_timeout_ms = 30000;
	w.conf.haproxy.bufsize = 16384;
	w.conf.acme.directory = directory;
	w.conf.acme.key_type = key_type;
	w.conf.limits.certificates_per_domain = 1;
	w.conf.limits.domain_window_h = 1;
	w.conf.limits.orders_per_account = 2;
	w.conf.limits.orders_window_h = 1;
	w.conf.limits.hour_ms = 3600000;
	w.state =
	    (struct api_state){ .redis_up = true, .leader = true, .epoch = 7 };
	w.api = api_new(w.base, &w.conf, NULL, NULL, ask_state, NULL, &e);
	assert_non_null(w.api);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	api_free(w.api);
	assert_int_equal(w.nstreams, 0);
	assert_int_equal(access(w.socket, F_OK), -1);
	for (size_t i = 0; i < w.nheld; i++) {
		loop_timer_free(&w.held[i]->timer);
		free(w.held[i]);
	}
	rmdir(w.dir);
	event_base_free(w.base);
	return 0;
}

/* --- the tests --------------------------------------------------------------- */

#define SHOP "/v1/apps/shop/domains"
#define OTHER "/v1/apps/other/domains"
#define WWW "{\"domain\":{\"name\":\"www.shop.example\"}}"

static void
add_www(void)
{
	json_decref(ask("POST", SHOP, WWW, 201));
}

static void
a_domain_is_added_shown_and_removed(void **state)
{
	json_t *o;
	const char *id;
	char path[128];

	(void)state;
	expect("GET", SHOP "?", "", 200, "{\"domains\":[]}");
	o = ask("POST", SHOP, WWW, 201);
	id = json_string_value(
	    json_object_get(json_object_get(o, "domain"), "id"));
	snprintf(path, sizeof(path), SHOP "/%s?", id);
	json_decref(o);
	expect("GET", path, "", 200, NULL);
	expect("GET", SHOP "/WWW.shop.example.", "", 200, NULL);
	expect("PATCH", path, "{}", 200, NULL);
	o = ask("GET", SHOP "?", "", 200);
	assert_int_equal(json_array_size(json_object_get(o, "domains")), 1);
	json_decref(o);
	expect("DELETE", path, "", 204, NULL);
	expect("DELETE", path, "", 404,
	    "{\"resource\":\"domain\",\"error\":\"not found\"}");
}

static void
a_name_belongs_to_one_app(void **state)
{
	(void)state;
	add_www();
	expect("POST", SHOP, WWW, 422,
	    "{\"errors\":{\"name\":[\"has already been taken\"]}}");
	expect("POST", OTHER, WWW, 422,
	    "{\"errors\":{\"name\":[\"has already been taken\"]}}");
	expect("GET", OTHER "/www.shop.example", "", 404,
	    "{\"resource\":\"domain\",\"error\":\"not found\"}");
	expect("DELETE", OTHER "/www.shop.example", "", 404, NULL);
	expect("GET", OTHER, "", 200, "{\"domains\":[]}");
	assert_int_equal(w.ndomains, 1);
}

static bool
flag(json_t *reply, const char *name)
{
	return json_is_true(
	    json_object_get(json_object_get(reply, "domain"), name));
}

static void
an_owner_switches_and_uploads(void **state)
{
	struct made x = made_cert(
	    (struct make){ .cn = "own", .san = "DNS:www.shop.example" });
	const struct made *const list[] = { &x, NULL };
	char *cert = made_pem(list), *key = made_key(x.key, NULL);
	json_t *body = json_pack("{s:s, s:s}", "tlscert", cert, "tlskey", key);
	char *text = json_dumps(body, 0);
	json_t *o;

	(void)state;
	o = ask("POST", SHOP,
	    "{\"name\":\"off.shop.example\",\"letsencrypt_enabled\":false}",
	    201);
	assert_false(flag(o, "letsencrypt_enabled"));
	json_decref(o);
	add_www();
	o = ask("PATCH", SHOP "/www.shop.example",
	    "{\"letsencrypt_enabled\":false}", 200);
	assert_false(flag(o, "letsencrypt_enabled"));
	json_decref(o);
	o = ask("PATCH", SHOP "/www.shop.example", text, 200);
	assert_true(flag(o, "ssl"));
	json_decref(o);
	o = ask("GET", SHOP "/www.shop.example", "", 200);
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(o, "domain"), "tlskey")),
	    "EC private key - 256 bits");
	json_decref(o);
	o = ask("PATCH", SHOP "/www.shop.example",
	    "{\"tlscert\":\"\",\"letsencrypt_enabled\":true}", 200);
	assert_false(flag(o, "ssl"));
	assert_true(flag(o, "letsencrypt_enabled"));
	json_decref(o);
	free(text);
	free(cert);
	free(key);
	json_decref(body);
	made_clear(&x);
}

#define WWW_SPEC "{\"name\":\"www.shop.example\",\"letsencrypt_enabled\":true}"

static void
put_sets_all_that_the_spec_shows(void **state)
{
	const char *path = SHOP "/www.shop.example?view=spec";

	(void)state;
	expect("POST", SHOP "?view=spec", WWW_SPEC, 201, WWW_SPEC);
	expect("PUT", path, "{\"letsencrypt_enabled\":false}", 200,
	    "{\"name\":\"www.shop.example\",\"letsencrypt_enabled\":false}");
	expect("PUT", path, "{\"domain\":{\"canonical\":true}}", 200,
	    "{\"name\":\"www.shop.example\",\"letsencrypt_enabled\":true,"
	    "\"canonical\":true}");
	expect("PATCH", path, "{\"letsencrypt_enabled\":true}", 200,
	    "{\"name\":\"www.shop.example\",\"letsencrypt_enabled\":true,"
	    "\"canonical\":true}");
	expect("PUT", path, WWW_SPEC, 200, WWW_SPEC);
	expect("GET", path, "", 200, WWW_SPEC);
	expect("PUT", path, "{\"name\":\"b.shop.example\"}", 422, NULL);
	expect("PUT", SHOP "/b.shop.example", "{}", 404, NULL);
	expect("GET", SHOP "/www.shop.example?view=all", "", 400, NULL);
	expect("POST", SHOP "?view=all", "{\"name\":\"c.shop.example\"}", 400,
	    NULL);
	assert_int_equal(w.ndomains, 1);
}

static void
an_app_has_one_canonical_domain(void **state)
{
	const char *other = "{\"domain\":{\"name\":\"b.shop.example\","
			    "\"canonical\":true}}";
	json_t *o;

	(void)state;
	add_www();
	o = ask("PATCH", SHOP "/www.shop.example",
	    "{\"domain\":{\"canonical\":true}}", 200);
	assert_true(flag(o, "canonical"));
	json_decref(o);
	o = ask("POST", SHOP, other, 201);
	assert_true(flag(o, "canonical"));
	json_decref(o);
	o = ask("GET", SHOP "/www.shop.example", "", 200);
	assert_false(flag(o, "canonical"));
	json_decref(o);
}

/* A token is made; its secret as a header. */
static char *
made_token(const char *wish)
{
	json_t *o = ask("POST", "/api/v1/tokens", wish, 201);
	json_t *token = json_object_get(o, "token");
	char *header = xasprintf("Authorization: Bearer %s\r\n",
	    json_string_value(json_object_get(token, "secret")));

	json_decref(o);
	return header;
}

static void
a_token_may_what_its_role_and_apps_say(void **state)
{
	char *header = made_token("{\"name\":\"ci\",\"apps\":[\"shop\"],"
				  "\"role\":\"operate\"}");
	static const struct {
		const char *method, *path, *body;
		int status;
	} cases[] = {
		{ "GET", SHOP, "", 200 },
		{ "POST", SHOP, "{\"name\":\"b.shop.example\"}", 201 },
		{ "GET", OTHER, "", 404 },
		{ "POST", OTHER, "{\"name\":\"c.shop.example\"}", 404 },
		{ "GET", OTHER "/x.shop.example", "", 404 },
		{ "GET", "/api/v1/domains/x.shop.example", "", 404 },
		{ "GET", "/api/v1/domains/b.shop.example", "", 200 },
		{ "POST", "/api/v1/domains/x.shop.example/revoke", "", 404 },
		{ "GET", "/api/v1/domains", "", 200 },
		{ "GET", "/api/v1/domains?app=other", "", 200 },
		{ "GET", "/api/v1/nodes", "", 403 },
		{ "GET", "/api/v1/events", "", 403 },
		{ "GET", "/api/v1/tokens", "", 403 },
		{ "POST", "/api/v1/tokens", "{\"name\":\"x\"}", 403 },
		{ "POST", "/api/v1/account/rollover", "", 403 },
		{ "GET", "/v1/users/self", "", 200 },
	};

	(void)state;
	json_decref(ask("POST", OTHER, "{\"name\":\"x.shop.example\"}", 201));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *o = ask_as(header, cases[i].method, cases[i].path,
		    cases[i].body, cases[i].status);

		if (strncmp(cases[i].path, "/api/v1/domains", 15) == 0 &&
		    json_object_get(o, "total") != NULL)
			assert_int_equal(
			    json_integer_value(json_object_get(o, "total")),
			    strchr(cases[i].path, '?') != NULL ? 0 : 1);
		json_decref(o);
	}
	assert_int_equal(w.ndomains, 2);
	free(header);
}

static void
a_reader_changes_nothing(void **state)
{
	char *header = made_token("{\"name\":\"r\"}");

	(void)state;
	add_www();
	json_decref(ask_as(header, "GET", SHOP "/www.shop.example", "", 200));
	json_decref(ask_as(header, "GET", "/api/v1/nodes", "", 200));
	json_decref(ask_as(header, "POST", SHOP, WWW, 403));
	json_decref(ask_as(header, "PUT", SHOP "/www.shop.example", "{}", 403));
	json_decref(
	    ask_as(header, "DELETE", SHOP "/www.shop.example", "", 403));
	assert_int_equal(w.ndomains, 1);
	free(header);
}

/* --- browsers --------------------------------------------------------------- */

static int
loopback(struct sockaddr_in *sin)
{
	*sin = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* Serve by TCP, too: the port. */
static int
serve_loopback(char address[static 32])
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd = loopback(&sin);
	struct err e;

	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	snprintf(address, 32, "127.0.0.1:%d", ntohs(sin.sin_port));
	api_free(w.api);
	w.conf.api.listen = (struct conf_list){ &address, 1 };
	w.api = api_new(w.base, &w.conf, NULL, NULL, ask_state, NULL, &e);
	assert_non_null(w.api);
	w.conf.api.listen = (struct conf_list){ 0 };
	return ntohs(sin.sin_port);
}

/* Ask with that session; the answer's head goes into out. */
static void
browse(int port, const char *session, char *out, size_t size)
{
	struct sockaddr_in sin;
	int fd = loopback(&sin);
	char text[PASS_SIZE + 128];
	size_t n = 0;
	ssize_t got;

	sin.sin_port = htons((uint16_t)port);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	snprintf(text, sizeof(text),
	    "GET /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\n"
	    "Cookie: certfleet=%s\r\n\r\n",
	    session);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	for (int i = 0; i < 500 && memmem(out, n, "\r\n\r\n", 4) == NULL; i++) {
		turn();
		got = recv(fd, out + n, size - n - 1, MSG_DONTWAIT);
		n += got > 0 ? (size_t)got : 0;
		if (got <= 0)
			usleep(1000);
	}
	out[n] = '\0';
	close(fd);
}

static void
a_session_is_given_anew_while_it_is_used(void **state)
{
	static const uint8_t key[STORE_TOKEN_KEY_LEN] = { 1, 2, 3 };
	const int64_t minute = 60000;
	const struct {
		int64_t begun, made; /* minutes ago */
		int status;
		int max_age; /* of the new one; 0: there is none */
	} cases[] = {
		{ 0, 0, 200, 0 },
		{ 4, 4, 200, 0 },
		{ 30, 6, 200, 3600 },
		{ 690, 50, 200, 1800 }, /* of 12 hours half an hour is left */
		{ 70, 61, 401, 0 },
		{ 721, 10, 401, 0 },
	};
	char *header = made_token("{\"name\":\"r\"}"), address[32];
	char session[PASS_SIZE], said[2048], want[32];
	int port = serve_loopback(address);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t now = loop_wall_ms();
		const char *age;

		session_make(key, w.token, now - cases[i].begun * minute,
		    now - cases[i].made * minute, session);
		browse(port, session, said, sizeof(said));
		snprintf(want, sizeof(want), "HTTP/1.1 %d ", cases[i].status);
		if (!str_has_prefix(said, want))
			fail_msg("%zu: %.40s", i, said);
		age = strstr(said, "Max-Age=");
		if (cases[i].status == 200 && cases[i].max_age == 0)
			assert_null(age);
		else
			assert_in_range(
			    age != NULL
				? strtol(age + strlen("Max-Age="), NULL, 10)
				: -1,
			    cases[i].max_age > 0 ? cases[i].max_age - 3 : 0,
			    cases[i].max_age);
	}
	free(header);
}

static void
a_token_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {
		"Authorization: Bearer cft_AAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
		"Authorization: Bearer \r\n",
		"Authorization: Bearer eyJhbGciOiJub25lIn0.e30.\r\n",
		"Authorization: Basic Og==\r\n",
		"Authorization: cft_AAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
	};

	(void)state;
	/* A header that says nothing good is not as none at all. */
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_decref(ask_as(bad[i], "GET", SHOP, "", 401));
		json_decref(
		    ask_as(bad[i], "POST", "/v1/tokens/exchange", "{}", 401));
		json_decref(ask_as(bad[i], "GET", "/healthz", "", 200));
	}
}

static void
a_token_has_so_many_requests_a_minute(void **state)
{
	char *header = made_token("{\"name\":\"r\"}");

	(void)state;
	for (int i = 0; i < 20; i++)
		json_decref(ask_as(header, "GET", SHOP, "", 200));
	json_decref(ask_as(header, "GET", SHOP, "", 429));
	/* Whoever comes by the socket has no such limit. */
	json_decref(ask("GET", SHOP, "", 200));
	free(header);
}

static void
who_changes_something_is_written_down(void **state)
{
	char *header, want[128];

	(void)state;
	add_www();
	snprintf(want, sizeof(want),
	    "who=uid %ld method=POST target=/v1/apps/shop/domains answer=201 "
	    "node=n1 name=www.shop.example ",
	    (long)getuid());
	assert_string_equal(w.audit, want);
	json_decref(ask("GET", SHOP, "", 200));
	assert_int_equal(w.naudits, 1);
	header = made_token("{\"name\":\"ci\"}");
	json_decref(
	    ask_as(header, "DELETE", SHOP "/www.shop.example?x=1", "", 403));
	assert_non_null(strstr(w.audit, " ci method=DELETE "
					"target=/v1/apps/shop/domains/"
					"www.shop.example answer=403 "));
	assert_null(strstr(w.audit, "cft_"));
	free(header);
}

/* What /metrics says. */
static char *
metrics(void)
{
	struct client c;
	char *text;

	client_open(&c);
	client_send(&c, "GET /metrics HTTP/1.1\r\nHost: x\r\n"
			"Connection: close\r\n\r\n");
	client_await(&c);
	assert_int_equal(c.reply.status, 200);
	text = xstrdup(c.body.p);
	client_close(&c);
	turn();
	return text;
}

static void
metrics_tell_what_is_known_without_redis(void **state)
{
	char *text;

	(void)state;
	add_www();
	text = metrics();
	assert_non_null(
	    strstr(text, "\ncertfleet_domains{status=\"pending_dns\"} 1\n"));
	assert_non_null(strstr(text, "\ncertfleet_nodes_live 1\n"));
	assert_non_null(strstr(text, "\ncertfleet_due_overdue_seconds 5"));
	assert_non_null(strstr(text, "\ncertfleet_redis_up 1\n"));
	assert_non_null(strstr(text,
	    "\ncertfleet_certificate_soonest_not_after_timestamp_seconds "
	    "1790000000\n"));
	free(text);
	w.state.redis_up = false;
	text = metrics();
	assert_non_null(strstr(text, "\ncertfleet_redis_up 0\n"));
	assert_null(strstr(text, "certfleet_domains"));
	assert_null(strstr(text, "shop.example"));
	free(text);
	/* Away since the last look. */
	w.state.redis_up = true;
	err_set(&w.fails, ERR_AGAIN, "Redis is away");
	text = metrics();
	assert_null(strstr(text, "certfleet_domains"));
	assert_non_null(strstr(text, "\ncertfleet_leader 1\n"));
	free(text);
}

static void
a_token_is_revoked_by_id_or_name(void **state)
{
	char *header = made_token("{\"name\":\"ci bot\"}");

	(void)state;
	json_decref(ask_as(header, "GET", SHOP, "", 200));
	expect("DELETE", "/api/v1/tokens/other", "", 404,
	    "{\"resource\":\"token\",\"error\":\"not found\"}");
	expect("DELETE", "/api/v1/tokens/ci%20bot", "", 204, NULL);
	json_decref(ask_as(header, "GET", SHOP, "", 401));
	free(header);
}

static void
a_revocation_needs_a_certificate_and_a_reason(void **state)
{
	const char *path = "/api/v1/domains/www.shop.example/revoke";

	(void)state;
	add_www();
	expect("POST", path, "", 422,
	    "{\"errors\":{\"name\":[\"has no certificate of the CA that could "
	    "be revoked\"]}}");
	memset(w.domain[0].sha1, 'A', 40);
	expect("POST", path, "{\"reason\":\"superseded\"}", 202, NULL);
	expect("POST", path, "{\"reason\":7}", 422, NULL);
	expect("POST", path, "{\"reason\":\"dislike\"}", 422,
	    "{\"errors\":{\"reason\":[\"must be unspecified, keyCompromise, "
	    "superseded or cessationOfOperation\"]}}");
}

static void
what_a_body_may_not_say_is_422(void **state)
{
	(void)state;
	expect("POST", SHOP, "{\"domain\":{}}", 422,
	    "{\"errors\":{\"name\":[\"can't be blank\"]}}");
	expect("POST", SHOP,
	    "{\"name\":\"a.shop.example\",\"letsencrypt_enabled\":\"false\"}",
	    422,
	    "{\"errors\":{\"letsencrypt_enabled\":[\"must be a boolean\"]}}");
	add_www();
	expect("PATCH", SHOP "/www.shop.example",
	    "{\"domain\":{\"name\":\"b.shop.example\"}}", 422, NULL);
	expect("PATCH", SHOP "/www.shop.example",
	    "{\"domain\":{\"tlscert\":\"C\"}}", 422,
	    "{\"errors\":{\"tlskey\":[\"can't be blank: a certificate needs "
	    "its private key\"]}}");
	expect("POST", "/v1/apps/a%20b/domains", WWW, 422, NULL);
	expect("GET", "/v1/apps/a%20b/domains", "", 404, NULL);
}

static void
requests_that_are_none_are_answered_in_json(void **state)
{
	char *big = xmalloc(131074);

	(void)state;
	expect("GET", "/nowhere", "", 404,
	    "{\"resource\":\"route\",\"error\":\"not found\"}");
	expect("PUT", SHOP, "{}", 405,
	    "{\"error\":\"this path answers GET, POST\","
	    "\"code\":\"method_not_allowed\"}");
	expect("POST", SHOP, "{", 400, NULL);
	expect("POST", SHOP, "[]", 400, NULL);
	expect("GET", "/%00", "", 400, NULL);
	expect("GET", "/api/v1/domains?limit=0", "", 400, NULL);
	expect("GET", "/api/v1/domains?status=in%20use", "", 400, NULL);
	expect("GET", "/api/v1/events?n=-1", "", 400, NULL);
	memset(big, 'x', 131073);
	big[131073] = '\0';
	expect("POST", SHOP, big, 413, NULL);
	free(big);
}

static void
the_store_s_error_has_its_status(void **state)
{
	static const struct {
		enum err_kind kind;
		int status;
	} cases[] = { { ERR_AGAIN, 503 }, { ERR_BUG, 500 },
		{ ERR_LIMITED, 429 }, { ERR_REFUSED, 409 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err_set(&w.fails, cases[i].kind, "Redis is away");
		expect("GET", SHOP, "", cases[i].status, NULL);
		expect("POST", SHOP, WWW, cases[i].status, NULL);
		w.ndomains = 0;
		expect("GET", "/api/v1/domains/www.shop.example", "",
		    cases[i].status, NULL);
		expect("GET", "/api/v1/nodes", "", cases[i].status, NULL);
		expect("GET", "/api/v1/limits", "", cases[i].status, NULL);
		expect("POST", "/api/v1/plan", "{\"names\":[\"a.example\"]}",
		    cases[i].status, NULL);
		expect("GET", "/api/v1/events", "", cases[i].status, NULL);
		expect("GET", "/api/v1/events?follow=1", "", cases[i].status,
		    NULL);
		/* It says what it knows. */
		expect("GET", "/api/v1/status", "", 200, NULL);
	}
}

static void
limits_are_the_account_s_and_a_name_s(void **state)
{
	json_t *o, *l;

	(void)state;
	o = ask("GET", "/api/v1/limits", "", 200);
	assert_int_equal(json_array_size(json_object_get(o, "limits")), 1);
	assert_true(json_is_null(json_object_get(o, "domain")));
	json_decref(o);
	o = ask("GET", "/api/v1/limits?domain=WWW.Shop.example.", "", 200);
	assert_string_equal(
	    json_string_value(json_object_get(o, "registered_domain")),
	    "shop.example");
	l = json_array_get(json_object_get(o, "limits"), 1);
	assert_string_equal(
	    json_string_value(json_object_get(l, "of")), "shop.example");
	assert_int_equal(json_integer_value(json_object_get(l, "used")), 1);
	json_decref(o);
	expect("GET", "/api/v1/limits?domain=-", "", 400, NULL);
}

static void
a_plan_has_every_name_in_its_place(void **state)
{
	json_t *o, *plan, *n;

	(void)state;
	o = ask("POST", "/api/v1/plan",
	    "{\"names\":[\"a.shop.example\",\"!\",\"A.shop.example\","
	    "\"b.other.example\"]}",
	    200);
	plan = json_object_get(o, "plan");
	assert_int_equal(json_array_size(plan), 4);
	n = json_array_get(plan, 0);
	assert_string_equal(
	    json_string_value(json_object_get(n, "waits_for")), "domain");
	assert_non_null(json_object_get(json_array_get(plan, 1), "error"));
	assert_non_null(json_object_get(json_array_get(plan, 2), "error"));
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(plan, 3), "name")),
	    "b.other.example");
	json_decref(o);
	expect("POST", "/api/v1/plan", "{\"names\":[]}", 200, NULL);
	expect("POST", "/api/v1/plan", "{}", 400, NULL);
	expect("POST", "/api/v1/plan", "{\"names\":[1]}", 400, NULL);
}

static const char *
planned_wait(void)
{
	static char wait[16];
	json_t *o = ask(
	    "POST", "/api/v1/plan", "{\"names\":[\"a.shop.example\"]}", 200);
	json_t *n = json_array_get(json_object_get(o, "plan"), 0);
	const char *text = json_string_value(json_object_get(n, "waits_for"));

	snprintf(wait, sizeof(wait), "%s", text != NULL ? text : "");
	json_decref(o);
	return wait;
}

static void
a_plan_counts_both_certificates_of_a_name(void **state)
{
	char dual[] = "dual", *one = w.conf.acme.key_type;

	(void)state;
	w.conf.limits.certificates_per_domain = 2;
	assert_string_equal(planned_wait(), "");
	w.conf.acme.key_type = dual;
	assert_string_equal(planned_wait(), "domain");
	w.conf.acme.key_type = one;
}

static void
a_plan_may_be_long(void **state)
{
	char *body = xmalloc(200000);
	json_t *o;
	size_t at = 0;

	(void)state;
	at += (size_t)snprintf(body, 200000, "{\"names\":[\"x.example\"");
	for (int i = 0; i < 9000; i++)
		at += (size_t)snprintf(
		    body + at, 200000 - at, ",\"n%d.example\"", i);
	snprintf(body + at, 200000 - at, "]}");
	assert_true(strlen(body) > 131072);
	o = ask("POST", "/api/v1/plan", body, 200);
	assert_int_equal(json_array_size(json_object_get(o, "plan")), 9001);
	json_decref(o);
	free(body);
}

static void
our_own_routes_show_all_apps_and_why(void **state)
{
	json_t *o, *d;

	(void)state;
	add_www();
	expect("POST", OTHER, "{\"name\":\"a.other.example\"}", 201, NULL);
	o = ask("GET", "/api/v1/domains?limit=1&offset=1", "", 200);
	assert_int_equal(json_array_size(json_object_get(o, "domains")), 1);
	assert_int_equal(json_integer_value(json_object_get(o, "total")), 2);
	json_decref(o);
	o = ask("GET", "/api/v1/domains?app=other&status=pending_dns", "", 200);
	assert_int_equal(json_integer_value(json_object_get(o, "total")), 1);
	json_decref(o);
	o = ask("GET", "/api/v1/domains/www.shop.example", "", 200);
	d = json_object_get(o, "domain");
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(d, "why"), "state")),
	    "Pending DNS");
	assert_int_equal(json_array_size(json_object_get(d, "nodes")), 2);
	json_decref(o);
	o = ask("GET", "/api/v1/domains/a%3Bb.example", "", 404);
	assert_true(json_is_string(json_object_get(o, "detail")));
	json_decref(o);
}

#define VARIABLES "/v1/apps/shop/variables"

static void
variables_are_kept_and_only_plain_ones_shown(void **state)
{
	(void)state;
	expect("POST", "/v1/apps/shop/domains", "{\"name\":\"*.shop.example\"}",
	    201, NULL);
	w.is_disturbed = true; /* once: what was asked for is done anew */
	expect("PUT", VARIABLES,
	    "{\"variables\":[{\"name\":\"DNS_OVH_ENDPOINT\",\"value\":"
	    "\"ovh-eu\"},{\"name\":\"DNS_OVH_CONSUMER_KEY\",\"value\":"
	    "\"hidden\"}]}",
	    200,
	    "{\"variables\":[{\"id\":\"DNS_OVH_CONSUMER_KEY\",\"name\":"
	    "\"DNS_OVH_CONSUMER_KEY\",\"value\":null,\"secret\":true},"
	    "{\"id\":\"DNS_OVH_ENDPOINT\",\"name\":\"DNS_OVH_ENDPOINT\","
	    "\"value\":\"ovh-eu\",\"secret\":false}],\"dns_provider\":null,"
	    "\"warnings\":[]}");
	assert_int_equal(w.nchanged, 1);
	expect("DELETE", VARIABLES "/DNS_OVH_CONSUMER_KEY", "", 204, NULL);
	expect("DELETE", VARIABLES "/DNS_OVH_CONSUMER_KEY", "", 404,
	    "{\"resource\":\"variable\",\"error\":\"not found\"}");
	expect("GET", VARIABLES, "", 200,
	    "{\"variables\":[{\"id\":\"DNS_OVH_ENDPOINT\",\"name\":"
	    "\"DNS_OVH_ENDPOINT\",\"value\":\"ovh-eu\",\"secret\":false}],"
	    "\"dns_provider\":null}");
}

static void
variables_that_cannot_be_are_refused(void **state)
{
	(void)state;
	expect("PUT", VARIABLES,
	    "{\"variables\":[{\"name\":\"DNS_PROVIDER\",\"value\":\"ovh\"}]}",
	    422,
	    "{\"errors\":{\"DNS_PROVIDER\":[\"ovh needs DNS_OVH_ENDPOINT, "
	    "DNS_OVH_APPLICATION_KEY, DNS_OVH_APPLICATION_SECRET and "
	    "DNS_OVH_CONSUMER_KEY, which are not set\"]},\"acme_dns_error\":"
	    "{\"dns_provider\":\"ovh\",\"variables\":[\"DNS_OVH_ENDPOINT\","
	    "\"DNS_OVH_APPLICATION_KEY\",\"DNS_OVH_APPLICATION_SECRET\","
	    "\"DNS_OVH_CONSUMER_KEY\"]}}");
	expect("POST", VARIABLES,
	    "{\"variable\":{\"name\":\"DNS_OVH_ENDPOINT\",\"value\":null}}",
	    422, "{\"errors\":{\"value\":[\"must be a string\"]}}");
	expect("PUT", VARIABLES, "{}", 422,
	    "{\"errors\":{\"variables\":[\"must be a list of { name, value "
	    "}\"]}}");
	assert_int_equal(w.env_len, 0);
}

static void
ready_says_what_is_missing(void **state)
{
	(void)state;
	expect("GET", "/healthz", "", 200, "{\"status\":\"ok\"}");
	expect("GET", "/readyz", "", 200, "{\"ready\":true,\"reasons\":[]}");
	w.state.redis_up = false;
	w.state.haproxies = 2;
	expect("GET", "/readyz", "", 503,
	    "{\"ready\":false,\"reasons\":[\"Redis does not answer\",\"no "
	    "HAProxy of this node answers\"]}");
	w.state.redis_up = true;
	w.state.haproxies_up = 1;
	expect("GET", "/readyz", "", 200, NULL);
}

static void
status_names_leader_and_counts(void **state)
{
	json_t *o;

	(void)state;
	add_www();
	o = ask("GET", "/api/v1/status", "", 200);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(o, "domains"), "pending_dns")),
	    1);
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(o, "leader"), "node")),
	    "n1");
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(o, "nodes"), "live")),
	    1);
	json_decref(o);
}

static void
a_connection_serves_several_requests(void **state)
{
	struct client c;

	(void)state;
	client_open(&c);
	for (int i = 0; i < 3; i++) {
		reply_clear(&c.reply);
		reply_init(&c.reply, into_body, &c.body);
		buf_clear(&c.body);
		client_send(&c, "GET /healthz HTTP/1.1\r\nHost: x\r\n"
				"X-Request-ID: a<b\r\n\r\n");
		client_await(&c);
		assert_int_equal(c.reply.status, 200);
		assert_false(c.ended);
	}
	client_close(&c);
}

static void
a_client_that_leaves_harms_nothing(void **state)
{
	static const char *const paths[] = { "/v1/apps/shop/domains",
		"/api/v1/domains/www.shop.example", "/api/v1/events",
		"/api/v1/events?follow=1", "/api/v1/status" };
	struct client c;
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		w.holds = true;
		client_open(&c);
		snprintf(
		    text, sizeof(text), "GET %s HTTP/1.1\r\n\r\n", paths[i]);
		client_send(&c, text);
		for (int k = 0; k < 10; k++)
			turn();
		client_close(&c);
		for (int k = 0; k < 10; k++)
			turn();
		release();
		for (int k = 0; k < 10; k++)
			turn();
	}
	expect("GET", "/healthz", "", 200, NULL);
}

static void
an_end_with_requests_in_flight_leaks_nothing(void **state)
{
	struct client c[4];
	const char *const paths[] = { "/v1/apps/shop/domains",
		"/api/v1/events?n=3", "/api/v1/events?follow=1" };
	const char plan[] = "{\"names\":[\"a.example\",\"b.example\"]}";
	char text[128];

	(void)state;
	w.holds = true;
	for (size_t i = 0; i < 3; i++) {
		client_open(&c[i]);
		snprintf(
		    text, sizeof(text), "GET %s HTTP/1.1\r\n\r\n", paths[i]);
		client_send(&c[i], text);
		turn();
	}
	client_open(&c[3]);
	snprintf(text, sizeof(text),
	    "POST /api/v1/plan HTTP/1.1\r\nContent-Length: %zu\r\n\r\n%s",
	    strlen(plan), plan);
	client_send(&c[3], text);
	turn();
	turn();
	client_close(&c[3]);
	client_close(&c[0]);
	turn();
	client_close(&c[1]);
	client_close(&c[2]);
	/* stop() ends the API now. */
}

/* --- those who follow --------------------------------------------------------- */

static void
follow(struct client *c, int n)
{
	char text[128];

	client_open(c);
	snprintf(text, sizeof(text),
	    "GET /api/v1/events?follow=1&n=%d HTTP/1.1\r\n\r\n", n);
	client_send(c, text);
	for (int i = 0; i < 20; i++)
		client_hear(c);
}

/* The ids that came, as "1-0 2-0 ". */
static const char *
ids(struct client *c)
{
	static char out[512];
	const char *line, *end;

	client_hear(c);
	client_hear(c);
	out[0] = '\0';
	line = c->body.p;
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		json_t *o;
		size_t at = strlen(out);

		if (end == line)
			continue;
		o = json_loadb(line, (size_t)(end - line), 0, NULL);
		assert_non_null(o);
		snprintf(out + at, sizeof(out) - at, "%s ",
		    json_string_value(json_object_get(o, "id")));
		json_decref(o);
	}
	return out;
}

static void
a_follower_hears_what_was_and_what_comes(void **state)
{
	struct client a, b;

	(void)state;
	w.nevents[0] = 3;
	w.nevents[1] = 2;
	follow(&a, 3);
	assert_int_equal(a.reply.status, 200);
	assert_string_equal(ids(&a), "2-0 2-1 3-0 ");
	happen(1);
	assert_string_equal(ids(&a), "2-0 2-1 3-0 3-1 ");
	follow(&b, 0);
	happen(0);
	assert_string_equal(ids(&b), "4-0 ");
	assert_string_equal(ids(&a), "2-0 2-1 3-0 3-1 4-0 ");
	assert_int_equal(w.nstreams, 2);
	client_close(&a);
	client_close(&b);
}

static void
what_happens_meanwhile_is_told_once(void **state)
{
	struct client a, b;

	(void)state;
	w.nevents[0] = 1;
	follow(&a, 1);
	w.holds = true;
	follow(&b, 5);
	happen(0); /* while the backlog of b is being asked for */
	happen(1);
	release();
	for (int i = 0; i < 20; i++)
		turn();
	assert_string_equal(ids(&b), "1-0 2-0 1-1 ");
	assert_string_equal(ids(&a), "1-0 2-0 1-1 ");
	client_close(&a);
	client_close(&b);
}

static void
readers_end_with_the_last_follower(void **state)
{
	struct client a;

	(void)state;
	follow(&a, 0);
	assert_int_equal(w.nstreams, 2);
	client_close(&a);
	for (int i = 0; i < 300 && w.nstreams > 0; i++) {
		turn();
		usleep(10000);
	}
	assert_int_equal(w.nstreams, 0);
	follow(&a, 0);
	assert_int_equal(w.nstreams, 2);
	client_close(&a);
}

static void
a_follower_too_many_is_told(void **state)
{
	struct client c[16];

	(void)state;
	for (int i = 0; i < 16; i++) {
		follow(&c[i], 0);
		assert_int_equal(c[i].reply.status, 200);
	}
	expect("GET", "/api/v1/events?follow=1", "", 429, NULL);
	client_close(&c[3]);
	for (int i = 0; i < 10; i++)
		turn();
	follow(&c[3], 0);
	assert_int_equal(c[3].reply.status, 200);
	for (int i = 0; i < 16; i++)
		client_close(&c[i]);
}

static void
a_follower_who_does_not_read_is_dropped(void **state)
{
	struct client a, b;

	(void)state;
	follow(&a, 0);
	follow(&b, 0);
	/* It also talks all the time: nobody listens, nothing grows. */
	for (int i = 0; i < 40000; i++) {
		happen(0);
		if (i % 64 == 0) {
			send(a.fd, "noise noise noise noise", 23, MSG_NOSIGNAL);
			client_hear(&b);
			buf_clear(&b.body);
		}
	}
	for (int i = 0; i < 1000 && !a.ended; i++)
		client_hear(&a);
	assert_true(a.ended);
	client_hear(&b);
	client_hear(&b);
	buf_clear(&b.body);
	happen(0);
	assert_string_equal(ids(&b), "40001-0 ");
	client_close(&a);
	client_close(&b);
}

/* --- the socket --------------------------------------------------------------- */

static void
only_so_many_are_let_in_and_others_wait(void **state)
{
	struct client idle[20], c;

	(void)state;
	for (int i = 0; i < 20; i++) {
		client_open(&idle[i]);
		turn();
	}
	client_open(&c);
	client_send(&c, "GET /healthz HTTP/1.1\r\n\r\n");
	for (int i = 0; i < 20; i++)
		client_hear(&c);
	assert_int_equal(c.reply.status, 0);
	client_close(&idle[7]);
	for (int i = 0; i < 50 && c.reply.status == 0; i++) {
		client_hear(&c);
		usleep(10000);
	}
	assert_int_equal(c.reply.status, 200);
	client_close(&c);
	for (int i = 0; i < 20; i++)
		if (i != 7)
			client_close(&idle[i]);
}

static void
descriptors_are_given_back(void **state)
{
	int before, after;

	(void)state;
	expect("GET", "/healthz", "", 200, NULL);
	before = dup(0);
	close(before);
	for (int i = 0; i < 50; i++)
		expect("GET", "/healthz", "", 200, NULL);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

static void
count_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	*(int *)arg += 1;
}

/* The loop must have forgotten a connection when its number is used again. */
static void
a_descriptor_used_again_is_heard(void **state)
{
	struct event *event[8];
	struct client c[4];
	int pair[8][2], heard = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		client_open(&c[i]);
		client_send(&c[i], i % 2 == 0 ? "GET /healthz HTTP/1.1\r\n\r\n"
					      : "GET /healthz HTTP/1.1\r\n"
						"Connection: close\r\n\r\n");
	}
	for (int i = 0; i < 4; i++)
		client_await(&c[i]);
	for (int i = 0; i < 4; i++)
		client_close(&c[i]);
	turn();
	turn();
	for (int i = 0; i < 8; i++) {
		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM, 0, pair[i]), 0);
		event[i] =
		    event_new(w.base, pair[i][0], EV_READ, count_event, &heard);
		event_add(event[i], NULL);
		assert_int_equal(send(pair[i][1], "x", 1, 0), 1);
	}
	turn();
	turn();
	assert_int_equal(heard, 8);
	for (int i = 0; i < 8; i++) {
		event_free(event[i]);
		close(pair[i][0]);
		close(pair[i][1]);
	}
}

static void
only_the_owner_may_connect(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(lstat(w.socket, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
a_served_socket_is_not_replaced(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_null(api_new(w.base, &w.conf, NULL, NULL, ask_state, NULL, &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "another process"));
	expect("GET", "/healthz", "", 200, NULL);
}

static void
a_stale_socket_is_replaced_and_a_file_is_not(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct conf conf = w.conf;
	struct err e = { 0 };
	struct api *other;
	char path[128];
	FILE *f;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/stale", w.dir);
	conf.api.socket = path;
	memcpy(sun.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	other = api_new(w.base, &conf, NULL, NULL, ask_state, NULL, &e);
	assert_non_null(other);
	api_free(other);
	assert_int_equal(access(path, F_OK), -1);

	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_null(api_new(w.base, &conf, NULL, NULL, ask_state, NULL, &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(unlink(path), 0);
}

static void
a_group_that_is_none_is_refused(void **state)
{
	static char group[] = "no such group";
	struct conf conf = w.conf;
	struct err e = { 0 };
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/other", w.dir);
	conf.api.socket = path;
	conf.api.socket_group = group;
	assert_null(api_new(w.base, &conf, NULL, NULL, ask_state, NULL, &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(access(path, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_domain_is_added_shown_and_removed),
		TEST(a_name_belongs_to_one_app),
		TEST(an_owner_switches_and_uploads),
		TEST(put_sets_all_that_the_spec_shows),
		TEST(an_app_has_one_canonical_domain),
		TEST(a_token_may_what_its_role_and_apps_say),
		TEST(a_reader_changes_nothing),
		TEST(a_session_is_given_anew_while_it_is_used),
		TEST(a_token_that_is_none_is_refused),
		TEST(a_token_has_so_many_requests_a_minute),
		TEST(who_changes_something_is_written_down),
		TEST(metrics_tell_what_is_known_without_redis),
		TEST(a_token_is_revoked_by_id_or_name),
		TEST(a_revocation_needs_a_certificate_and_a_reason),
		TEST(what_a_body_may_not_say_is_422),
		TEST(limits_are_the_account_s_and_a_name_s),
		TEST(a_plan_has_every_name_in_its_place),
		TEST(a_plan_counts_both_certificates_of_a_name),
		TEST(a_plan_may_be_long),
		TEST(requests_that_are_none_are_answered_in_json),
		TEST(the_store_s_error_has_its_status),
		TEST(our_own_routes_show_all_apps_and_why),
		TEST(variables_are_kept_and_only_plain_ones_shown),
		TEST(variables_that_cannot_be_are_refused),
		TEST(ready_says_what_is_missing),
		TEST(status_names_leader_and_counts),
		TEST(a_connection_serves_several_requests),
		TEST(a_client_that_leaves_harms_nothing),
		TEST(an_end_with_requests_in_flight_leaks_nothing),
		TEST(a_follower_hears_what_was_and_what_comes),
		TEST(what_happens_meanwhile_is_told_once),
		TEST(readers_end_with_the_last_follower),
		TEST(a_follower_too_many_is_told),
		TEST(a_follower_who_does_not_read_is_dropped),
		TEST(only_so_many_are_let_in_and_others_wait),
		TEST(descriptors_are_given_back),
		TEST(a_descriptor_used_again_is_heard),
		TEST(only_the_owner_may_connect),
		TEST(a_served_socket_is_not_replaced),
		TEST(a_stale_socket_is_replaced_and_a_file_is_not),
		TEST(a_group_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
