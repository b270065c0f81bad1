/*
 * A node at work: all parts of certfleet-sync, wired to each other.
 *
 * Every node follows Redis, holds the certificates and answers the admin API;
 * the one that leads also takes in domains and runs orders.
 */
#ifndef SYNC_NODE_H
#define SYNC_NODE_H

#include "common/err.h"

struct conf;
struct files;
struct seal_ring;

/*
 * Run until told to stop.  -1 when it cannot begin, 1 when it has led and come no
 * further, and a new process is to try.
 */
int node_run(const struct conf *, const struct seal_ring *, struct files *,
    struct err *);

#endif
