/*
 * What an authorization object (RFC 8555 section 7.1.4) says: for which name,
 * by which challenge, and why it failed.
 */
#ifndef SYNC_AUTHZ_H
#define SYNC_AUTHZ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "sync/order.h"

/* Is name one of those that were asked for? */
bool authz_is_for(const char *name, const char *const *names, size_t nnames);

/*
 * Take the name the authorization is for, "*." before a wildcard's base;
 * ERR_BUG when it is none of names.
 */
int authz_take_name(struct authz *, json_t *, const char *const *names,
    size_t nnames, struct err *);

/*
 * Take the challenge that is to be met, by a->dns01: its URL, its token, and
 * whether the CA is looking already.  ERR_REFUSED when there is none, ERR_BUG
 * when the token is not 22 to 128 characters of base64url.
 */
int authz_take_challenge(struct authz *, json_t *, struct err *);

/*
 * Is a record that stays (dns-persist-01) offered for a name that dns-01 is to
 * prove?  Then take where to answer, and what the record is to say, from the
 * challenge; account is our URL at the CA, for challenges that do not name it,
 * NULL when no such record is wanted.
 */
void authz_take_persist(struct authz *, json_t *, const char *account);

/*
 * Say why an authorization that is neither valid nor pending is lost, in the
 * CA's own words (ERR_REFUSED when it is invalid); always returns -1.
 */
int authz_lost(const struct authz *, json_t *, struct err *);

#endif
