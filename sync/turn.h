/*
 * Turns: who waits for a full bucket is given a moment of its own, so that a
 * place that becomes free does not wake all of them.
 *
 * Pure.  The places of a bucket that is full now become free between free_at and
 * a window from now; where more wait than there are places, they share.
 */
#ifndef SYNC_TURN_H
#define SYNC_TURN_H

#include <stdint.h>

#include "sync/limit.h"

struct turns;

struct turns *turns_new(void);
void turns_free(struct turns *);

/* The moment for one more who waits for the bucket; the next place is free_at. */
int64_t turns_take(
    struct turns *, const struct limit *, int64_t free_at, int64_t now_ms);

/* Buckets that nobody waits for are forgotten. */
void turns_forget(struct turns *, int64_t now_ms);

#endif
