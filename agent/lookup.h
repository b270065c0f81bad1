/*
 * Token -> key authorization: from memory, else from Redis.
 *
 * Memory is filled by the subscription to published challenges and by what
 * Redis answers.  Questions for one token are put to Redis once, with a
 * deadline.  When Redis cannot be asked, what memory holds stays true; for the
 * rest the answer is an error (HAProxy says 503: the CA tries again), or, with
 * stateless_fallback, what the account's thumbprint makes of the token.
 */
#ifndef AGENT_LOOKUP_H
#define AGENT_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agent/session.h"

struct conf;
struct event_base;
struct lookup;
struct lookup_asker;

/* The answer to a question that had to wait. */
typedef void lookup_answered_fn(struct lookup_asker *,
    const struct session_notify *, const struct answer *);

/* Who asks: lives inside the caller's object, zeroed but for answered. */
struct lookup_asker {
	LIST_HEAD(, lookup_wait) waits;
	lookup_answered_fn *answered;
};

/* Connects in the background; conf is borrowed. */
struct lookup *lookup_new(struct event_base *, const struct conf *);
void lookup_free(struct lookup *);

/*
 * Find the key authorization of a token.  For ANSWER_LATER answered() is
 * called with a copy of n, never before this function has returned.  The time
 * is the caller's, who has many to ask in one turn.
 */
void lookup_ask(struct lookup *, struct lookup_asker *,
    const struct session_notify *n, struct spop_str token, int64_t now_ms,
    struct answer *);

/* The asker goes away: its answers are thrown away. */
void lookup_forget(struct lookup *, struct lookup_asker *);

bool lookup_redis_up(const struct lookup *);

/* Questions that wait for Redis. */
unsigned int lookup_waiting(const struct lookup *);

/*
 * Work done, for the log: answers from memory, questions to Redis, those that
 * nobody could answer.
 */
struct lookup_counts {
	uint64_t memory, redis, stateless, errors;
};
const struct lookup_counts *lookup_counts(const struct lookup *);

#endif
