/*
 * Spends what the CA allows: before an order is made, once for each journal of
 * an order, by all nodes from the same buckets in Redis.
 *
 * Each spend is in this node's ledger, on disk, before the CA hears of it;
 * when Redis has fewer than the ledger, they are put back first.
 */
#ifndef SYNC_LIMITS_H
#define SYNC_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/domain.h"
#include "common/err.h"
#include "sync/limit.h"

struct conf;
struct event_base;
struct limits;
struct store;
struct worker;

/* What one order spends.  Lies where the order does, for as long. */
struct ticket {
	const char *name;      /* borrowed */
	const char *directory; /* of the CA, borrowed */
	enum limit_kind kind;
	bool urgent;                   /* it has no time to wait for its turn */
	char id[DOMAIN_NAME_MAX + 24]; /* "name:when its journal was begun" */
};

/* The worker, which outlives it, writes the ledger. */
struct limits *limits_new(
    struct event_base *, const struct conf *, struct store *, struct worker *);
void limits_free(struct limits *);

/* e is NULL when it went well. */
typedef void limits_fn(void *arg, const struct err *e);

/*
 * Put back what Redis lacks of the ledger, before any order is made.  It is
 * tried until it is done, or limits_stop().
 */
void limits_start(struct limits *, limits_fn *, void *arg);
void limits_stop(struct limits *);

/* journal_ms: when the order's journal was begun, 0: not known here. */
void limits_ticket(struct ticket *, const struct domain *,
    const char *directory, int64_t journal_ms);

/*
 * Spend what the order needs, or nothing: then e says to wait (limit_waits()),
 * or why it is not known.  The same journal never spends twice.
 */
void limits_spend(struct limits *, struct ticket *, limits_fn *, void *arg);
void limits_cancel(struct limits *, const void *arg);

/*
 * The CA refused a request with this error and this detail.  After newOrder the
 * certificate that will not be is given back, and the order when none was made.  A rate limit blocks its bucket for
 * all; e says to wait then.  When a person must act, e becomes ERR_REFUSED of
 * type LIMIT_PAUSED, and action is what to do.
 */
void limits_refused(struct limits *, const struct ticket *, bool new_order,
    const char *detail, char *action, size_t size, struct err *e);

/* The order has failed for good: no certificate will come of it. */
void limits_failed(struct limits *, const struct ticket *);

/* There is a certificate, as of now. */
void limits_issued(struct limits *, const struct ticket *);

#endif
