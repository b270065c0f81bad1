/*
 * What this node has spent of the CA's limits, for a Redis that forgets it.
 *
 * A table in memory, and its form as lines of a file that only grows: a later
 * line about the same spend counts.  No I/O.
 *
 *	+ 1764000000000 domain shop.example@ca.example www.shop.example:17639...
 *	- 0 domain shop.example@ca.example www.shop.example:17639...
 *	! 1764003600000 orders @ca.example
 *
 * spent at, given back, and blocked by the CA until.
 */
#ifndef SYNC_LEDGER_H
#define SYNC_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "sync/limit.h"

#define LEDGER_LINE_MAX (LIMIT_KEY_MAX + DOMAIN_NAME_MAX + 64)
#define LEDGER_FILE_MAX ((size_t)256 * 1024 * 1024)

struct ledger;

struct ledger *ledger_new(void);
void ledger_free(struct ledger *);

/* Note what happened; its line is appended to line when that is not NULL. */
void ledger_spend(struct ledger *, enum limit_bucket, const char *key,
    const char *id, int64_t at, struct buf *line);
void ledger_refund(struct ledger *, enum limit_bucket, const char *key,
    const char *id, struct buf *line);
void ledger_block(struct ledger *, enum limit_bucket, const char *key,
    int64_t until, struct buf *line);

/* Take a line without its end; false when it is none. */
bool ledger_take(struct ledger *, const char *line, size_t len);

/* Spends of a bucket at since or later; those of id do not count. */
size_t ledger_used(const struct ledger *, enum limit_bucket, const char *key,
    int64_t since, const char *id);

/* Forget what lies before since[bucket]. */
void ledger_forget(struct ledger *, const int64_t since[static LIMIT_BUCKETS]);

/* How many lines it would be. */
size_t ledger_size(const struct ledger *);
/* All of it; -1 when it does not fit. */
int ledger_dump(const struct ledger *, struct buf *out);

/* Each spend and each block (id NULL, at: until); key NULL: of all buckets. */
typedef void ledger_fn(
    void *arg, enum limit_bucket, const char *key, const char *id, int64_t at);
void ledger_each(const struct ledger *, enum limit_bucket, const char *key,
    ledger_fn *, void *arg);

#endif
