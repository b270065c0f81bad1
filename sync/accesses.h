/*
 * The apps' access to their DNS providers, as their variables in Redis say,
 * kept with the provider's token until the variables change, and not for long
 * when nobody needs them.
 */
#ifndef SYNC_ACCESSES_H
#define SYNC_ACCESSES_H

#include "common/conf.h"
#include "common/err.h"
#include "providers/provider.h"
#include "sync/env.h"
#include "sync/store.h"

struct access;
struct accesses;
struct event_base;

struct accesses *accesses_new(
    struct event_base *, struct store *, const struct conf *);

/* All holds are given back first; who still waits is not called back. */
void accesses_free(struct accesses *);

/*
 * The access of an app; NULL without an error when it has none: it has set no
 * DNS_PROVIDER, and a person makes its records.  e: what the owner must change
 * about the variables (ERR_CONFIG), or what Redis had.  Whoever is given one
 * holds it until access_release().  Never calls fn from within.
 */
typedef void access_fn(void *arg, struct access *, const struct err *e);
void access_get(struct accesses *, const char *app, access_fn *, void *arg);
void access_cancel(struct accesses *, const void *arg);
void access_release(struct access *); /* NULL is accepted */

/* For txt_record.access; lives as long as the hold. */
struct provider_access *access_of(struct access *);

/* The variables that it is made of, sealed, as text; the caller frees it. */
char *access_sealed(const struct access *);

/*
 * The access that such give, whatever the app has now; NULL: they do not open,
 * or give none.  Held as any.
 */
struct access *access_open(
    struct accesses *, const char *app, const char *sealed, struct err *);

/*
 * The access that variables give, as env_access(), at the operator's base URL
 * where there is one.
 */
int access_from(const struct env *, const struct conf *,
    struct provider_access *, struct provider_vars *bad, struct err *);

#endif
