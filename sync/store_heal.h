/*
 * What a Redis that lost data gets back: nodes offer it, the leader takes it.
 *
 * As in sync/store.h: callbacks are never called from within, and exactly once
 * unless the store is freed first.
 */
#ifndef SYNC_STORE_HEAL_H
#define SYNC_STORE_HEAL_H

#include "sync/store.h"

/* A bundle that a node holds. */
struct store_offer {
	const char *name;
	int64_t since; /* when its owner chose its kind; 0: not known */
	const void *bundle;
	size_t len;
};

/* The node's offers are these from now on, for as long as it is live. */
#define STORE_OFFERS_MAX 32
void store_offer(struct store *, const char *node, const struct store_offer *,
    size_t n, store_fn *, void *arg);

/* What a node offers; and that all of it was looked at. */
typedef void store_offers_fn(
    void *arg, const struct store_offer *, size_t n, const struct err *e);
void store_offers(
    struct store *, const char *node, store_offers_fn *, void *arg);
void store_offers_done(struct store *, const char *node);

/* All nodes: compare with this Redis, and say so with that number. */
void store_muster(struct store *, int64_t number);

/*
 * How far the stream of the master of a partition is, and what each of its
 * replicas has acknowledged of it.
 */
#define STORE_REPLICAS_MAX 64
typedef void store_role_fn(void *arg, int64_t offset, const int64_t *acked,
    size_t n, const struct err *e);
void store_role(struct store *, int partition, store_role_fn *, void *arg);

/*
 * The certificate of a bundle becomes the domain's again, unless what is there
 * is newer, or the domain was removed.  d has what the record says of it, also
 * when the domain itself was lost; custom: of the owner's own.
 */
enum store_restored {
	STORE_NOT_WANTED = 0,
	STORE_RESTORED,
	STORE_HAS_IT,
};
typedef void store_restore_fn(
    void *arg, enum store_restored, int64_t gen, const struct err *e);
void store_restore(struct store *, const struct domain *d, bool custom,
    const struct store_offer *, store_restore_fn *, void *arg);

#endif
