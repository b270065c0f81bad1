/*
 * One connection from HAProxy: moves a session's bytes.
 *
 * Each wake-up is one read, all frames in it, one write.  Bytes pass through
 * two buffers that all connections share; a connection has memory of its own
 * only while a frame is not complete or the peer does not read, so that a
 * thousand idle ones cost next to nothing.  While output is pending or too
 * many answers are awaited, nothing is read.
 */
#ifndef AGENT_CONN_H
#define AGENT_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct event_base;
struct lookup;

/* All connections of the process. */
struct conns;

struct conns *conns_new(
    struct event_base *, const struct conf *, struct lookup *);
void conns_free(struct conns *); /* closes what is left */

/*
 * Take a connection that was just accepted; owns fd from here.  Closes it
 * when there are max_connections already.
 */
void conns_add(struct conns *, int fd);
unsigned int conns_count(const struct conns *);

/* Say DISCONNECT(0) to all; those that do not leave are freed later. */
void conns_end(struct conns *);

#endif
