/*
 * How long a CA takes until what was asked of it is done, learned from how it
 * went: to look too early costs a request, too late the time of everybody who
 * waits.
 */
#ifndef SYNC_PACE_H
#define SYNC_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Zero has learned nothing yet. */
struct pace {
	int64_t first_ms;
	bool was_early; /* once: from now on with care */
};

/* When to look for the first time. */
int64_t pace_first(const struct pace *);

/*
 * After a first look that waited so long: was it done?  Quickly down until one
 * was too early, then slowly: about one of ten is to be.  Many orders that looked at the same time, after
 * the same wait, teach it once.
 */
void pace_learn(struct pace *, int64_t waited_ms, bool done);

#endif
