/*
 * What changed, for this node: the events stream wakes it, generation and index
 * are the truth it reconciles from.
 */
#ifndef SYNC_WATCH_H
#define SYNC_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/rds.h"
#include "sync/gens.h"

struct conf;
struct event_base;
struct hold;
struct outbox;
struct store;
struct watch;

/* Called for each event of the stream; type as the library writes it. */
typedef void watch_fn(void *arg, const char *type);

/* Follow Redis and keep hold equal to the index.  rds_conf is borrowed. */
struct watch *watch_new(struct event_base *, const struct conf *,
    const struct rds_conf *, struct store *, struct hold *, watch_fn *,
    void *arg);
void watch_free(struct watch *);

/*
 * What this node has to prove as the canary is looked at with each event and
 * each comparison.
 */
struct trials;
void watch_trials(struct watch *, struct trials *);

/* Compare a partition soon, whatever its generation. */
void watch_again(struct watch *, int partition);

/* The highest generations that were heard of. */
void watch_heard(const struct watch *, struct gens *);
/* Tell the outbox, which may be NULL, what this node has taken. */
void watch_outbox(struct watch *, struct outbox *);

/* Up to which generations everything is settled; none before the first look. */
void watch_applied(const struct watch *, struct gens *);

/*
 * Redis is back and the store initialised: compare everything.  The first time
 * all partitions begin to be followed.
 */
void watch_reconcile(struct watch *);

/*
 * Compare all with Redis as it is now, whatever the generations say, under a
 * number of the caller's; it is the last one done when that is through.
 */
void watch_muster(struct watch *, int64_t number);
int64_t watch_mustered(const struct watch *);

/* Has Redis gone back behind what we knew, since this was asked last? */
bool watch_went_back(struct watch *);

#endif
