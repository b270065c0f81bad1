/*
 * What every node shows for a name: asked of all at the same time, by the
 * channel of acknowledgements, and answered by a handshake made for it.
 */
#ifndef SYNC_WITNESS_H
#define SYNC_WITNESS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct conf;
struct event_base;
struct hold;
struct store;
struct witness;

struct witness *witness_new(
    struct event_base *, const struct conf *, struct store *, struct hold *);
void witness_free(struct witness *); /* nobody is called back */

/* A message of CHANNEL_ACKS: "ask id name", "shows id JSON"; or another. */
void witness_hear(struct witness *, const char *text);

/*
 * Ask; fn is called once, from the loop, with { node: { sha1, wanted, version,
 * since, trial, error } }, borrowed: when as many nodes have answered as live,
 * or after WITNESS_MS with what came.  -1: too many ask at the same time.
 */
#define WITNESS_MS 3000
typedef void witness_fn(void *arg, const json_t *nodes);
int witness_ask(
    struct witness *, const char *name, size_t live, witness_fn *, void *arg);
void witness_forget(struct witness * /* may be NULL */, const void *arg);

#endif
