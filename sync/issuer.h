/*
 * The leader's half of a node: CA account, domains that are due, orders.
 *
 * Exists on every node and sleeps until issuer_start().
 */
#ifndef SYNC_ISSUER_H
#define SYNC_ISSUER_H

#include <stdint.h>

struct conf;
struct event_base;
struct authorities;
struct http;
struct issuer;
struct platform;
struct resolve;
struct seal_ring;
struct skew;
struct store;

/* authorities become the issuer's own. */
struct issuer *issuer_new(struct event_base *, const struct conf *,
    const struct seal_ring *, struct skew *, struct store *, struct http *,
    struct resolve *, struct authorities *);
void issuer_free(struct issuer *);

/* Names that the platform certificate covers need no order.  Call it first. */
void issuer_platform(struct issuer *, const struct platform *);

/* Lead with this epoch: load or make the account, then take in domains. */
void issuer_start(struct issuer *, int64_t epoch);
void issuer_stop(struct issuer *);

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
