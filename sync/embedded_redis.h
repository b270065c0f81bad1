/*
 * The Redis that a node without one runs for itself: a private redis-server on
 * a unix socket in run_dir, with an append-only file in state_dir/redis.
 *
 * It ends when we end, however we end, and is started again when it dies.
 * Clients connect to conf_redis_url() as to any other and need no word of
 * when it is there.
 */
#ifndef SYNC_EMBEDDED_REDIS_H
#define SYNC_EMBEDDED_REDIS_H

#include "common/err.h"

struct conf;
struct embedded_redis;
struct event_base;

/*
 * Start it.  Directories that are missing are made.  Fails with ERR_CONFIG when
 * a directory or file cannot be written or a path is not usable; what happens
 * later, a program that is missing included, is logged and tried again.
 *
 * Two servers would ruin the append-only file.  So the directory is locked, and
 * the server itself holds the lock too: whoever starts after us, or after we
 * were killed, waits until the old server has ended.
 */
struct embedded_redis *embedded_redis_start(
    struct event_base *, const struct conf *, struct err *);

/*
 * End it and wait for that: SIGTERM, and SIGKILL when it has not ended in 5 s.
 * Call it when the loop has ended and all that used Redis is closed.
 */
void embedded_redis_stop(struct embedded_redis *);

#endif
