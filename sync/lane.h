/*
 * Who may order next: lanes for new domains, renewals and retries, and in each
 * lane the apps take turns.
 *
 * Pure.  A lane has a share of the places that it never exceeds, so that broken
 * domains, however many, cannot keep a new one waiting; and a weight, by which
 * lanes that all have somebody waiting take turns.
 */
#ifndef SYNC_LANE_H
#define SYNC_LANE_H

#include "sync/fair.h"

enum lane {
	LANE_NEW = 0, /* never had a certificate, never failed */
	LANE_RENEWAL, /* has one that serves */
	LANE_RETRY,   /* failed before */
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
};

/* max orders at the same time; at most max_waiting in each lane. */
void lanes_init(struct lanes *, int max, int max_waiting);

/* Queue for an app.  Returns -1 when the lane is full. */
int lanes_put(struct lanes *, struct lane_item *, enum lane, const char *app,
    void *owner);

/* The owner of the item that may go now, NULL when none may. */
void *lanes_next(struct lanes *);

/* The item leaves, from wherever it is; may be called again. */
void lanes_leave(struct lanes *, struct lane_item *);

#endif
