/*
 * DNS questions to the configured resolvers, by c-ares in the event loop.
 */
#ifndef SYNC_RESOLVE_H
#define SYNC_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "sync/dns_message.h"

struct conf;
struct dns_reply;
struct event_base;
struct resolve;

#define RESOLVE_ADDRESSES_MAX 64
#define RESOLVE_CNAMES_MAX 8
#define RESOLVE_CAA_MAX 32

/* How a question ended. */
enum resolve_result {
	RESOLVE_OK = 0,
	RESOLVE_NONE, /* NXDOMAIN, or no record of that type */
	RESOLVE_FAIL, /* SERVFAIL, time-out, refused: cannot tell */
};

struct resolve_caa {
	int critical;
	char tag[16];
	char value[256];
};

/* What is known of a name: filled by resolve_name(). */
struct resolve_answer {
	enum resolve_result a, aaaa, caa;
	char address[RESOLVE_ADDRESSES_MAX][46]; /* A, then AAAA, as text */
	size_t naddresses;
	char cname[RESOLVE_CNAMES_MAX][256]; /* the chain, in order */
	size_t ncnames;
	struct resolve_caa caas[RESOLVE_CAA_MAX]; /* closest non-empty set */
	size_t ncaas;
	char caa_name[256]; /* where that set was found, "" */
	char error[128];    /* of the question that failed */
};

typedef void resolve_fn(void *arg, const struct resolve_answer *);

/* Uses conf->dns.resolvers, or the system's; ERR_CONFIG when one is unusable. */
struct resolve *resolve_new(
    struct event_base *, const struct conf *, struct err *);
void resolve_free(struct resolve *); /* nothing in flight is called back */

/*
 * Ask for A and AAAA (following CNAMEs, at most RESOLVE_CNAMES_MAX, loops
 * end as RESOLVE_FAIL), and with caa for CAA, climbing to the closest name
 * with a set (RFC 8659 section 3).  A wildcard's base is asked for.  fn is
 * called once, not from within.
 */
uint64_t resolve_name(
    struct resolve *, const char *name, int caa, resolve_fn *, void *arg);

/*
 * Ask for the records of one type.  fn is called once, not from within; the
 * reply lives until it returns and may be NULL unless the result is OK.
 */
typedef void resolve_type_fn(void *arg, enum resolve_result,
    const struct dns_reply *, const char *error);
uint64_t resolve_type(struct resolve *, const char *name, enum dns_type,
    resolve_type_fn *, void *arg);

/* Either of them; one that is over is accepted. */
void resolve_cancel(struct resolve *, uint64_t id);

#endif
