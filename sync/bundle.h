/*
 * A bundle: a domain's certificate and key as Redis and disks hold them.
 *
 * One msgpack map: v 1, name, chain (PEM), key (sealed, bound to name and
 * leaf), sha1, serial, issuer, not_before, not_after, issued_at.  A second
 * certificate of the name, for clients that do not take the first, is chain2
 * and key2.  What its domain's record was then, for a Redis that forgets it, is
 * app, ca, created_at, custom, letsencrypt and canonical.  Unknown fields are
 * ignored.  Counts are bounded before anything is allocated.
 */
#ifndef SYNC_BUNDLE_H
#define SYNC_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/domain.h"
#include "common/err.h"
#include "common/seal.h"
#include "sync/cert.h"

#define BUNDLE_MAX (64 * 1024)

/* What a record cannot get back from the certificate itself. */
struct bundle_about {
	char app[DOMAIN_APP_MAX]; /* "": a bundle of before it was told */
	char ca[256];             /* the directory's URL, "": not ours */
	int64_t created_at;
	bool custom; /* the owner's own */
	bool letsencrypt, canonical;
};

/* What a record says of itself, but for the CA. */
void bundle_describe(struct bundle_about *, const struct domain *);

/* Pack and seal; out is appended to. */
int bundle_pack(const struct seal_ring *, const char *name, const struct cert *,
    const char *key_pem, struct buf *out, struct err *);

/* The same with a second certificate; second and about may be NULL. */
int bundle_pack_two(const struct seal_ring *, const char *name,
    const struct cert *, const char *key_pem, const struct cert *second,
    const char *second_pem, const struct bundle_about *about, struct buf *out,
    struct err *);

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

/* Read it; -1 when the bundle is damaged.  Nothing of it is proven. */
int bundle_about(
    struct bundle_about *, const void *bytes, size_t len, struct err *);

/*
 * The same bundle sealed by the ring's newest key; what is not known of it is
 * lost.  out is appended to.
 */
int bundle_reseal(const struct seal_ring *, const char *name, const void *bytes,
    size_t len, struct buf *out, struct err *);

/* The id of the key that sealed it; 0: it is no bundle. */
uint32_t bundle_key_id(const void *bytes, size_t len);

#endif
