/*
 * Keys, certificate signing requests and certificates, by OpenSSL: what is
 * made for an order, and what may be trusted of what comes back.
 *
 * Certificates are parsed and written anew: bytes from a CA are never passed
 * on.
 */
#ifndef SYNC_CERT_H
#define SYNC_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define CERT_CHAIN_MAX 10 /* certificates in a chain */

/* A new P-256 private key, PEM (PKCS #8); the caller wipes and frees it. */
char *cert_key_new(void);

/*
 * A CSR for names (RFC 8555 section 7.4: subjectAltName only), base64url DER;
 * the caller frees it.
 */
int cert_csr(const char *key_pem, const char *const *names, size_t nnames,
    char **csr, struct err *);

/* What a certificate says of itself. */
struct cert {
	char *chain;     /* PEM written anew, leaf first */
	char serial[64]; /* upper hex */
	char sha1[41];   /* of the leaf's DER, upper hex */
	char issuer[128];
	int64_t not_before, not_after; /* wall ms */
	size_t length;                 /* certificates in the chain */
	void *parsed;                  /* cert.c's own */
};
void cert_clear(struct cert *);

/* Parse a PEM chain; ERR_BUG when it is none or longer than CERT_CHAIN_MAX. */
int cert_parse(struct cert *, const char *pem, size_t len, struct err *);

#define CERT_ANY_TIME (-1) /* now, where dates are not to be judged */

/*
 * May this certificate be stored and served?  The key matches, it covers name
 * (by subjectAltName), each certificate is signed by the next and none is
 * missing in between, now lies inside its dates (an hour of grace before).
 * The sentence says which of these it is.
 */
int cert_check(const struct cert *, const char *key_pem, const char *name,
    int64_t now_ms, struct err *);

/* Does its leaf cover name, by subjectAltName? */
bool cert_covers(const struct cert *, const char *name);

/* Call fn for each DNS name that its leaf is for, as it is written there. */
typedef void cert_names_fn(void *arg, const char *name, size_t len);
void cert_names(const struct cert *, cert_names_fn *, void *arg);

/*
 * The certificate's name in renewal information (RFC 9773 section 4.1): its
 * authority's key identifier and its serial number, each base64url; "" when
 * it has no such identifier, or out is too small.
 */
void cert_ari_id(const struct cert *, char *out, size_t size);

/* Does the topmost certificate of a PEM chain have this issuer (CN)? */
bool cert_topmost_by(const char *chain, const char *issuer);

/* The PEM that HAProxy loads: key and chain, no blank lines; caller wipes. */
char *cert_pem(const struct cert *, const char *key_pem);

/* A self-signed placeholder, HAProxy's default until there is a better one. */
char *cert_placeholder(void);

#endif
