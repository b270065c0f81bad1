/*
 * JSON web signatures as ACME uses them: ES256 with the account key (RFC 7518
 * section 3.4), its JWK and thumbprint (RFC 7638), HS256 for external account
 * binding.
 */
#ifndef SYNC_JOSE_H
#define SYNC_JOSE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define JOSE_THUMBPRINT_SIZE 44 /* 43 characters and a NUL */

struct jose_key;

/* Read a P-256 private key, PEM; ERR_BUG when it is none.  Freeing wipes. */
struct jose_key *jose_key_new(const char *pem, struct err *);
void jose_key_free(struct jose_key *);

/* RFC 7638 section 3, base64url; lives as long as the key. */
const char *jose_thumbprint(const struct jose_key *);

/* SHA-256 of a text, base64url: also what RFC 8555 section 8.4 wants in a TXT. */
#define JOSE_DIGEST_SIZE 44 /* 43 characters and a NUL */
void jose_digest(const char *text, char out[static JOSE_DIGEST_SIZE]);

/* The public key as a JWK; the caller owns it. */
json_t *jose_jwk(const struct jose_key *);

/*
 * Append a JWS in flattened JSON form (RFC 7515 section 7.2.2) of the payload,
 * which may be empty, to out.  alg is added to protected_stolen.
 */
int jose_sign(const struct jose_key *, json_t *protected_stolen,
    const char *payload, struct buf *out, struct err *);

/* The same with HS256; the key is base64url, ERR_CONFIG when it is not. */
int jose_mac(const char *key_b64url, json_t *protected_stolen,
    const char *payload, struct buf *out, struct err *);

#endif
