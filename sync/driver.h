/*
 * Runs orders: does what an order asks for, saves before it goes on, and ends
 * with a certificate in Redis or a reason.
 *
 * The journal in Redis is one step ahead of the CA: the order's URL is saved
 * before anything is done with the order, the key before it is finalized.  A
 * run that finds a journal goes on from it, whoever began it.
 */
#ifndef SYNC_DRIVER_H
#define SYNC_DRIVER_H

#include <stdbool.h>

#include "common/domain.h"
#include "common/err.h"

struct ca;
struct challenges;
struct conf;
struct dns01;
struct driver;
struct event_base;
struct limits;
struct outbox;
struct seal_ring;
struct store;

struct driver *driver_new(struct event_base *, const struct conf *,
    const struct seal_ring *, struct store *, struct ca *, struct challenges *,
    struct limits *);
void driver_free(struct driver *); /* nobody is called back */

/*
 * A second CA, with conf's acme_fallback: for domains in the last tenth of
 * their certificate's lifetime, when the first cannot be reached.
 */
void driver_fallback(struct driver *, struct ca *);

/* Where keys and certificates are while Redis may lose them; may be NULL. */
void driver_outbox(struct driver *, struct outbox *);

/*
 * Who makes TXT records.  waits is called with the arg of a run that waits for
 * DNS, perhaps for long, and needs no place among the orders meanwhile.
 */
typedef void driver_waits_fn(void *arg);
void driver_dns01(struct driver *, struct dns01 *, driver_waits_fn *waits);

/* Is that the thumbprint of our account at one of the CAs? */
bool driver_has_account(const struct driver *, const char *thumbprint);

/*
 * Be told, with the arg of driver_run(), when an order does nothing but wait: a
 * pause before it goes on, or a CA that does not answer; and when it goes on.
 */
typedef void driver_rest_fn(void *arg, bool resting);
void driver_rests(struct driver *, driver_rest_fn *);

/*
 * Get a certificate for d->name under d->epoch.  d is borrowed and stays as it is
 * until fn is called or the run cancelled; so is not_second, why the second CA
 * must not be asked, or "".  In fn, d has the certificate's fields, version and
 * gen when e is NULL; otherwise e says why there is none: type "FENCED" and "GONE"
 * mean that the domain is no longer ours to write, LIMIT_WAIT that nothing was
 * tried, LIMIT_PAUSED that d->action is for a person to do, DNS01_BY_HAND that a
 * person has to make the TXT record that is in d's acme_dns fields, and that the
 * order waits for that; without such a reason d may be the one that was given.
 * The record is committed with status and reason as d has them, and next_at as
 * its next action.
 */
typedef void driver_fn(void *arg, const struct domain *d, const struct err *e);
void driver_run(struct driver *, const struct domain *d, const char *not_second,
    driver_fn *, void *arg);
void driver_cancel(struct driver *, const void *arg);

#endif
