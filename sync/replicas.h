/*
 * Whether what the outbox has is at Redis's replicas, too.
 *
 * As WAIT would say it, but without keeping the connection waiting: ROLE tells
 * a master's offset and what each replica has acknowledged.  Asked only while
 * the outbox waits for it.
 */
#ifndef SYNC_REPLICAS_H
#define SYNC_REPLICAS_H

struct conf;
struct event_base;
struct outbox;
struct replicas;
struct store;

/* outbox may be NULL: then there is nothing to ask. */
struct replicas *replicas_new(
    struct event_base *, const struct conf *, struct store *, struct outbox *);
void replicas_free(struct replicas *);

/* While leading; it begins anew when Redis may have become another. */
void replicas_start(struct replicas *);
void replicas_stop(struct replicas *);

#endif
