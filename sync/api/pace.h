/*
 * How often one may ask: a bucket for each, that holds a minute's worth and
 * fills as time passes.  Of this node alone.  Pure.
 */
#ifndef SYNC_API_PACE_H
#define SYNC_API_PACE_H

#include <stdint.h>

struct pace;

/* per_minute 0: no limit. */
struct pace *pace_new(int per_minute);
void pace_free(struct pace *);

/* Take one for who; 0, or how many ms until there is another. */
int64_t pace_take(struct pace *, const char *who, int64_t now);

#endif
