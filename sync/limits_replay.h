/*
 * Puts what the ledger has into Redis: all of it before a leader begins, one
 * bucket when Redis turns out to have lost data.
 */
#ifndef SYNC_LIMITS_REPLAY_H
#define SYNC_LIMITS_REPLAY_H

#include "sync/ledger.h"

struct conf;
struct event_base;
struct replay;
struct store;

/*
 * Put all back; fn is called once when it is done, from the loop, and the
 * replay is gone then.  What fails is tried again.
 */
typedef void replay_fn(void *arg);
struct replay *replay_new(struct event_base *, const struct conf *,
    struct store *, const struct ledger *, replay_fn *, void *arg);
void replay_free(struct replay *);

/* Put one bucket back, in commands that go out before any later one. */
void replay_bucket(struct store *, const struct ledger *, const struct limit *);

#endif
