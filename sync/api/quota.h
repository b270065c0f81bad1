/*
 * How often one may ask: a bucket for each, that holds a minute's worth and
 * fills as time passes.  Of this node alone.  Pure.
 */
#ifndef SYNC_API_QUOTA_H
#define SYNC_API_QUOTA_H

#include <stdint.h>

struct quota;

/* per_minute 0: no limit. */
struct quota *quota_new(int per_minute);
void quota_free(struct quota *);

/* Take one for who; 0, or how many ms until there is another. */
int64_t quota_take(struct quota *, const char *who, int64_t now);

#endif
