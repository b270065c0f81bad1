/*
 * The nodes of the fleet, as they were a moment ago: many domains ask at the
 * same time, Redis is asked once.
 */
#ifndef SYNC_ROSTER_H
#define SYNC_ROSTER_H

#include "sync/store.h"

struct event_base;
struct roster;

struct roster *roster_new(struct event_base *, struct store *);
void roster_free(struct roster *); /* nobody is called back */

/*
 * What store_nodes() says, at most 100 ms old and not older than the last
 * roster_stale().  fn is called from the loop, once, unless forgotten.
 */
void roster_ask(struct roster *, store_nodes_fn *, void *arg);
void roster_forget(struct roster *, const void *arg);

/* A node has said something: who asks from now on hears it, too. */
void roster_stale(struct roster *);

#endif
