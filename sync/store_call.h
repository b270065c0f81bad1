/*
 * What the store_*.c files share: a call in flight, and how replies are read.
 * Private to the store.
 */
#ifndef SYNC_STORE_CALL_H
#define SYNC_STORE_CALL_H

#include <sys/queue.h>

#include "common/rds.h"
#include "common/redis_keys.h"
#include "common/seal.h"
#include "sync/store.h"
#include "sync/store_canary.h"
#include "sync/store_heal.h"
#include "sync/store_limit.h"
#include "sync/store_reseal.h"
#include "sync/store_search.h"
#include "sync/store_token.h"

struct call;
LIST_HEAD(calls, call);

struct store {
	struct rds *rds;
	const struct conf *conf;
	const struct seal_ring *ring;
	int partitions; /* as set until those of Redis are known */
	bool known;
	char old[256]; /* why we may change nothing, or "" */
	bool named;    /* all records have their names beside them */
	bool filling;  /* they are getting them */
	store_fenced_fn *fenced;
	void *fenced_arg;
	struct calls calls;
};

/* Who is to be told. */
union store_tell {
	store_fn *done;
	store_yes_fn *yes;
	store_domain_fn *domain;
	store_list_fn *list;
	store_page_fn *page;
	store_counts_fn *counts;
	store_found_fn *found;
	store_ahead_fn *ahead;
	store_lease_fn *lease;
	store_leader_fn *leader;
	store_names_fn *names;
	store_order_fn *order;
	store_begun_fn *begun;
	store_commit_fn *commit;
	store_import_fn *import;
	store_text_fn *text;
	store_account_fn *account;
	store_gen_fn *gen;
	store_index_fn *index;
	store_bundle_fn *bundle;
	store_nodes_fn *nodes;
	store_canaries_fn *canaries;
	store_staged_fn *staged;
	store_events_fn *events;
	store_rollover_fn *rollover;
	store_env_fn *env;
	store_limit_fn *limit;
	store_limits_fn *limits;
	store_token_fn *token;
	store_token_key_fn *token_key;
	store_offers_fn *offers;
	store_restore_fn *restore;
	store_role_fn *role;
	store_sealed_fn *sealed;
	store_pairs_fn *pairs;
};

/*
 * One question to Redis, from rds_send() to its reply; got() reads the reply
 * and tells whoever asked.  Freed after got() returns, unless got() has sent
 * another command for it (call_again), as calls of several commands do.
 */
struct call {
	LIST_ENTRY(call) link;
	struct store *store;
	void (*got)(
	    struct call *, const struct rds_reply *, const struct err *);
	void (*drop)(struct call *); /* frees state; NULL: there is none */
	union store_tell tell;
	void *arg;
	void *state;
	int waiting;       /* replies still to come */
	struct err failed; /* of calls with several replies */
	char name[DOMAIN_NAME_MAX];
};

struct call *call_new(struct store *, void *arg);
void call_send(struct call *, const struct rds_cmd *,
    void (*got)(struct call *, const struct rds_reply *, const struct err *));

/* got() for calls whose reply says nothing but that it went well. */
void call_done(struct call *, const struct rds_reply *, const struct err *);

/* got() for calls answered by 1 or 0. */
void call_yes(struct call *, const struct rds_reply *, const struct err *);

/* got() for calls answered by version and generation; more: it is staged. */
void call_committed(
    struct call *, const struct rds_reply *, const struct err *);

/* got() for calls answered by a list of names. */
void call_names(struct call *, const struct rds_reply *, const struct err *);

/* Entries of a stream in the order of r, or from its end, to tell.events. */
void call_events(struct call *, const struct rds_reply *, bool newest_first,
    const struct err *);

/* Ask for the newest n entries of a stream, to be told oldest first. */
void call_range(
    struct store *, const char *key, int n, store_events_fn *, void *arg);

/* Send a command whose reply interests nobody; failure is logged. */
void call_forget(struct store *, const struct rds_cmd *);

/*
 * Those who follow the events hear of what is no domain's: an event of that
 * type, about an app (NULL: about none).
 */
void call_event(struct store *, const char *type, const char *app);

/* Begin a call of one of the library's functions. */
void call_function(struct rds_cmd *, const char *function, int nkeys);

/* It changes nothing: whoever may only read may call it. */
void call_read_only(struct rds_cmd *);

/* The same with its keys, which end with NULL. */
void call_keys(struct rds_cmd *, const char *function, const char *const *keys);

/* Fill in a number that was not known when its argument was made. */
void call_arg_set(struct rds_cmd *, size_t at, int64_t);

/* The account's key names the CA by its directory, without what is no name. */
void store_account_key(
    const struct store *, const char *ca, char key[static KEY_MAX]);

/* The keys of one domain and its partition. */
struct domain_keys {
	char domain[KEY_MAX], cert[KEY_MAX], order[KEY_MAX];
	char due[KEY_MAX], index[KEY_MAX], gen[KEY_MAX], events[KEY_MAX];
	char removed[KEY_MAX], timeline[KEY_MAX], custom[KEY_MAX];
};
void domain_keys(const struct store *, const char *name, struct domain_keys *);

/*
 * Begin a call of one of the library's functions for owners: its keys in the
 * order of owner_keys() of common/library.lua.
 */
void call_owner(
    struct rds_cmd *, const char *function, const struct domain_keys *);

/* A number in a reply: integer, or text; 0 when it is none. */
int64_t reply_int(const struct rds_reply *);

/* Fill a record from HGETALL's field, value list. */
int reply_domain(const struct rds_reply *, struct domain *, struct err *);

/*
 * The app's set gets a name before its record is made: were we to die in
 * between, a name too many in it is passed over, one too few would never be
 * listed.
 */
void app_add(struct store *, const char *app, const char *name);

/* The fields of the record that belong to the leader: field, value... */
size_t domain_args(const struct domain *, struct rds_cmd *);

/* Names of those that are to be deleted because they have no value. */
void domain_absent_args(const struct domain *, struct rds_cmd *);

#endif
