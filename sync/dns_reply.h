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
#include "sync/dns_message.h"
#include "sync/resolve.h"

#define DNS_RECORDS_MAX 256 /* of a reply that are looked at */
#define DNS_TXTS_MAX 32
#define DNS_HOSTS_MAX 26

/* Of one question; its type says which records there can be. */
struct dns_reply {
	char cname[RESOLVE_CNAMES_MAX][256];
	size_t ncnames;
	union {
		char address[RESOLVE_ADDRESSES_MAX][46];
		struct resolve_caa caas[RESOLVE_CAA_MAX];
		char txt[DNS_TXTS_MAX][256]; /* strings joined */
		char host[DNS_HOSTS_MAX][256];
	};
	size_t naddresses, ncaas, ntxts, nhosts;
	bool soa;       /* found: the last name is the top of a zone */
	char zone[256]; /* the one that says that there is nothing, or "" */
	bool final;     /* nothing found, and the last name's zone says so */
};

/*
 * Add what the message says about name: the chain goes on where it was, so
 * that a target on another server can be asked for with the same reply.
 * Messages that end too early, chains that loop and more records than fit fail
 * with ERR_AGAIN: what such a name comes to cannot be told.
 */
int dns_reply_add(struct dns_reply *, const char *name, enum dns_type,
    const uint8_t *message, size_t len, struct err *);

/* True when there are records of the type that was asked for. */
bool dns_reply_found(const struct dns_reply *);

/* A zone below, and who serves it. */
struct dns_referral {
	char zone[256];
	char host[DNS_HOSTS_MAX][256];
	size_t nhosts;
};

/*
 * True when a server of zone, asked for name, says that others serve the part
 * of the zone where name is.
 */
bool dns_referral_read(struct dns_referral *, const char *name,
    const char *zone, const uint8_t *message, size_t len);

#endif
