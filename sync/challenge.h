/*
 * Challenges of http-01: published to every agent, and the barrier that holds
 * an order back until every live node's HAProxy answers the token.
 */
#ifndef SYNC_CHALLENGE_H
#define SYNC_CHALLENGE_H

#include <stdint.h>

#include "common/err.h"

struct conf;
struct event_base;
struct roster;
struct store;
struct challenges;

struct challenges *challenges_new(
    struct event_base *, const struct conf *, struct store *, struct roster *);
void challenges_free(struct challenges *); /* nobody is called back */

/*
 * Publish token and key authorization (RFC 8555 section 8.3) and call fn when
 * every live node has said that it answers it, or with ERR_AGAIN naming the
 * node that did not within barrier_timeout_ms.  The challenge stays published
 * until challenge_withdraw(), which also forgets fn.
 */
typedef void challenge_fn(void *arg, const struct err *e);
void challenge_publish(struct challenges *, const char *token,
    const char *keyauth, challenge_fn *, void *arg);
void challenge_withdraw(struct challenges *, const char *token);

/*
 * One is, or all are, another leader's affair from now on, who may have published
 * the same: forgotten here, they stay until that one withdraws them.
 */
void challenge_leave(struct challenges *, const char *token);
void challenges_leave(struct challenges *);

/* A message of CHANNEL_READY: "token node". */
void challenge_ready(struct challenges *, const char *text);

#endif
