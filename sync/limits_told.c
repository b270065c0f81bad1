/* Limits: what became of an order, told by the CA. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "sync/limits_impl.h"

static void
refund(struct limits *l, const struct ticket *t, int bucket)
{
	struct limit limit;

	if (bucket == LIMIT_FAILURES || t->id[0] == '\0' ||
	    !limit_asks(t->kind, (enum limit_bucket)bucket))
		return;
	limits_of_ticket(l, t, bucket, &limit);
	store_limit_refund(l->store, &limit, t->id);
	ledger_refund(l->ledger, limit.bucket, limit.key, t->id, &l->lines);
	limits_flush_soon(l);
}

/* It has happened, and counts from now. */
static void
count(struct limits *l, const struct ticket *t, enum limit_bucket bucket)
{
	struct limit limit;

	if (t->id[0] == '\0')
		return;
	limits_of_ticket(l, t, (int)bucket, &limit);
	if (limit.max == 0)
		return;
	store_limit_happened(l->store, &limit, t->id, 0, NULL, NULL);
	ledger_spend(
	    l->ledger, bucket, limit.key, t->id, loop_wall_ms(), &l->lines);
	limits_flush_soon(l);
}

static void
block(struct limits *l, const struct ticket *t, const struct limit_problem *p,
    struct err *e)
{
	struct limit limit;

	limits_of_ticket(l, t, (int)p->bucket, &limit);
	store_limit_block(l->store, &limit, p->until, NULL, NULL);
	ledger_block(l->ledger, limit.bucket, limit.key, p->until, &l->lines);
	limits_flush_soon(l);
	log_warn("domain=%s limit=%s key=%s blocked by the CA for_s=%" PRId64
		 ": %s",
	    t->name, limit_name(limit.bucket), limit.key,
	    (p->until - loop_wall_ms()) / 1000, e->text);
	/* The CA's own words stay; others who come hear ours. */
	snprintf(e->type, sizeof(e->type), "%s", LIMIT_WAIT);
	e->retry_ms = p->until - loop_wall_ms();
}

void
limits_refused(struct limits *l, const struct ticket *t, bool new_order,
    const char *detail, char *action, size_t size, struct err *e)
{
	struct limit_problem p;

	/*
	 * Where an answer made no sense there may be an order, but nobody who
	 * finalizes it: there will be no certificate.
	 */
	if (new_order && e->kind != ERR_AGAIN) {
		refund(l, t, LIMIT_SET);
		refund(l, t, LIMIT_DOMAIN);
		if (limit_refused(e))
			refund(l, t, LIMIT_ORDERS);
	}
	if (e->kind != ERR_LIMITED)
		return;
	limit_problem(detail, e->retry_ms, loop_wall_ms(), &p);
	if (!p.paused) {
		block(l, t, &p, e);
		return;
	}
	if (p.url[0] != '\0')
		snprintf(action, size, "unpause it at the CA: %s", p.url);
	else
		snprintf(
		    action, size, "unpause it at the CA, as its message says");
	err_set(e, ERR_REFUSED,
	    "the CA has paused certificates for this name, after many failed "
	    "validations");
	snprintf(e->type, sizeof(e->type), "%s", LIMIT_PAUSED);
}

void
limits_failed(struct limits *l, const struct ticket *t)
{
	count(l, t, LIMIT_FAILURES);
	refund(l, t, LIMIT_SET);
	refund(l, t, LIMIT_DOMAIN);
}

void
limits_issued(struct limits *l, const struct ticket *t)
{
	for (int b = 0; b < LIMIT_BUCKETS; b++)
		if (limit_counts(t->kind, (enum limit_bucket)b))
			count(l, t, (enum limit_bucket)b);
}
