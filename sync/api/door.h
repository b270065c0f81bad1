/*
 * How many may be connected at once: evhttp 2.1 has no cap of its own.  When
 * the house is full nobody is accepted, and the kernel's queue waits.
 */
#ifndef SYNC_API_DOOR_H
#define SYNC_API_DOOR_H

#include <stddef.h>

struct door;
struct event_base;
struct evhttp;

/* Let evhttp accept from fd, which it owns from here, at most max at once. */
struct door *door_new(struct event_base *, struct evhttp *, int fd, size_t max);

/* After evhttp_free(). */
void door_free(struct door *);

#endif
