/*
 * What changed, for this node: the events stream wakes it, generation and index
 * are the truth it reconciles from.
 */
#ifndef SYNC_WATCH_H
#define SYNC_WATCH_H

#include <stdint.h>

#include "common/rds.h"

struct conf;
struct event_base;
struct hold;
struct store;
struct watch;

/* Called for each event of the stream; type as the library writes it. */
typedef void watch_fn(void *arg, const char *type);

/* Follow Redis and keep hold equal to the index. */
struct watch *watch_new(struct event_base *, const struct conf *,
    const struct rds_conf *, struct store *, struct hold *, watch_fn *,
    void *arg);
void watch_free(struct watch *);

/* The newest generation whose changes hold has been told of. */
int64_t watch_seen(const struct watch *);

/* Redis is back: compare everything. */
void watch_reconcile(struct watch *);

#endif
