/*
 * What this node holds and Redis has lost, offered back to the fleet's leader
 * (sync/muster.h), a few at a time.
 */
#ifndef SYNC_OFFERS_H
#define SYNC_OFFERS_H

struct conf;
struct event_base;
struct files;
struct hold;
struct offers;
struct store;

struct offers *offers_new(struct event_base *, const struct conf *,
    struct store *, const struct hold *, const struct files *);
void offers_free(struct offers *);

/* What is missing in Redis may have changed: offer it, or the next of it. */
void offers_look(struct offers *);

#endif
