/*
 * c-ares in the event loop: its sockets, its timer, and whom it asks.
 *
 * Only sync/resolve.c uses this; no other files see c-ares.
 */
#ifndef SYNC_RESOLVE_LINK_H
#define SYNC_RESOLVE_LINK_H

#include <sys/queue.h>

/* The interface that c-ares 1.18 and 1.34 share is deprecated in the latter. */
#define CARES_NO_DEPRECATED
#include <ares.h>

#include "common/err.h"

struct conf;
struct event;
struct event_base;
struct sock;

struct resolve_link {
	struct event_base *base;
	ares_channel channel;
	struct event *timer; /* c-ares' own */
	LIST_HEAD(, sock) socks;
};

/* Uses conf->dns.resolvers, or the system's; ERR_CONFIG when one is unusable. */
int resolve_link_open(struct resolve_link *, struct event_base *,
    const struct conf *, struct err *);

/* Every query that is out ends, and is told so. */
void resolve_link_close(struct resolve_link *);

/* To be called after a query was given to the channel. */
void resolve_link_rearm(struct resolve_link *);

#endif
