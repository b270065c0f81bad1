/*
 * Which names visitors ask for: read from this node's HAProxys now and then,
 * remembered over restarts in state_dir/hot, and told to the other nodes.
 *
 * When many certificates have to come into a HAProxy, or from Redis to this
 * node, those names are first; nothing else depends on it.
 */
#ifndef SYNC_VISITS_H
#define SYNC_VISITS_H

struct conf;
struct event_base;
struct hold;
struct visits;

/* The hold hears of what is hot; it and the store outlive it. */
struct store;
struct visits *visits_new(
    struct event_base *, const struct conf *, struct hold *, struct store *);

/* Redis is there: learn what other nodes have seen. */
void visits_meet(struct visits *);
void visits_free(struct visits *); /* writes down what is known */

#endif
