/*
 * When is the next attempt due?  Pure arithmetic over times that are passed in.
 */
#ifndef SYNC_RENEW_H
#define SYNC_RENEW_H

#include <stdint.h>

/*
 * A certificate is renewed when percent of its lifetime has passed (day 60 of
 * 90, day 30 of 45), moved back by up to a fiftieth of the lifetime: where in
 * it is a fixed point per name, so that names issued together are not renewed
 * together.  Times in wall-clock milliseconds.
 */
int64_t renew_at(
    const char *name, int64_t not_before, int64_t not_after, int percent);

/*
 * The pause before attempt number attempts + 1 after attempts failures in a
 * row: first_ms, doubled each time, at most max_ms; of that between 75 % and
 * 100 %, chosen by random (any number).  Never less than asked_ms, which is
 * what the CA asked for.
 */
int64_t renew_pause(int64_t attempts, int64_t first_ms, int64_t max_ms,
    int64_t asked_ms, uint32_t random);

#endif
