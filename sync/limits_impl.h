/*
 * What the limits*.c files share: limits.c has orders spend, limits_told.c takes
 * what the CA made of it.  Private to the limits.
 */
#ifndef SYNC_LIMITS_IMPL_H
#define SYNC_LIMITS_IMPL_H

#include <sys/queue.h>

#include "common/buf.h"
#include "sync/ledger.h"
#include "sync/limit.h"
#include "sync/limits.h"
#include "sync/store.h"
#include "sync/store_limit.h"

LIST_HEAD(spendings, spending);

struct limits {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct ledger *ledger;
	struct ledger_file *file; /* NULL: it cannot be used */
	struct spendings asking, written;
	struct buf lines; /* for the next flush */
	int64_t flushed_at;
	struct turns *turns;
	struct event *flush, *forget;
	struct replay *replay;
	limits_fn *started;
	void *started_arg;
};

/* The lines for the ledger are written, with others that come soon. */
void limits_flush_soon(struct limits *);

/* The limit that a ticket spends of in that bucket. */
void limits_of_ticket(
    const struct limits *, const struct ticket *, int bucket, struct limit *);

#endif
