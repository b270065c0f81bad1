/*
 * What a DNS reply says of one question: the CNAME chain from the name that
 * was asked for to the last one, and the records found there.
 *
 * Pure.  Only records that hang together count: a CNAME or an address of a
 * name outside the chain is passed over, whatever order they come in.
 */
#ifndef SYNC_DNS_REPLY_H
#define SYNC_DNS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "sync/resolve.h"

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_AAAA = 28,
	DNS_CAA = 257,
};

#define DNS_RECORDS_MAX 256 /* of a reply that are looked at */

/*
 * Names are lower case without a trailing dot; a byte that is not printable,
 * "." and "\" inside a label are written \DDD.
 */
struct dns_reply {
	char cname[RESOLVE_CNAMES_MAX][256];
	size_t ncnames;
	char address[RESOLVE_ADDRESSES_MAX][46];
	size_t naddresses;
	struct resolve_caa caas[RESOLVE_CAA_MAX];
	size_t ncaas;
	bool final; /* nothing found, and the last name's zone says so */
};

/*
 * Add what the message says about name: the chain goes on where it was, so
 * that a target on another server can be asked for with the same reply.
 * Messages that end too early, chains that loop and more records than fit fail
 * with ERR_AGAIN: what such a name comes to cannot be told.
 */
int dns_reply_add(struct dns_reply *, const char *name, enum dns_type,
    const uint8_t *message, size_t len, struct err *);

#endif
