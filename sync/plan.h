/*
 * When would each of a list of names get its certificate, if they were added
 * now?  A simulation of the CA's limits.  Pure.
 */
#ifndef SYNC_PLAN_H
#define SYNC_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "sync/limit.h"

/* A bucket on its way through time. */
struct plan_bucket {
	int64_t max, window_ms; /* max 0: no limit */
	int64_t blocked;        /* until, 0: not */
	int64_t *at;            /* spends, oldest first */
	size_t n, room;
};

/* As it is: the times of its spends, oldest first, and the CA's block. */
void plan_bucket_init(struct plan_bucket *, const struct limit *,
    const int64_t *spent, size_t n, int64_t blocked_until);
void plan_bucket_clear(struct plan_bucket *);

/* The first moment from t on at which it has a place. */
int64_t plan_free(const struct plan_bucket *, int64_t t);

/* Take one at t, which is not before any that was taken. */
void plan_spend(struct plan_bucket *, int64_t t);

struct plan_name {
	size_t domain;         /* its registered domain's bucket */
	int64_t ready;         /* what is its own holds it back until then */
	enum limit_bucket own; /* which; LIMIT_BUCKETS: nothing does */
	size_t more;           /* certificates after the first one */
	/* filled: */
	int64_t at;            /* when it has all of them */
	enum limit_bucket why; /* waits for; LIMIT_BUCKETS: at once */
};

/*
 * Names of one registered domain come in their order; domains do not wait for
 * each other, but all share the account's orders.
 */
void plan_run(struct plan_bucket *orders, struct plan_bucket *domain,
    size_t ndomains, struct plan_name *, size_t n, int64_t now_ms);

#endif
