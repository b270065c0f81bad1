/*
 * Where Redis is, when that can change: told by Sentinels, or by the slots of a
 * Cluster.  What they share: who wants to hear of it.  Private to common/rds*.c.
 */
#ifndef COMMON_RDS_PLACE_H
#define COMMON_RDS_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "common/err.h"
#include "common/rds.h"

#define RDS_URL_MAX 300
#define RDS_SLOT_ANY (-1)

struct rds_place_kind {
	/* As rds_place_url(). */
	int (*url)(const struct rds_place *, int slot, char url[RDS_URL_MAX],
	    struct err *);
	void (*doubt)(struct rds_place *, const char *url);
	void (*free)(struct rds_place *);
};

/* Who is told when something has moved; nothing is freed or joined by that. */
struct rds_listener {
	TAILQ_ENTRY(rds_listener) link;
	void (*moved)(void *arg);
	void *arg;
};

/* The first member of each kind's struct. */
struct rds_place {
	const struct rds_place_kind *kind;
	TAILQ_HEAD(, rds_listener) listeners;
};

void rds_place_init(struct rds_place *, const struct rds_place_kind *);

/*
 * Who has that slot (Sentinel: the master, whatever the slot).  url holds where
 * the asker is, or "": who wants anybody stays there when that is right.  -1
 * with the reason while it is not known.
 */
int rds_place_url(
    const struct rds_place *, int slot, char url[RDS_URL_MAX], struct err *);

/* That one was not to be reached, or is no master: ask again soon. */
void rds_place_doubt(struct rds_place *, const char *url);

void rds_place_join(struct rds_place *, struct rds_listener *);
void rds_place_leave(struct rds_place *, struct rds_listener *);
void rds_place_moved(struct rds_place *);

/* "redis://host:port", an IPv6 address in brackets; -1: it does not fit. */
int rds_place_format(
    char url[RDS_URL_MAX], bool tls, const char *host, const char *port);

#endif
