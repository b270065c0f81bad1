/*
 * What the watch*.c files share: watch.c follows what changes, watch_fetch.c gets
 * the bundles.  Private to them.
 */
#ifndef SYNC_WATCH_IMPL_H
#define SYNC_WATCH_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/heap.h"
#include "common/table.h"
#include "sync/hold.h"
#include "sync/lowest.h"
#include "sync/outbox.h"
#include "sync/store.h"
#include "sync/watch.h"

/* What is followed of one partition. */
struct part {
	struct watch *watch;
	int number;
	struct rds_stream *stream;
	struct lowest lowest; /* generation of its fetches */
	int64_t seen;         /* generation that hold has been told of */
	int64_t reading;      /* generation of the index being read */
	int64_t heard;        /* the highest that was told */
	bool reconciling, again;
	bool compared; /* all of it, at least once */
	/* Of the muster that is being followed, and of the last one that was. */
	int64_t mustering, mustered;
};

/* A bundle that is wanted from Redis. */
struct fetch {
	TAILQ_ENTRY(fetch) link;
	struct watch *watch;
	struct part *part;
	struct hold_entry entry;
	bool custom; /* its owner's own is wanted */
	bool asked;
	uint32_t at;       /* in waiting, by rank */
	UT_hash_handle hh; /* by name, until it is asked for */
	char name[];
};

struct watch {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct hold *hold;
	struct outbox *outbox;
	const struct rds_conf *rds_conf;
	struct part *part; /* none before the first watch_reconcile() */
	int nparts;
	struct trials *trials;
	watch_fn *fn;
	void *arg;
	TAILQ_HEAD(, fetch) fetches;
	struct fetch *by_name; /* of those that were not asked for yet */
	struct heap waiting;   /* the same: what is needed most is first */
	uint32_t turn;
	int nasked;
	bool prune; /* when nothing is left to be fetched */
	bool went_back;
	int64_t muster; /* number of the last one that was asked for */
	struct event *timer;
};

/* None is under way yet. */
void watch_fetches(struct watch *);

/* Want what the index says of a name. */
void watch_fetch(
    struct part *, const char *name, bool custom, const struct hold_entry *);

/* Ask for those whose turn it is. */
void watch_fetch_next(struct watch *);

/* It is not wanted any more, or there. */
void watch_fetch_free(struct fetch *);

/* Out of service: also what was asked for and has not come yet. */
void watch_drop(struct watch *, const char *name);

#endif
