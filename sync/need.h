/*
 * What does a domain need next, and is its certificate served everywhere?
 *
 * Pure: judgements over a record and the nodes' heartbeats.
 */
#ifndef SYNC_NEED_H
#define SYNC_NEED_H

#include <stddef.h>
#include <stdint.h>

#include "common/domain.h"
#include "sync/store.h"

/* What a domain needs, by its record alone. */
enum need {
	NEED_NOTHING = 0, /* until renew_at */
	NEED_CERTIFICATE, /* DNS check, then an order */
	NEED_PROOF,       /* its certificate is on its way to the nodes */
	NEED_SWITCH_OFF,  /* Let's Encrypt is off */
	NEED_DNS01,       /* a wildcard */
};
enum need need_of(const struct domain *, int64_t now_ms);

/*
 * Have all live nodes applied the generation in which the domain's certificate
 * came, and none failed at it?  Return 1; or 0 with why ("waiting for node n2
 * ..."); or -1 with why when a node cannot take it.
 */
int need_proven(const struct domain *, const struct store_node *, size_t n,
    char *why, size_t size);

#endif
