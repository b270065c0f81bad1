/*
 * The store's buckets of what a CA allows: one call of the library each.
 *
 * As in sync/store.h: callbacks are never called from within, and exactly once
 * unless the store is freed first.
 */
#ifndef SYNC_STORE_LIMIT_H
#define SYNC_STORE_LIMIT_H

#include "sync/limit.h"
#include "sync/store.h"

/* How a bucket is; times are wall ms by Redis's clock. */
struct store_limit {
	bool granted; /* of a spend: it has room */
	int64_t left, used;
	int64_t free_at; /* of the next place, 0: now */
	int64_t now;
	int64_t blocked_until; /* by the CA, 0: not; only when looked at */
	const int64_t *spent;  /* when, oldest first; only when looked at */
	size_t nspent;
};
typedef void store_limit_fn(
    void *arg, const struct store_limit *, const struct err *e);

/*
 * Take one for id of each bucket that spends, or of none when one of all has no
 * room (granted is false there).  Once however often it is asked; after that it
 * is granted with the time of the last asking.  used is without id's own.
 */
typedef void store_limits_fn(void *arg, const struct store_limit *, size_t n,
    bool granted, const struct err *e);
void store_limits_spend(struct store *, const struct limit *, size_t n,
    const char *id, store_limits_fn *, void *arg);

/*
 * It has happened, at wall ms at (0: now), so it counts whatever the limit; one
 * that is there moves forward.  fn may be NULL.
 */
void store_limit_happened(struct store *, const struct limit *, const char *id,
    int64_t at, store_fn *, void *arg);

/* Give it back. */
void store_limit_refund(struct store *, const struct limit *, const char *id);

/* The CA says: not before.  fn may be NULL. */
void store_limit_block(
    struct store *, const struct limit *, int64_t until, store_fn *, void *arg);

/* Look at up to STORE_LIMITS_PEEK_MAX at the same time; granted is true. */
#define STORE_LIMITS_PEEK_MAX 32
void store_limits_peek(struct store *, const struct limit *, size_t n,
    store_limits_fn *, void *arg);

/* Look, with the times of the newest nspent spends. */
#define STORE_LIMIT_SPENT_MAX 100000
void store_limit_peek(struct store *, const struct limit *, int64_t nspent,
    store_limit_fn *, void *arg);

#endif
