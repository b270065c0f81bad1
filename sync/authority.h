/*
 * What the name servers of a name's own zone say: each of them is asked
 * directly, by IPv4 and IPv6, never through a cache.
 */
#ifndef SYNC_AUTHORITY_H
#define SYNC_AUTHORITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "sync/dns_reply.h"
#include "sync/resolve.h"

struct conf;
struct event_base;
struct authorities;

#define AUTHORITY_SERVERS_MAX 26 /* addresses */
#define AUTHORITY_VALUES_MAX DNS_TXTS_MAX
#define AUTHORITY_VALUE_MAX 256 /* longer ones are cut: they are not ours */

/* One address of one name server, and what it said. */
struct authority_server {
	char host[256];
	char address[46];
	enum resolve_result result; /* NONE: no TXT there; FAIL: no answer */
	bool silent;                /* FAIL, because nothing came back */
	bool no_route;              /* FAIL, and that is this machine's fault */
	int64_t silent_ms;          /* for how long, as far as we have asked */
	char error[96];             /* FAIL: what follows "ns1.example.net" */
	char value[AUTHORITY_VALUES_MAX][AUTHORITY_VALUE_MAX];
	size_t nvalues;
};

struct authority_answer {
	/* OK: the servers were asked; FAIL: they are not known */
	enum resolve_result result;
	char error[192];
	char fqdn[256]; /* that was asked for */
	char name[256]; /* after the CNAMEs, which are followed */
	char zone[256]; /* that it is in: owner of the SOA; FAIL: "" */
	struct authority_server *server;
	size_t nservers;
};

typedef void authority_fn(void *arg, const struct authority_answer *);

struct authorities *authorities_new(
    struct event_base *, const struct conf *, struct err *);
void authorities_free(struct authorities *); /* nobody is called back */

/*
 * Find where a name leads, which zone that is in and who serves it, and ask
 * every one of them for the TXT values there.  fn is called once, not from
 * within; the answer lives until it returns.
 */
uint64_t authority_look(
    struct authorities *, const char *fqdn, authority_fn *, void *arg);
void authority_cancel(struct authorities *, uint64_t id);

#endif
