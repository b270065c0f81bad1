/* The newest events of all partitions, as one list. */
#ifndef SYNC_API_GATHER_H
#define SYNC_API_GATHER_H

#include <stddef.h>

#include <jansson.h>

#include "common/err.h"
#include "sync/api/json.h"

struct store;

struct line {
	struct stream_id id;
	int partition;
	json_t *event;
};

/* Lines, oldest first; they live until fn returns. */
typedef void gather_fn(
    void *arg, const struct line *, size_t n, const struct err *e);

/*
 * Ask for the newest events: at most each of a partition, and of all together
 * the newest most.  fn is called exactly once unless the store is
 * freed first: then gather_free() ends it.
 */
struct gather *gather_new(
    struct store *, int each, size_t most, gather_fn *, void *arg);
void gather_free(struct gather *);

#endif
