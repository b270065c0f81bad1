/*
 * What this node holds and Redis has lost, offered back to the fleet's leader
 * (sync/muster.h), a few at a time.
 */
#ifndef SYNC_OFFERS_H
#define SYNC_OFFERS_H

#include <stddef.h>

struct conf;
struct event_base;
struct files;
struct hold;
struct offers;
struct outbox;
struct store;

/*
 * outbox may be NULL: what this node issued while it led, and is not known to be
 * in Redis.
 */
struct offers *offers_new(struct event_base *, const struct conf *,
    struct store *, const struct hold *, const struct files *, struct outbox *);
void offers_free(struct offers *);

/* What is missing in Redis may have changed: offer it, or the next of it. */
void offers_look(struct offers *);

/* How many certificates there are to be offered. */
size_t offers_size(const struct offers *);

#endif
