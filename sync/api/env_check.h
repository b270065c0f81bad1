/*
 * Do an app's variables work?  One harmless call to its provider; and are the
 * zones of the app's wildcards in that account?
 */
#ifndef SYNC_API_ENV_CHECK_H
#define SYNC_API_ENV_CHECK_H

#include <jansson.h>

#include "common/err.h"
#include "providers/provider.h"

struct api;
struct env_check;

/*
 * e: they are wrong (ERR_CONFIG), or none of the zones is there (ERR_REFUSED).
 * Else they may be kept, with warnings for people: sentences about what could
 * not be asked and zones that are not there.  Called once, not from within;
 * the warnings live until it returns.
 */
typedef void env_check_fn(
    void *arg, const json_t *warnings, const struct err *e);

/* The access is borrowed until env_check_free(). */
struct env_check *env_check_new(struct api *, const char *app,
    struct provider_access *, env_check_fn *, void *arg);
void env_check_free(struct env_check *);

#endif
