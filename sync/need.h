/*
 * What does a domain need next, and is its certificate served everywhere?
 *
 * Pure: judgements over a record and the nodes' heartbeats.
 */
#ifndef SYNC_NEED_H
#define SYNC_NEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/domain.h"
#include "sync/store.h"

/*
 * A custom certificate ends: the managed one is made in time (custom_before,
 * by the settings) and takes over when so much is left.
 */
#define NEED_TAKE_OVER_MS (24 * 3600 * 1000)

/* What a domain needs, by its record alone. */
enum need {
	NEED_NOTHING = 0,  /* until need_next_at() */
	NEED_CERTIFICATE,  /* DNS check, then an order */
	NEED_RENEWAL_INFO, /* the CA may want it renewed at another time */
	NEED_CANARY,       /* one that is staged is to be proven by one node */
	NEED_PROOF,        /* its certificate is on its way to the nodes */
	NEED_SWITCH_OFF,   /* Let's Encrypt is off */
	NEED_DNS01,        /* a person is to make a TXT record: is it there? */
	NEED_REVOCATION,   /* its owner wants it revoked */
	NEED_TAKE_OVER,    /* the managed certificate is to follow the custom */
	NEED_OWNER, /* the custom one has expired, Let's Encrypt is off */
};
enum need need_of(
    const struct domain *, int64_t now_ms, int64_t custom_before_ms);

/* When a domain that needs nothing will need something; 0: never. */
int64_t need_next_at(
    const struct domain *, int64_t now_ms, int64_t custom_before_ms);

/*
 * Is a custom one that is staged to be looked at now?  One that was stopped
 * leaves what there is until then.
 */
bool need_custom_trial(const struct domain *, int64_t now_ms);

/* Is a custom certificate served that is to stay? */
bool need_custom_serves(const struct domain *, int64_t now_ms);

/*
 * Have all live nodes applied the generation in which the domain's certificate
 * came, and none failed at it?  Return 1; or 0 with why ("waiting for node n2
 * ..."); or -1 with why when a node cannot take it.
 */
int need_proven(const struct domain *, const struct store_node *, size_t n,
    char *why, size_t size);

#endif
