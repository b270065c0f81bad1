/*
 * A bundle: a domain's certificate and key as Redis and disks hold them.
 *
 * One msgpack map: v 1, name, chain (PEM), key (sealed, bound to name and
 * leaf), sha1, serial, issuer, not_before, not_after, issued_at.  A second
 * certificate of the name, for clients that do not take the first, is chain2
 * and key2.  Unknown fields are ignored.  Counts are bounded before anything is
 * allocated.
 */
#ifndef SYNC_BUNDLE_H
#define SYNC_BUNDLE_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/seal.h"
#include "sync/cert.h"

#define BUNDLE_MAX (64 * 1024)

/* Pack and seal; out is appended to. */
int bundle_pack(const struct seal_ring *, const char *name, const struct cert *,
    const char *key_pem, struct buf *out, struct err *);

/* The same with a second certificate; second may be NULL. */
int bundle_pack_two(const struct seal_ring *, const char *name,
    const struct cert *, const char *key_pem, const struct cert *second,
    const char *second_pem, struct buf *out, struct err *);

/*
 * Unpack, unseal and check (cert_check) a bundle from outside: afterwards cert
 * is parsed from the chain, never taken from the map, and *key_pem is the key;
 * the caller wipes and frees both.
 */
int bundle_open(const struct seal_ring *, const char *name, const void *bytes,
    size_t len, int64_t now_ms, struct cert *, char **key_pem, struct err *);

/* The same for its second certificate; none is 0 with *key_pem NULL. */
int bundle_open_second(const struct seal_ring *, const char *name,
    const void *bytes, size_t len, int64_t now_ms, struct cert *,
    char **key_pem, struct err *);

#endif
