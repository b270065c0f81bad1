/*
 * The trail from a name to the servers that know it:
 *
 *	ZONE -> HOSTS -> ADDRESSES -> SERVERS -> DONE
 *	  ^       ^          ^           |
 *	  '-------+----------+-----------'  CNAME, cut, referral
 *
 * Pure: says whom to ask for what, and takes the replies.  The resolver is
 * asked for the zone and its servers only, never for the name itself: that it
 * does not exist yet would stay in the cache of a CA that asks the same one.
 * What is at the name, the zone's own servers say; a CNAME or a delegation
 * that they show is gone after, whatever a cache has.
 */
#ifndef SYNC_TRAIL_H
#define SYNC_TRAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/authority.h"
#include "sync/dns_reply.h"
#include "sync/resolve.h"

#define TRAIL_TURNS_MAX 16     /* CNAMEs and delegations */
#define TRAIL_ADDRESSES_MAX 16 /* of one name server */

enum trail_step {
	TRAIL_ZONE = 0,  /* the resolver for the SOA of at */
	TRAIL_HOSTS,     /* the resolver for the NS of the zone */
	TRAIL_ADDRESSES, /* the resolver for the addresses of each host */
	TRAIL_SERVERS,   /* each server for the TXT of the name */
	TRAIL_CUT,       /* one server for the SOA of the name */
	TRAIL_DONE
};

/* Where a server's reply leads. */
enum trail_turn {
	TURN_NONE = 0, /* it did not answer */
	TURN_END,      /* it knows the name, or that it is not there */
	TURN_CNAME,    /* to */
	TURN_CUT,      /* a zone below, to, that it serves as well */
	TURN_REFERRAL  /* a zone below that others serve */
};

struct trail_server {
	enum trail_turn turn;
	char to[256];
};

struct trail_host {
	char address[TRAIL_ADDRESSES_MAX][46];
	size_t naddresses;
	bool unknown; /* the resolver cannot tell */
};

struct trail {
	enum trail_step step;
	char at[256]; /* may be the zone */
	struct authority_answer answer;
	char host[DNS_HOSTS_MAX][256];
	size_t nhosts;
	struct trail_host of_host[DNS_HOSTS_MAX];
	struct authority_server server[AUTHORITY_SERVERS_MAX];
	struct trail_server of_server[AUTHORITY_SERVERS_MAX];
	size_t nasked; /* of the servers: those that have an address */
	struct dns_referral referral;
	size_t cut_server; /* that is asked in TRAIL_CUT */
	bool cut_known;
	char seen[TRAIL_TURNS_MAX + 1][256]; /* names, against loops */
	size_t nseen;
	size_t turns;
};

void trail_begin(struct trail *, const char *fqdn);

/* The whole is over: it takes too long, for example. */
void trail_fail(struct trail *, const char *why);

/* What the resolver says; the reply may be NULL unless it is RESOLVE_OK. */
void trail_got_zone(struct trail *, enum resolve_result,
    const struct dns_reply *, const char *error);
void trail_got_hosts(struct trail *, enum resolve_result,
    const struct dns_reply *, const char *error);

/* Of each host, and when all of them are there. */
void trail_got_addresses(
    struct trail *, size_t host, const struct resolve_answer *);
void trail_know_addresses(struct trail *);

/* Of each server, and when all of them are there. */
void trail_got_reply(
    struct trail *, size_t server, const uint8_t *message, size_t len);
void trail_got_nothing(
    struct trail *, size_t server, const char *why, bool no_route);
void trail_heard_all(struct trail *);

/* What cut_server says; len is 0 when that is nothing. */
void trail_got_cut(struct trail *, const uint8_t *message, size_t len);

#endif
