/*
 * Redis for who can wait for it: questions are sent, then all answers awaited.
 * For what runs once and ends, never for the daemon.
 */
#ifndef SYNC_LINK_H
#define SYNC_LINK_H

#include <stddef.h>

#include "common/rds.h"

struct conf;
struct link;

/* Connect, and start the embedded Redis where it is meant and does not run. */
struct link *link_open(const struct conf *, struct err *);
void link_close(struct link *);

/*
 * fn, which may be NULL, is called within link_wait() or link_close(), once;
 * with NULL when there is no reply.  It may send more.
 */
typedef void link_fn(void *arg, const struct rds_reply *);
void link_send(struct link *, const struct rds_cmd *, link_fn *, void *arg);

/* Until nothing is under way.  -1: the first error of all that was sent. */
int link_wait(struct link *, struct err *);

#endif
