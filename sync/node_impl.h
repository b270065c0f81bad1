/*
 * What the node*.c files share: node.c wires a node's parts, node_beat.c tells
 * the others how it is.  Private to them.
 */
#ifndef SYNC_NODE_IMPL_H
#define SYNC_NODE_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/rds_setup.h"
#include "common/redis_keys.h"
#include "sync/gens.h"
#include "sync/node.h"
#include "sync/skew.h"

#define CHANNELS 3

struct node {
	struct event_base *base;
	const struct conf *conf;
	struct rds_setup redis;
	struct embedded_redis *embedded;
	struct rds *rds;
	struct rds_sub *sub;
	char channel[CHANNELS][KEY_MAX]; /* challenges, ready, acks */
	struct store *store;
	struct http *http;
	struct resolve *resolve;
	struct worker *worker; /* waits for the disk */
	struct hold *hold;
	struct visits *visits;
	struct trials *trials;
	struct witness *witness;
	struct watch *watch;
	struct offers *offers;
	struct outbox *outbox; /* NULL where nobody leads, or without a disk */
	struct barrier *barrier;
	struct issuer *issuer;
	const struct seal_ring *ring;
	struct reseal *reseal;
	struct platform *platform;
	struct webhooks *webhooks;
	struct leader *leader;
	struct api *api;
	struct event *beat, *init, *open, *stop;
	struct err *failed; /* where node_run() wants to hear why it ends */
	struct skew skew;
	char clock[160];   /* what is wrong with it, or "" */
	char refused[160]; /* why Redis takes no writes, or "" */
	char stalled[160]; /* why this node leads no longer, or "" */
	struct gens told;  /* in the last beat */
	int64_t full_at;   /* the next beat that says all, not only how far */
	int64_t behind_at; /* heard of more than is applied since, or 0 */
	int64_t mustered;  /* told in the last beat */
	int64_t beat_at;
	bool ready; /* store_init() went well */
	bool leaving;
	bool gave_up; /* a new process may have more luck */
};

/* A heartbeat, of a struct node; the next one is planned with it. */
void node_beat(void *node);

/* Redis's time is known, or not: is ours right? */
void node_got_time(void *node, int64_t redis_ms, const struct err *);

/*
 * A certificate was settled: others wait for us to say so.  Of many we tell in
 * one, as each beat makes the leader look at all nodes.
 */
void node_on_hold(void *node);

/* As the canary we know more: the leader waits for it. */
void node_on_trial(void *node);

/* What is told of a leader that stood still is over when one moves again. */
void node_forget_stall(struct node *);

#endif
