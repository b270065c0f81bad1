/*
 * The bytes of one connection to Redis: unix socket, TCP or TLS, never
 * blocking.  Private to common/rds*.c.
 *
 * Not a bufferevent: those read 4 kB at a time and ask the kernel twice per
 * write.  Here what was put out in one turn of the loop leaves in one write at
 * the end of that turn, and a read takes up to 64 kB.
 */
#ifndef COMMON_RDS_WIRE_H
#define COMMON_RDS_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/rds.h"

#define RDS_OUT_MAX ((size_t)16 << 20) /* bytes that wait to be sent */

struct rds_wire;

/*
 * Called from the loop only.  bytes() returns false when the wire was closed
 * or freed by it; after the other two the wire is not looked at again.  A wire
 * that broke is closed already.
 */
struct rds_wire_user {
	void (*opened)(void *arg);
	bool (*bytes)(void *arg, const char *bytes, size_t len);
	void (*broke)(void *arg, const struct err *why);
};

struct rds_wire *rds_wire_new(struct event_base *, const struct rds_conf *,
    const struct rds_wire_user *, void *arg);
void rds_wire_free(struct rds_wire *);

/* Begin to connect; the deadline is the caller's.  Not while it is open. */
int rds_wire_open(struct rds_wire *, struct err *);
void rds_wire_close(struct rds_wire *);

/* Where to append what is to be sent; then kick.  Only between opened() and
 * broke() or close. */
struct buf *rds_wire_out(struct rds_wire *);
void rds_wire_kick(struct rds_wire *);

/* Overwrite what has been sent: it held a password. */
void rds_wire_wipe(struct rds_wire *);

#endif
