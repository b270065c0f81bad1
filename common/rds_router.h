/*
 * A client of a Redis Cluster: one of each master, and each command goes to who
 * has its key's slot.  What struct rds is behind rds.h when its place is a
 * Cluster.  Private to common/rds*.c.
 */
#ifndef COMMON_RDS_ROUTER_H
#define COMMON_RDS_ROUTER_H

#include "common/rds.h"

struct rds_cluster;
struct rds_router;

struct rds_router *rds_router_new(struct event_base *, const struct rds_conf *,
    struct rds_cluster *, rds_state_fn *, void *arg);
void rds_router_free(struct rds_router *);

/* All masters are connected. */
bool rds_router_up(const struct rds_router *);

/*
 * As rds_send(); while the slots are not known, are on the move or have no
 * master, and while one loads its data, a command waits, up to its deadline.
 */
uint64_t rds_router_send(struct rds_router *, const struct rds_cmd *,
    int timeout_ms, rds_fn *, void *arg);
void rds_router_cancel(struct rds_router *, uint64_t id);

#endif
