/*
 * How many may be connected at once, and for how long without a request:
 * evhttp 2.1 has no cap of its own, and its time-out begins anew with each
 * byte.  When the house is full nobody is accepted, and the kernel's queue
 * waits.
 */
#ifndef SYNC_API_DOOR_H
#define SYNC_API_DOOR_H

#include <stddef.h>

struct door;
struct event_base;
struct evhttp;

/*
 * Let evhttp accept from fd, which it owns from here, at most max at once.  Who
 * has not sent a whole request after patience_ms, or has not taken its answer,
 * is shown out.
 */
struct door *door_new(
    struct event_base *, struct evhttp *, int fd, size_t max, int patience_ms);

/* A connection's request is whole, and then answered: patience begins anew. */
void door_asked(struct door *, int fd);
void door_answered(struct door *, int fd);

/* After evhttp_free(). */
void door_free(struct door *);

#endif
