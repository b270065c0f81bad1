/* Everything that Redis holds of a fleet, as lines. */
#ifndef SYNC_FLEET_READ_H
#define SYNC_FLEET_READ_H

#include <jansson.h>

#include "common/err.h"

struct conf;
struct link;

/* A line, borrowed; not 0 stops the reading. */
typedef int fleet_read_fn(void *arg, const json_t *line, struct err *);

/*
 * Read all domains (record, bundles, journal, timeline, index and due), what was
 * removed, apps, variables, accounts, tokens and what was spent of limits.  Not
 * read: events, audit, heartbeats, the lease, challenges.
 */
int fleet_read(struct link *, const struct conf *, int partitions,
    fleet_read_fn *, void *arg, struct err *);

/* The generations of the partitions; -1 when they cannot be read. */
int fleet_read_gens(struct link *, const struct conf *, int partitions,
    json_t *gens, struct err *);

/* HGETALL of the meta record as { field: text }, {} when there is none. */
json_t *fleet_read_meta(struct link *, const struct conf *, struct err *);

/*
 * Is there any key of the fleet's prefix where that partition is?  1, 0 or -1.
 */
int fleet_read_any(
    struct link *, const struct conf *, int partition, struct err *);

/* A key of redis_keys.h, of one of its three shapes. */
#define FLEET_KEY_MAX 1024
const char *fleet_key(const struct conf *, const char *format, int partition,
    const char *name, char out[static FLEET_KEY_MAX]);

/* Where the counter of a limit is, by "bucket:key". */
const char *fleet_limit_key(
    const struct conf *, const char *name, char out[static FLEET_KEY_MAX]);

/* Of one domain, beside its index entry and what else is in lists of all. */
struct fleet_part {
	const char *member, *format, *suffix;
	int shape; /* enum fleet_shape */
};
#define FLEET_PARTS 12
extern const struct fleet_part fleet_parts[FLEET_PARTS];

/* Keys of the fleet that are there once. */
#define FLEET_SINGLES 5
extern const struct fleet_part fleet_singles[FLEET_SINGLES];

#endif
