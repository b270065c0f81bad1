/*
 * Is the leader alive in more than name?  It holds its lease as long as its
 * loop turns, also when all that it waits for has died: then another should
 * have it.
 */
#ifndef SYNC_DEADMAN_H
#define SYNC_DEADMAN_H

#include <stddef.h>
#include <stdint.h>

struct conf;
struct deadman;
struct event_base;

/* How it is: domains in hand that wait for us, and how many were put down. */
struct deadman_state {
	size_t in_hand;
	uint64_t moved;
};
typedef void deadman_ask_fn(void *arg, struct deadman_state *);

/*
 * fn is called when there were domains in hand for conf's stalled_ms, or half
 * longer than an order may take, and none was put down; times says how often
 * that was since one was.
 */
typedef void deadman_fn(void *arg, size_t in_hand, int64_t for_ms, int times);
struct deadman *deadman_new(struct event_base *, const struct conf *,
    deadman_ask_fn *, deadman_fn *, void *arg);
void deadman_free(struct deadman *);

void deadman_start(struct deadman *);
void deadman_stop(struct deadman *);

#endif
