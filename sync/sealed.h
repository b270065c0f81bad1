/*
 * What is sealed in Redis, each kind of it: by which key, and the same by the
 * ring's newest.
 *
 * Pure.  sync/store_reseal.c fetches and replaces, sync/reseal.c goes through
 * all of it.
 */
#ifndef SYNC_SEALED_H
#define SYNC_SEALED_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/seal.h"

enum sealed {
	/* Of a domain. */
	SEALED_CERT = 0,
	SEALED_PREVIOUS,
	SEALED_NEXT_CERT,
	SEALED_CUSTOM,
	SEALED_PREVIOUS_CUSTOM,
	SEALED_NEXT_CUSTOM,
	SEALED_ORDER_KEY,
	SEALED_ORDER_FIRST,
	/* Of an app, of a CA. */
	SEALED_ENV,
	SEALED_ACCOUNT,
	/* One in the fleet. */
	SEALED_ROLLOVER,
	SEALED_TOKEN_KEY,
	/* must stay last */
	SEALED_KINDS
};
#define SEALED_OF_DOMAIN SEALED_ENV /* so many kinds a domain has */

#define SEALED_MAX_LEN (128 * 1024)

/* The key that sealed it; 0: it is not what was expected there. */
uint32_t sealed_key_id(enum sealed, const void *bytes, size_t len);

/* The same under the newest key; out is appended to. */
int sealed_again(const struct seal_ring *, enum sealed, const char *name,
    const void *bytes, size_t len, struct buf *out, struct err *);

#endif
