/*
 * The leader's domains: takes each name that is due and finds out what it
 * needs next: a DNS check, an order, the nodes' proof, or nothing yet.
 */
#ifndef SYNC_INTAKE_H
#define SYNC_INTAKE_H

#include <stddef.h>
#include <stdint.h>

#include "common/domain.h"
#include "sync/store.h"

struct ca;
struct checks;
struct conf;
struct driver;
struct event_base;
struct intake;

/* What a domain needs, by its record alone. */
enum intake_need {
	NEED_NOTHING = 0, /* until renew_at */
	NEED_CERTIFICATE, /* DNS check, then an order */
	NEED_PROOF,       /* its certificate is on its way to the nodes */
	NEED_SWITCH_OFF,  /* Let's Encrypt is off */
	NEED_DNS01,       /* a wildcard */
};
enum intake_need intake_need(const struct domain *, int64_t now_ms);

/*
 * Have all live nodes applied the generation in which the domain's certificate
 * came, and none failed at it?  Return 1; or 0 with why ("waiting for node n2
 * ..."); or -1 with why when a node cannot take it.
 */
int intake_proven(const struct domain *, const struct store_node *, size_t n,
    char *why, size_t size);

struct intake *intake_new(struct event_base *, const struct conf *,
    struct store *, struct checks *, struct driver *, struct ca *);
void intake_free(struct intake *);

/* Work as the leader of this epoch, or stop: what is in hand is put down. */
void intake_start(struct intake *, int64_t epoch);
void intake_stop(struct intake *);

/* Something may be due before its time is up. */
void intake_kick(struct intake *);

/* A message of CHANNEL_ACKS: "node gen". */
void intake_ack(struct intake *, const char *text);

/* Domains in hand. */
size_t intake_working(const struct intake *);

#endif
