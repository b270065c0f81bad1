/*
 * The names that visitors ask for most, and how much.  Pure.
 *
 * A name's heat is what it had in the busiest hour that was seen, in sixteenths
 * of a request, and halves with each day since.  So it neither grows by being
 * told twice nor goes when a HAProxy begins to count anew, and what two nodes
 * have seen is put together by taking the higher.
 */
#ifndef SYNC_HOT_H
#define SYNC_HOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define HOT_NAMES 1000 /* are kept, the hottest */
#define HOT_TEXT_MAX ((size_t)HOT_NAMES * 272 + 64)

struct hot;

struct hot *hot_new(size_t max);
void hot_free(struct hot *);

/*
 * A round: so many requests an hour were seen for a name, which may be told more
 * than once.  hot_settle() ends it; now is a time that never jumps.
 */
void hot_seen(struct hot *, const char *name, int64_t per_hour);
void hot_settle(struct hot *, int64_t now);

/* 0: nobody asked for it, as far as is known. */
uint32_t hot_heat(const struct hot *, const char *name);

size_t hot_size(const struct hot *);

/* Does it say more than the other: a name that is hotter by a good deal? */
bool hot_tells(const struct hot *, const struct hot *other);

/*
 * As text, the hottest first, and from there: what it says is put together with
 * what is known, as old as the wall clock (wall, ms) makes it.  Text that is not
 * ours is refused as a whole (ERR_REFUSED), lines that are not are passed over.
 */
int hot_dump(const struct hot *, int64_t wall, struct buf *);
int hot_take(
    struct hot *, const char *text, int64_t wall, int64_t now, struct err *);

#endif
