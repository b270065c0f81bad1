/*
 * RESP2 as bytes: commands out, replies in.  Private to common/rds*.c.
 *
 * hiredis splits the bytes; the objects are ours and live in an arena that is
 * emptied for the next reply, so that a reply costs no allocation.
 */
#ifndef COMMON_RDS_CODEC_H
#define COMMON_RDS_CODEC_H

#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/rds.h"

#define RDS_REPLY_MAX ((size_t)64 << 20) /* bytes of one reply */

/*
 * Append a command.  Return 0, or -1 when the buffer's cap could be passed:
 * then nothing is appended.
 */
int rds_encode(struct buf *, const struct rds_cmd *);

struct rds_reader;
struct rds_reader *rds_reader_new(void);
void rds_reader_free(struct rds_reader *);

/*
 * Take bytes as they come; then rds_reader_next() until it returns 0.
 * It returns 1 with a reply that lives until the next call of either, 0 when
 * more bytes are needed, -1 when they are nonsense or too many (ERR_BUG).
 */
int rds_reader_feed(
    struct rds_reader *, const char *bytes, size_t len, struct err *);
int rds_reader_next(
    struct rds_reader *, const struct rds_reply **, struct err *);

/* The error reply as an err: its first word is the type. */
void rds_reply_err(const struct rds_reply *, struct err *);

#endif
