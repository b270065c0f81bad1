/*
 * The leader's domains: takes each name that is due and finds out what it
 * needs next: a DNS check, an order, the nodes' proof, or nothing yet.
 */
#ifndef SYNC_INTAKE_H
#define SYNC_INTAKE_H

#include <stddef.h>
#include <stdint.h>

struct ca;
struct checks;
struct conf;
struct dns01;
struct driver;
struct event_base;
struct intake;
struct platform;
struct renewal_info;
struct revokes;
struct roster;
struct skew;
struct store;

struct intake *intake_new(struct event_base *, const struct conf *,
    const struct skew *, struct store *, struct checks *, struct driver *,
    struct ca *, struct roster *, struct renewal_info *);
void intake_free(struct intake *);

/* Who revokes certificates. */
void intake_revokes(struct intake *, struct revokes *);

/* Who looks for TXT records that people make. */
void intake_dns01(struct intake *, struct dns01 *);

/* A driver_waits_fn: an order waits for DNS, another may have its place. */
void intake_order_waits(void *arg);

/* Names that the platform certificate covers need no order. */
void intake_platform(struct intake *, const struct platform *);

/*
 * Work as the leader of this epoch, or stop: what is in hand is put down.
 * While our clock is implausible nothing is taken in hand.
 */
void intake_start(struct intake *, int64_t epoch);
void intake_stop(struct intake *);

/* Something may be due before its time is up. */
void intake_kick(struct intake *);

/* What is in hand now, and when the last certificate was made. */
struct intake_progress {
	size_t domains, orders;
	int64_t committed_at; /* wall ms; 0: none since we lead */
};
void intake_progress(const struct intake *, struct intake_progress *);

/* A message of CHANNEL_ACKS: "node gen". */
void intake_ack(struct intake *, const char *text);

/* Domains in hand that wait for us, and how many were put down or issued. */
struct deadman_state;
void intake_state(const struct intake *, struct deadman_state *);

#endif
