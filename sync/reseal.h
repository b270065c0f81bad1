/*
 * The leader goes through all that is sealed in Redis: what another key of the
 * ring has sealed than the newest is sealed anew.  In the background, one
 * domain after the other.
 */
#ifndef SYNC_RESEAL_H
#define SYNC_RESEAL_H

struct conf;
struct event_base;
struct reseal;
struct seal_ring;
struct store;

struct reseal *reseal_new(struct event_base *, const struct conf *,
    const struct seal_ring *, struct store *);
void reseal_free(struct reseal *);

/*
 * This node leads: begin, unless the ring has but one key, or goes on where it
 * is when it is at it.  asked: somebody wants it whatever the ring has.
 */
void reseal_start(struct reseal *, int asked);
void reseal_stop(struct reseal *);

#endif
