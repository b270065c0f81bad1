/*
 * An even pace for what has become overdue: so many may begin in a minute, and
 * whoever comes too early is told when to come again, each later than the one
 * before.  So a hundred thousand of them neither begin together nor come back
 * together.
 *
 * Pure: the time is passed in.
 */
#ifndef SYNC_SPREAD_H
#define SYNC_SPREAD_H

#include <stdint.h>

/* Zero is a pace at which nobody has begun for long. */
struct spread {
	int64_t next; /* the next may begin */
	int64_t tail; /* the last who was sent away comes again */
};

/*
 * May one begin, one in step_ms on average?  Return 0, and it has begun, or
 * after how many milliseconds it is to come again.
 */
int64_t spread_take(struct spread *, int64_t step_ms, int64_t now_ms);

#endif
