/*
 * The lowest of many generations under way, known without looking at all of
 * them each time: most often many are of the same.  Pure.
 */
#ifndef SYNC_LOWEST_H
#define SYNC_LOWEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero: there are none. */
struct lowest {
	int64_t gen;
	size_t n; /* of that generation */
};

void lowest_add(struct lowest *, int64_t gen);

/*
 * One of them is gone.  True when it was the last of the lowest: then forget
 * all and add those that are left.
 */
bool lowest_remove(struct lowest *, int64_t gen);

/* seen, or less when something before it is still under way. */
int64_t lowest_applied(const struct lowest *, int64_t seen);

#endif
