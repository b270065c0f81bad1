/*
 * Nonces of a CA (RFC 8555 section 6.5), fed by every reply.  The newest is
 * used first: after a badNonce that is the one the error brought.
 */
#ifndef SYNC_NONCES_H
#define SYNC_NONCES_H

#include <stddef.h>

#define NONCES_MAX 64

/* Zero is empty. */
struct nonces {
	char *at[NONCES_MAX];
	size_t n;
};

/* Keep one; when there are NONCES_MAX already the oldest goes. */
void nonces_put(struct nonces *, const char *);

/* The newest, or NULL; the caller frees it. */
char *nonces_take(struct nonces *);

void nonces_clear(struct nonces *);

#endif
