/*
 * Revoking a domain's managed certificate at the CA (RFC 8555 section 7.6),
 * signed by the account.
 */
#ifndef SYNC_REVOKE_H
#define SYNC_REVOKE_H

#include "common/domain.h"
#include "common/err.h"

struct ca;
struct revokes;
struct seal_ring;
struct store;

/* second: the CA for when the first cannot be reached, or NULL. */
struct revokes *revokes_new(struct store *, const struct seal_ring *,
    struct ca *first, struct ca *second);
void revokes_free(struct revokes *); /* nobody is called back */

/*
 * Revoke d's certificate for the reason in d->revoke and write that down under
 * d->epoch.  One that is revoked or has expired already is as good.
 */
typedef void revoke_fn(void *arg, const struct err *e);
void revoke_start(
    struct revokes *, const struct domain *d, revoke_fn *, void *arg);
void revoke_cancel(struct revokes *, const void *arg);

#endif
