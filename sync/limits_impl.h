/*
 * What the limits*.c files share: limits.c has orders spend, limits_flush.c
 * writes that into the ledger, limits_told.c takes what the CA made of it.
 * Private to the limits.
 */
#ifndef SYNC_LIMITS_IMPL_H
#define SYNC_LIMITS_IMPL_H

#include <sys/queue.h>

#include "common/buf.h"
#include "common/worker.h"
#include "sync/ledger.h"
#include "sync/limit.h"
#include "sync/limits.h"
#include "sync/store.h"
#include "sync/store_limit.h"

#define LIMITS_LINES_MAX (4 * 1024 * 1024)

LIST_HEAD(spendings, spending);

/* One order on its way through its buckets. */
struct spending {
	LIST_ENTRY(spending) next;
	struct limits *limits;
	struct ticket *ticket;
	limits_fn *fn;
	void *arg;
	struct limit limit[LIMIT_BUCKETS]; /* those that are asked */
	size_t nlimits;
	bool repaired; /* Redis has been given what it had lost */
	bool writing;  /* its lines are on their way to the disk */
};

struct limits {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct ledger *ledger;
	struct ledger_file *file; /* NULL: it cannot be used */
	struct spendings asking, written;
	struct buf lines; /* for the next flush */
	struct worker *worker;
	struct ledger_write *writing; /* NULL: none is under way */
	int64_t flushed_at;
	struct turns *turns;
	struct event *flush, *forget;
	struct replay *replay;
	limits_fn *started;
	void *started_arg;
};

/* The lines for the ledger are written, with others that come soon; or now. */
void limits_flush_soon(struct limits *);
void limits_flush_now(struct limits *);

/* It is not called back any more; or it is, at once, and is gone then. */
void limits_spending_free(struct spending *);
void limits_finish(struct spending *, const struct err *);

/* The limit that a ticket spends of in that bucket. */
void limits_of_ticket(
    const struct limits *, const struct ticket *, int bucket, struct limit *);

#endif
