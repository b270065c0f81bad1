/*
 * Who may order next: lanes for what is urgent, for new domains, renewals and
 * retries; in each lane the apps take turns, and of an app's domains the one
 * whose certificate ends first is first.
 *
 * Pure.  A lane has a share of the places that it never exceeds, so that broken
 * domains, however many, cannot keep a new one waiting; and a weight, by which
 * lanes that all have somebody waiting take turns.  An order that only waits,
 * because its CA has said so, holds no place.
 */
#ifndef SYNC_LANE_H
#define SYNC_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "sync/fair.h"

enum lane {
	LANE_URGENT = 0, /* has one that ends soon, whatever failed before */
	LANE_NEW,        /* never had a certificate, never failed */
	LANE_RENEWAL,    /* has one that serves */
	LANE_RETRY,      /* failed before */
	/* must stay last */
	LANES
};

/* Part of what is queued; zero before lanes_put(). */
struct lane_item {
	struct fair_item fair;
	enum lane lane;
};

struct lanes {
	struct fair line[LANES];
	int credit[LANES]; /* of the weighted turns */
	int max, in_flight, max_waiting;
	int resting; /* in flight without a place */
};

/* max orders at the same time; at most max_waiting in each lane. */
void lanes_init(struct lanes *, int max, int max_waiting);

/*
 * Queue for an app, by its deadline, any number.  Returns
 * -1 when the lane is full.
 */
int lanes_put(struct lanes *, struct lane_item *, enum lane, const char *app,
    int64_t deadline, void *owner);

/* Does it have no room for another? */
bool lanes_full(const struct lanes *, enum lane);

/* How many wait, in a lane and in all of them. */
int lanes_waiting_in(const struct lanes *, enum lane);
int lanes_waiting(const struct lanes *);

/* The owner of the item that may go now, NULL when none may. */
void *lanes_next(struct lanes *);

/*
 * An order only waits now, or goes on.  Until it does another has its place; no
 * more than LANE_RESTS times max orders are under way in all.
 */
#define LANE_RESTS 4
void lanes_rest(struct lanes *, struct lane_item *, bool resting);

/* The item leaves, from wherever it is; may be called again. */
void lanes_leave(struct lanes *, struct lane_item *);

#endif
