/*
 * Somebody who knows: one of several servers is asked, and the next one when it
 * is away, does not know or tells what is not true.  What Sentinels and a
 * Cluster have in common.  Private to common/rds*.c.
 */
#ifndef COMMON_RDS_ASK_H
#define COMMON_RDS_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/rds.h"
#include "common/rds_place.h"

#define RDS_ASK_MAX 64

struct rds_ask {
	struct event_base *base;
	struct rds_conf conf;
	void (*ask)(void *arg);     /* rds is up; ask it, unless it is asked */
	void (*dropped)(void *arg); /* rds is gone, with what was asked */
	void *arg;
	char list[RDS_ASK_MAX][RDS_URL_MAX]; /* the first one is asked */
	size_t n;
	size_t missed; /* how many in a row did not help */
	int64_t pause_ms;
	struct rds *rds;
	char asked[RDS_URL_MAX];
	bool doubted;
	struct event *timer;
	struct err why; /* the last one did not help */
};

/* After that, add who can be asked: at least one. */
void rds_ask_init(struct rds_ask *, struct event_base *,
    const struct rds_conf *, void (*ask)(void *), void (*dropped)(void *),
    void *arg);
void rds_ask_clear(struct rds_ask *); /* dropped() is not called */

/* Each once; what is too much is passed over. */
void rds_ask_add(struct rds_ask *, const char *url);
void rds_ask_add_address(struct rds_ask *, bool tls, const char *host_port);

/* It did not help: another one, or after a round of all the same ones later. */
void rds_ask_next(struct rds_ask *, const struct err *why);

/* It did: it is asked again in a while. */
void rds_ask_helped(struct rds_ask *);

/* What it told may not be so: another one is asked soon. */
void rds_ask_doubt(struct rds_ask *);

#endif
