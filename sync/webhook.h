/*
 * Webhooks: what happens to domains is told to the operator's own server.
 *
 * The queue is the stream of events, in Redis and capped there; the leader
 * delivers from it, one after the other in each partition, and writes down how
 * far it is, with its epoch: whoever leads next goes on from there.  So each is
 * told at least once, and now and then twice; webhook-id is the same then.
 *
 *	2xx        delivered
 *	else       again, after 1 s, 2 s, ... 5 min, until it is a day old
 *
 * Nothing waits for it: while it is away events wait, and the oldest are lost
 * when there are more than the stream holds; that is said in the log.
 */
#ifndef SYNC_WEBHOOK_H
#define SYNC_WEBHOOK_H

#include <stdint.h>

struct conf;
struct event_base;
struct store;
struct webhooks;

struct webhooks *webhooks_new(
    struct event_base *, const struct conf *, struct store *);
void webhooks_free(struct webhooks *);

/* This node leads, or no longer.  Without a URL nothing is done. */
void webhooks_start(struct webhooks *, int64_t epoch);
void webhooks_stop(struct webhooks *);

/* There may be another event. */
void webhooks_kick(struct webhooks *);

/* How old the oldest is that could not be delivered yet, ms. */
int64_t webhooks_lag(const struct webhooks *, int64_t now_ms);

#endif
