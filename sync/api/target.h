/*
 * The target of a request, "/v1/apps/a/domains?x=y": taken apart, decoded, and
 * matched with a route's pattern.  Pure.
 */
#ifndef SYNC_API_TARGET_H
#define SYNC_API_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define TARGET_MAX 2048   /* bytes of a target */
#define TARGET_SEGMENTS 8 /* between its slashes */
#define TARGET_QUERIES 8  /* key=value after the "?" */
#define TARGET_PARAMS 2   /* ":name" in a pattern */

struct target {
	char text[TARGET_MAX + 1]; /* what the others point into */
	const char *segment[TARGET_SEGMENTS];
	size_t nsegments;
	const char *key[TARGET_QUERIES], *value[TARGET_QUERIES];
	size_t nqueries;
};

/*
 * Take raw apart: each segment and each query is percent-decoded on its own,
 * so that "%2F" is a character of a segment.  A lone trailing "?" is nothing.
 * Fails with ERR_REFUSED: not a path, too long, too many parts, a "%" that
 * begins no byte, a NUL.
 */
int target_parse(const char *raw, struct target *, struct err *);

/* The value of the first query of that name, or NULL. */
const char *target_query(const struct target *, const char *key);

/*
 * The number in a query, within min..max; otherwise when it is not given.
 * Fails with ERR_REFUSED and a sentence that names the query.
 */
int target_int(const struct target *, const char *key, int64_t min, int64_t max,
    int64_t otherwise, int64_t *v, struct err *);

/*
 * Compare with a pattern such as "/v1/apps/:app/domains": a segment that
 * begins with ":" matches any that is not empty, and goes to param in order.
 */
bool target_match(const struct target *, const char *pattern,
    const char *param[static TARGET_PARAMS]);

#endif
