/*
 * A connection that is made again when it breaks: attempt, login, replies,
 * back-off.  Private to common/rds*.c; a client, a subscription and a reader of
 * a stream are users of one each.
 */
#ifndef COMMON_RDS_CONN_H
#define COMMON_RDS_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/rds.h"

struct rds_conn;

enum rds_conn_state {
	RDS_CONN_PAUSED = 0, /* back-off */
	RDS_CONN_CONNECTING,
	RDS_CONN_UP,
};

/* Called from the loop only, never after rds_conn_free(). */
struct rds_conn_user {
	void (*up)(void *arg);
	/* The connection, or an attempt at one, has failed; once for each. */
	void (*down)(void *arg, const struct err *why);
	void (*reply)(void *arg, const struct rds_reply *);
	/* Nobody looks at arg any more: free it. */
	void (*release)(void *arg);
};

/* state and state_arg are whom rds_conn_tell() tells. */
struct rds_conn *rds_conn_new(struct event_base *, const struct rds_conf *,
    const struct rds_conn_user *, void *arg, rds_state_fn *state,
    void *state_arg);

/*
 * Close, and call release() now or, when a callback of the user is running or
 * the connection is held, afterwards.
 */
void rds_conn_free(struct rds_conn *);
bool rds_conn_freed(const struct rds_conn *);
void rds_conn_hold(struct rds_conn *);
void rds_conn_unhold(struct rds_conn *);

enum rds_conn_state rds_conn_state(const struct rds_conn *);
int64_t rds_conn_heard_at(const struct rds_conn *); /* loop_now_ms() */

/* Append to out and kick; or send, which does both.  Only while it is UP. */
struct buf *rds_conn_out(struct rds_conn *);
void rds_conn_kick(struct rds_conn *);
int rds_conn_send(struct rds_conn *, const struct rds_cmd *);

/* Break the connection, in the next turn: down() tells why. */
void rds_conn_drop(struct rds_conn *, const struct err *why);

/* Call state() when it is news. */
void rds_conn_tell(struct rds_conn *, bool up, const struct err *why);

#endif
