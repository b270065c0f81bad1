/* GET /metrics on loopback: how the agent is, for Prometheus. */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include "common/err.h"

struct conns;
struct event_base;
struct lookup;
struct metrics;

/*
 * Serve on "127.0.0.1:9181".  Everything given is borrowed.  ERR_CONFIG: the
 * address cannot be had.
 */
struct metrics *metrics_new(struct event_base *, const char *address,
    const struct conns *, const struct lookup *, struct err *);
void metrics_free(struct metrics *);

#endif
