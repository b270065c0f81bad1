/*
 * Is this node the leader?  A lease in Redis, for efficiency; safety is the
 * epoch that every change carries (common/library.lua).
 */
#ifndef SYNC_LEADER_H
#define SYNC_LEADER_H

#include <stdbool.h>
#include <stdint.h>

struct conf;
struct event_base;
struct leader;
struct store;

/* Called at each change: leading with an epoch, or not (epoch 0). */
typedef void leader_fn(void *arg, bool leading, int64_t epoch);

/*
 * Ask for the lease now and every renew_ms.  A lease is acted upon for four
 * fifths of its time, counted from when it was asked for by a clock that does
 * not jump: then this node stops by itself, whether or not Redis can be heard.
 */
struct leader *leader_new(struct event_base *, const struct conf *,
    struct store *, leader_fn *, void *arg);
void leader_free(struct leader *);

/* 0: not leading, as is who has no leader (NULL). */
int64_t leader_epoch(const struct leader *);
const char *leader_holder(const struct leader *); /* as last heard, or "" */

/* Hand over at once, and do not ask again before that long. */
void leader_stand_down(struct leader *, int64_t ms);

/* Hand over at once and ask no more; fn(arg, false, 0) is called if leading. */
void leader_resign(struct leader *);

#endif
