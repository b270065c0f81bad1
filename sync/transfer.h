/*
 * A fleet's state from one Redis into another: into a file, and out of it into
 * an empty Redis, which may have another number of partitions.  Everything stays
 * sealed as it is.
 */
#ifndef SYNC_TRANSFER_H
#define SYNC_TRANSFER_H

#include "common/err.h"

struct conf;
struct seal_ring;

/* Write everything to a new file of mode 0600; "-": standard output. */
int transfer_export(const struct conf *, const struct seal_ring *,
    const char *path, struct err *);

/*
 * Bring it into the Redis of the settings, with as many partitions as they say,
 * and compare all of it afterwards.  Refused where anything of a fleet is, and
 * with another key ring.
 */
int transfer_restore(const struct conf *, const struct seal_ring *,
    const char *path, struct err *);

#endif
