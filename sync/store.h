/*
 * What is kept in Redis: each function is one question or one change.
 *
 * Changes that must be atomic are calls of common/library.lua; those of the
 * leader carry its epoch and are refused (err type "FENCED") when another
 * leader has been at the record since.  Callbacks are never called from
 * within, and exactly once unless the store is freed first.
 */
#ifndef SYNC_STORE_H
#define SYNC_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/domain.h"
#include "common/err.h"
#include "sync/gens.h"

struct conf;
struct rds;
struct seal_ring;
struct store;

/* Everything given is borrowed and outlives the store. */
struct store *store_new(
    struct rds *, const struct conf *, const struct seal_ring *);
void store_free(struct store *); /* what is in flight is not called back */

/* Whoever asked with this arg is gone: do not call back. */
void store_forget(struct store *, const void *arg);

/*
 * Be told when a change was refused, whoever asked for it: a leader of the epoch
 * seen has been at the record, which is later than the one that was tried.
 */
typedef void store_fenced_fn(void *arg, int64_t seen);
void store_on_fenced(struct store *, store_fenced_fn *, void *arg);

/* e is NULL when it went well. */
typedef void store_fn(void *arg, const struct err *e);

/*
 * The fleet's meta record: made at first start, else read.  Call it first, and
 * after each reconnect.  How many partitions there are does not change while we
 * run: one that comes back with another number of them is ERR_CONFIG.
 */
void store_init(struct store *, store_fn *, void *arg);
int store_partitions(const struct store *);

/* Why this program is too old to change what Redis holds; "": it is not. */
const char *store_old(const struct store *);

/* --- domains ----------------------------------------------------------- */

/* yes: added, removed; no: was there already, was not there. */
typedef void store_yes_fn(void *arg, bool yes, const struct err *e);

/* The domain is NULL when there is none; it lives until fn returns. */
typedef void store_domain_fn(
    void *arg, const struct domain *, const struct err *e);

/* At most STORE_LIST_MAX records, by name; they live until fn returns. */
#define STORE_LIST_MAX 100000
typedef void store_list_fn(
    void *arg, const struct domain *const *, size_t n, const struct err *e);

/* Add with its first action due now. */
void store_add(
    struct store *, const struct domain *, store_yes_fn *, void *arg);
void store_remove(struct store *, const char *name, const char *app,
    store_yes_fn *, void *arg);
void store_get(struct store *, const char *name, store_domain_fn *, void *arg);

/*
 * As the leader: read it, and from now on nobody of an earlier epoch changes it.
 * What is decided upon is true until we write.
 */
void store_take(struct store *, const char *name, int64_t epoch,
    store_domain_fn *, void *arg);

/* All domains of an app; app NULL: of all apps. */
void store_list(struct store *, const char *app, store_list_fn *, void *arg);

/*
 * limit of them, by name, from offset on; total is how many there are.  Costs
 * what the page costs when app is NULL, else also all the app's names.
 */
typedef void store_page_fn(void *arg, const struct domain *const *, size_t n,
    int64_t total, const struct err *e);
void store_page(struct store *, const char *app, size_t offset, size_t limit,
    store_page_fn *, void *arg);

/*
 * List the domains of which an older version had only the records, once in a
 * fleet's life: afterwards it costs nothing to ask.
 */
void store_fill(struct store *);

/* How many domains there are in each status. */
struct store_counts {
	int64_t total, status[DOMAIN_STATUSES];
};
typedef void store_counts_fn(
    void *arg, const struct store_counts *, const struct err *e);
void store_counts(struct store *, store_counts_fn *, void *arg);

/*
 * Write the whole record (fenced by d->epoch), make its next action due at
 * next_at (0: none, -1: as it is), and append an event when type is not NULL.
 */
void store_update(struct store *, const struct domain *, int64_t next_at,
    const char *event_type, store_fn *, void *arg);

/*
 * What an owner changes; each is due at once, so that the leader looks.  What
 * the leader has decided upon older facts is then refused (err type "CHANGED").
 * A domain that is no longer there is "GONE".
 */

/*
 * The owner's own certificate is served from now on or, with rollout "canary",
 * once a node has proven it.  d has the custom_* fields.  Fails when the key
 * cannot be sealed: then fn is not called.
 */
struct cert;
int store_custom_set(struct store *, const struct domain *d,
    const struct cert *, const char *key_pem, store_fn *, void *arg,
    struct err *);

/*
 * It goes; the managed one follows, at once or when there is one.  epoch 0: the
 * owner asks, whatever it is; else the leader, if it is still the one with this
 * sha1.  yes: it is gone.
 */
void store_custom_clear(struct store *, const char *name, int64_t epoch,
    const char *sha1, store_yes_fn *, void *arg);

/* Switch Let's Encrypt on or off.  yes: that changed something. */
void store_letsencrypt(
    struct store *, const char *name, bool on, store_yes_fn *, void *arg);

/* It is its app's canonical domain, or no longer.  yes: that was not so. */
void store_canonical(
    struct store *, const char *name, bool on, store_yes_fn *, void *arg);

/* The managed certificate is to be revoked.  yes: there is one. */
void store_revoke(struct store *, const char *name, const char *reason,
    store_yes_fn *, void *arg);

/* Another certificate is wanted now, or the next attempt at one. */
void store_renew(struct store *, const char *name, store_fn *, void *arg);

/*
 * A certificate that was made elsewhere becomes the managed one of the domain d,
 * which is added to its app when it is not there; d has name, app, what its
 * owner has chosen so far and what is known of the certificate.  result: "imported", "replaced", "kept" (another
 * is served), "unchanged" or "worse" (what is there ends later).  A name of
 * another app is an error of type "TAKEN".  dry: say so and change nothing.
 * With rollout "canary" what would be served is proven by a node first.
 * Fails when the key cannot be sealed: then fn is not called.
 */
typedef void store_import_fn(
    void *arg, const char *result, const struct err *e);
int store_import(struct store *, const struct domain *d, const struct cert *,
    const char *key_pem, bool dry, store_import_fn *, void *arg, struct err *);

/* --- the leader's work --------------------------------------------------- */

typedef void store_lease_fn(void *arg, bool granted, int64_t epoch,
    const char *holder, int64_t left_ms, const struct err *e);
/* A new grant's epoch is later than seen, which store_on_fenced() told, or 0. */
void store_lease(struct store *, int64_t seen, store_lease_fn *, void *arg);

/* The lease as it stands; until is by Redis's clock. */
struct store_leader {
	char node[64];
	int64_t epoch, until; /* wall ms; 0: it was handed over */
};
typedef void store_leader_fn(
    void *arg, const struct store_leader *, const struct err *e);
void store_leader(struct store *, store_leader_fn *, void *arg);

void store_release(struct store *, int64_t epoch, store_fn *, void *arg);

typedef void store_names_fn(
    void *arg, const char *const *names, size_t n, const struct err *e);
/* Up to n names of a partition that are due, each put off by visibility_ms. */
void store_claim(struct store *, int partition, int64_t now_ms, int n,
    int64_t visibility_ms, store_names_fn *, void *arg);

/* When what has been due longest became due, wall ms; 0: nothing is there. */
typedef void store_gen_fn(void *arg, int64_t gen, const struct err *e);
void store_due(struct store *, store_gen_fn *, void *arg);

/* The journal of an order in flight; strings "" when absent. */
struct store_order {
	int64_t epoch, started_at;
	char *step, *url;
	char *key_pem; /* opened; wiped when the callback returns */
	/* Of two certificates the first: a bundle, kept until both are there. */
	const void *first;
	size_t first_len;
	char *first_ca; /* the directory of its CA; "": not known */
};
typedef void store_order_fn(
    void *arg, const struct store_order *, const struct err *e);
void store_order(struct store *, const char *name, store_order_fn *, void *arg);

/*
 * Begin the journal of an order: step "new", at wall ms started_at.  An error of
 * type "STEP" says that there is one already.
 */
typedef void store_begun_fn(void *arg, int64_t started_at, const struct err *e);
void store_begin(struct store *, const char *name, int64_t epoch,
    store_begun_fn *, void *arg);

/*
 * Move the journal to step; url and key_pem are written when not NULL (the key
 * sealed).  expected as in the library: "" no journal yet, "*" any.  Fails when
 * the key cannot be sealed: then fn is not called.
 */
int store_journal(struct store *, const char *name, int64_t epoch,
    const char *expected, const char *step, const char *url,
    const char *key_pem, store_fn *, void *arg, struct err *);

/*
 * Begin the journal of the order for a second certificate: what was known of
 * the first order is forgotten, but for what came of it.
 */
int store_journal_first(struct store *, const char *name, int64_t epoch,
    const void *first, size_t len, const char *ca, store_fn *, void *arg,
    struct err *);
void store_abandon(
    struct store *, const char *name, int64_t epoch, store_fn *, void *arg);

/*
 * The certificate becomes the domain's, atomically with record, index, event,
 * journal and due.  d carries what the record is to say; its version and gen
 * are in the callback.  bundle is the packed bundle.  One that ends earlier than
 * what is there is refused (err type "WORSE") unless it is newer.  With rollout
 * "canary" it only waits beside what is there, and gen is 0.
 */
typedef void store_commit_fn(
    void *arg, int64_t version, int64_t gen, const struct err *e);
void store_commit(struct store *, const struct domain *d, int64_t next_at,
    bool newer, const void *bundle, size_t len, store_commit_fn *, void *arg);
/* The CA has revoked that certificate: another is due, or it is forgotten. */
void store_revoked(struct store *, const char *name, int64_t epoch,
    const char *sha1, store_fn *, void *arg);

/*
 * The CA account; key_pem and url are "" when there is none.  ca is the
 * directory's URL.
 */
typedef void store_account_fn(
    void *arg, const char *key_pem, const char *url, const struct err *e);
void store_account(
    struct store *, const char *ca, store_account_fn *, void *arg);

/* Fails when the key cannot be sealed: then fn is not called. */
int store_account_put(struct store *, const char *ca, const char *key_pem,
    const char *url, store_fn *, void *arg, struct err *);

/*
 * A new key for the account: asked for; then, "" until it is put, the key that
 * is to follow.  It ends when the account has that key, or will not get it.
 */
void store_rollover_ask(struct store *, store_fn *, void *arg);
typedef void store_rollover_fn(
    void *arg, bool asked, const char *key_pem, const struct err *e);
void store_rollover(struct store *, store_rollover_fn *, void *arg);
int store_rollover_put(
    struct store *, const char *key_pem, store_fn *, void *arg, struct err *);
void store_rollover_end(struct store *, bool done);

/* --- an app's variables ---------------------------------------------------- */

/*
 * As env_pack() made them, "" when there are none, wiped when fn returns; and
 * the same sealed, which is what a change is made of.
 */
struct store_env {
	const char *text;
	size_t len;
	const char *sealed;
	size_t sealed_len;
};
typedef void store_env_fn(
    void *arg, const struct store_env *, const struct err *e);
void store_env(struct store *, const char *app, store_env_fn *, void *arg);

/* Open what store_env() gave as sealed; the caller wipes plain. */
int store_env_open(struct store *, const char *app, const void *sealed,
    size_t len, struct buf *plain, struct err *);

/*
 * Put text in their place, none when it is empty, if they are sealed as given:
 * else somebody else was faster (err type "CHANGED").  Fails when they cannot
 * be sealed: then fn is not called.
 */
int store_env_put(struct store *, const char *app, const void *sealed,
    size_t sealed_len, const void *text, size_t len, store_fn *, void *arg,
    struct err *);

/*
 * They have changed: a wildcard of the app that waits, or has failed, is due
 * at once.
 */
void store_env_changed(struct store *, const char *name);

void store_publish(struct store *, const char *token, const char *keyauth,
    int ttl_s, store_fn *, void *arg);
void store_withdraw(struct store *, const char *token);
void store_thumbprint(struct store *, const char *thumbprint);

/* --- what every node does ------------------------------------------------ */

/* The generation of a partition. */
void store_gen(struct store *, int partition, store_gen_fn *, void *arg);

/* One entry of the index. */
struct store_entry {
	const char *name;
	int64_t version, not_after;
	const char *sha1;
	bool custom;   /* the owner's own */
	int64_t since; /* when its owner chose the kind; 0: never */
};
/* A page at a time; more: another follows, unless e says that it failed. */
typedef void store_index_fn(void *arg, const struct store_entry *, size_t n,
    bool more, const struct err *e);
void store_index(struct store *, int partition, store_index_fn *, void *arg);

/* Names that were removed: the only reason to drop a certificate. */
void store_removed(struct store *, int partition, store_names_fn *, void *arg);

/* The bundle's bytes; NULL when there is none. */
typedef void store_bundle_fn(
    void *arg, const void *bundle, size_t len, const struct err *e);
void store_bundle(struct store *, const char *name, bool custom,
    store_bundle_fn *, void *arg);

/* A node's heartbeat. */
struct store_node {
	char id[64];
	int64_t at;       /* wall ms of the beat */
	struct gens gens; /* applied */
	char version[16]; /* of certfleet-sync */
	char haproxy[64]; /* versions, comma separated */
	char haproxy_pids[64];
	int64_t wanted, served, failed; /* certificates */
	char errors[1024]; /* "name=why; name=why" of those that failed */
	char keks[128]; /* "2:1,2": the key that seals, and all of the ring */
	bool candidate; /* may become the leader */
	/* Of the leader: domains and orders in hand, the last certificate. */
	int64_t in_hand, orders, committed_at;
	char differs[1024]; /* "name=SHA1; ..." shown in place of ours */
	char digest[33];    /* of the names that are served */
	char trials[1024];  /* "name=SHA1=since=why; ...", why "": proven */
	int64_t behind_at;  /* since when it is behind, 0: it is not */
	bool leader;
	bool barrier;     /* answers challenge barriers: has an HTTP address */
	int64_t offers;   /* certificates that Redis has not, and it has */
	int64_t mustered; /* of the last store_muster() that it has followed */
	bool live;        /* filled when read */
};
/* It is one of the fleet, whatever it does: said now and then. */
void store_present(struct store *, const char *id, int64_t now_ms);
void store_beat(
    struct store *, const struct store_node *, store_fn *, void *arg);
void store_leave(struct store *, const char *id);
/* By id. */
typedef void store_nodes_fn(
    void *arg, const struct store_node *, size_t n, const struct err *e);
void store_nodes(struct store *, store_nodes_fn *, void *arg);

/* The time by Redis's clock, wall ms. */
void store_time(struct store *, store_gen_fn *, void *arg);

void store_ready(struct store *, const char *token); /* PUBLISH token node */

/* --- events -------------------------------------------------------------- */

/* The newest n events of partition 0.., oldest first; fields as text pairs. */
struct store_event {
	const char *id;
	const char *const *field; /* name, value, name, value... */
	size_t nfields;           /* pairs */
};
typedef void store_events_fn(
    void *arg, const struct store_event *, size_t n, const struct err *e);
void store_events(
    struct store *, int partition, int n, store_events_fn *, void *arg);

/* The oldest n events from id on, that one included, oldest first. */
void store_events_from(struct store *, int partition, const char *id, int n,
    store_events_fn *, void *arg);

/* Up to which event webhooks have been delivered; "": none ever was. */
typedef void store_text_fn(void *arg, const char *text, const struct err *e);
void store_webhook_cursor(
    struct store *, int partition, store_text_fn *, void *arg);
void store_webhook_done(struct store *, int partition, int64_t epoch,
    const char *id, store_fn *, void *arg);

/* What was decided about a domain, newest first: a JSON object each. */
#define STORE_TIMELINE_MAX 50
void store_timeline(
    struct store *, const char *name, store_names_fn *, void *arg);

/* A key of redis_keys.h filled in, for streams and channels. */
const char *store_key(const struct store *, const char *format, char *out,
    size_t size, int partition, const char *name);

#endif
