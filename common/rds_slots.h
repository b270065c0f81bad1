/*
 * The slots of a Redis Cluster: which one a key is in, and who has it.  Pure.
 * Private to common/rds*.c.
 */
#ifndef COMMON_RDS_SLOTS_H
#define COMMON_RDS_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/rds.h"
#include "common/rds_place.h"

#define RDS_SLOTS 16384
#define RDS_MASTERS_MAX 128

/* The slot of a key: of what is between its first braces, if anything is. */
int rds_slot(const char *key, size_t len);

/* The slot of a command's key; RDS_SLOT_ANY when it has none. */
int rds_slot_of(const struct rds_cmd *);

/* Zero: nothing is known. */
struct rds_slots {
	uint8_t owner[RDS_SLOTS]; /* 1..n, 0: nobody */
	char url[RDS_MASTERS_MAX][RDS_URL_MAX];
	size_t n;
};

/*
 * Read what CLUSTER SLOTS answers; asked is the URL of who said it, which an
 * answer may leave out.  On failure the slots are as they were.
 */
int rds_slots_read(struct rds_slots *, const struct rds_reply *,
    const char *asked, bool tls, struct err *);

/* Its master's URL; NULL when it has none. */
const char *rds_slots_url(const struct rds_slots *, int slot);
bool rds_slots_has(const struct rds_slots *, const char *url);

/* One slot has moved.  A server that is new is remembered, if there is room. */
void rds_slots_set(struct rds_slots *, int slot, const char *url);

/* "slot host:port", as MOVED and ASK say it; -1: it is something else. */
struct rds_redirect {
	int slot;
	char url[RDS_URL_MAX];
};
int rds_redirect_parse(
    struct rds_redirect *, const char *text, const char *asked, bool tls);

#endif
