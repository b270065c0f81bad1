/*
 * What this node has to prove as the canary: from Redis' list into its HAProxy,
 * and how it went into its heartbeat.
 */
#ifndef SYNC_TRIALS_H
#define SYNC_TRIALS_H

#include <stddef.h>

#include "common/rds.h"

struct conf;
struct event_base;
struct hold;
struct store;
struct trials;

/* There is news for the heartbeat; trials_told() follows it. */
typedef void trials_news_fn(void *arg);

/* A trial is over: what the index of that partition says is to be taken. */
typedef void trials_over_fn(void *arg, int partition);

struct trials *trials_new(struct event_base *, const struct conf *,
    struct store *, struct hold *, trials_news_fn *, trials_over_fn *,
    void *arg);
void trials_free(struct trials *);

/* Read the list of a partition. */
void trials_look(struct trials *, int partition);

/* The same when an event is a reason to. */
void trials_hear(struct trials *, int partition, const char *type,
    const struct rds_reply *fields);

/* Something has changed in hold. */
void trials_check(struct trials *);

/* "name=SHA1=since=why; ...", as many as fit; why "": it is proven. */
void trials_text(const struct trials *, char *out, size_t size);

/* The heartbeat is on its way: tell the leader what is new in it. */
void trials_told(struct trials *);

#endif
