/*
 * The servers of a Redis Cluster and their slots, as one of them tells.
 * Private to common/rds*.c.
 */
#ifndef COMMON_RDS_CLUSTER_H
#define COMMON_RDS_CLUSTER_H

#include "common/rds_place.h"
#include "common/rds_slots.h"

/* NULL when the place is no Cluster. */
struct rds_cluster *rds_cluster_of(struct rds_place *);

const struct rds_slots *rds_cluster_slots(const struct rds_cluster *);
bool rds_cluster_tls(const struct rds_cluster *);

/* A server has said so, in MOVED: believed, and asked for the rest. */
void rds_cluster_set(struct rds_cluster *, int slot, const char *url);

#endif
