/*
 * The leader asks what Redis has lost, before it orders anything: every node
 * compares what it holds with Redis and offers what is missing or older there
 * (sync/offers.h).  What passes the checks becomes the domain's again, without
 * an order; a domain that was lost as a whole comes back with it.
 */
#ifndef SYNC_MUSTER_H
#define SYNC_MUSTER_H

#include <stdint.h>

struct conf;
struct event_base;
struct hold;
struct muster;
struct outbox;
struct seal_ring;
struct store;
struct watch;

/* The outbox, which may be NULL, is one that has something to offer, too. */
struct muster *muster_new(struct event_base *, const struct conf *,
    const struct seal_ring *, struct store *, struct watch *,
    const struct hold *, struct outbox *);
void muster_free(struct muster *);

/*
 * Ask all nodes.  fn is called once, unless it is stopped: when this node has
 * compared and, if Redis turns out to have lost anything, when all live nodes
 * have and nothing is offered any more, or have been silent for as long as one
 * counts as live.  Afterwards what is offered later is taken, too, until
 * muster_stop().
 */
typedef void muster_fn(void *arg);
void muster_start(struct muster *, int64_t epoch, muster_fn *, void *arg);
void muster_stop(struct muster *);

#endif
