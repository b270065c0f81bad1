/* JSON web tokens signed with RS256 (RFC 7515, RFC 7518 section 3.3). */
#ifndef PROVIDERS_JWT_H
#define PROVIDERS_JWT_H

#include "common/buf.h"
#include "common/err.h"

/*
 * Append the compact form (RFC 7515 section 7.1) of a header and claims, both
 * JSON text, signed with an RSA private key in PEM.  ERR_CONFIG when that is
 * none, or too short to be safe.
 */
int jwt_sign(const char *pem, const char *header, const char *claims,
    struct buf *out, struct err *);

#endif
