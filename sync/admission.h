/*
 * When does a domain come again for which its lane had no room?  When the lane
 * will have some, judged by how fast orders end while others wait, and each
 * later than the one before: so a hundred thousand new ones come back one after
 * the other, neither all at once nor after the lane has run dry.
 *
 * Pure: the time is passed in.
 */
#ifndef SYNC_ADMISSION_H
#define SYNC_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/lane.h"

/* However slow it was lately: who comes again is not later than this. */
#define ADMISSION_MOST_MS 30000

/* Zero has seen no order end. */
struct admission {
	int64_t ended_ms; /* the last, 0: nobody waited then */
	int64_t gap_us;   /* between two ends, on average */
	int seen;         /* ends that it is of, at most so many as count */
	int64_t tail_us[LANES]; /* the last who was sent away comes again */
};

/* An order has ended, well or not; do others wait for its place? */
void admission_ended(struct admission *, bool others_wait, int64_t now_ms);

/* After how many ms to come again; `waiting` are before it in the lane. */
int64_t admission_again(
    struct admission *, enum lane, int waiting, int64_t now_ms);

#endif
