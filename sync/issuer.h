/*
 * The leader's half of a node: CA account, domains that are due, orders.
 *
 * Exists on every node and sleeps until issuer_start().
 */
#ifndef SYNC_ISSUER_H
#define SYNC_ISSUER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct authorities;
struct conf;
struct event_base;
struct hold;
struct http;
struct issuer;
struct outbox;
struct platform;
struct resolve;
struct seal_ring;
struct skew;
struct store;
struct watch;
struct worker;

/* authorities become the issuer's own. */
struct issuer *issuer_new(struct event_base *, const struct conf *,
    const struct seal_ring *, struct skew *, struct store *, struct http *,
    struct resolve *, struct authorities *, struct worker *);

/*
 * What Redis may have lost comes back from the nodes and from the outbox, which
 * may be NULL.  Call it first.
 */
void issuer_heal(struct issuer *, const struct seal_ring *, struct watch *,
    const struct hold *, struct outbox *);
void issuer_free(struct issuer *);

/* Names that the platform certificate covers need no order.  Call it first. */
void issuer_platform(struct issuer *, const struct platform *);

/* Called when this leader comes no further; see sync/deadman.h. */
typedef void issuer_stalled_fn(
    void *arg, size_t in_hand, int64_t for_ms, int times);
void issuer_watched(struct issuer *, issuer_stalled_fn *, void *arg);

/* Is anything done, since it was asked last? */
bool issuer_moves(struct issuer *);

/*
 * Once per heartbeat: a node that may lead, and does not, keeps a copy of the
 * accounts, so that whoever leads an emptied Redis next has them.
 */
void issuer_remember(struct issuer *);

/* Lead with this epoch: load or make the account, then take in domains. */
void issuer_start(struct issuer *, int64_t epoch);
void issuer_stop(struct issuer *);

/*
 * Redis is back: it may be another by now, or have lost what it had.  Nothing
 * new is ordered until that is known.
 */
void issuer_muster(struct issuer *);

/* Somebody has asked for another account key. */
void issuer_rollover(struct issuer *);

/* The DNS checks, which others may ask for, too. */
struct checks *issuer_checks(struct issuer *);

/* What is in hand; nothing while asleep. */
struct intake_progress;
void issuer_progress(const struct issuer *, struct intake_progress *);

void issuer_kick(struct issuer *);                    /* a domain was added */
void issuer_ready(struct issuer *, const char *text); /* CHANNEL_READY */
void issuer_ack(struct issuer *, const char *text);   /* CHANNEL_ACKS */

#endif
