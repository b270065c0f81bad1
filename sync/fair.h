/*
 * Whose turn is it?  Requests wait in one line per key, in the order of their
 * deadlines; keys take turns, no more than `max` are in flight, and no key
 * holds more than three quarters of the places, so that a slow one cannot
 * starve the others.
 */
#ifndef SYNC_FAIR_H
#define SYNC_FAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct fair_line;

/* Part of what is queued; zero before fair_put(). */
struct fair_item {
	struct fair_line *line; /* NULL: neither waiting nor in flight */
	bool in_flight;
	bool resting; /* it is in flight, and needs no place */
	int64_t deadline;
	void *owner;
	TAILQ_ENTRY(fair_item) next;
};

struct fair {
	struct fair_line *by_key;
	TAILQ_HEAD(fair_lines, fair_line) turns; /* lines with waiting items */
	int max, in_flight, waiting;
};

void fair_init(struct fair *, int max);

/* Of one key those with the earlier deadline go first, else who came first. */
void fair_put(struct fair *, struct fair_item *, const char *key,
    int64_t deadline, void *owner);

/* The owner of the item that may go now, NULL when none may. */
void *fair_next(struct fair *);

/*
 * What is in flight gives its place to others while it only waits, and takes
 * one again without waiting, if need be beyond max.
 */
void fair_rest(struct fair *, struct fair_item *, bool resting);

/* The item leaves, from wherever it is; may be called again. */
void fair_leave(struct fair *, struct fair_item *);

#endif
