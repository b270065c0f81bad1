/*
 * A record made anew from a bundle: all that its certificate and the bundle
 * itself can tell.  No I/O.
 */
#ifndef SYNC_RESTORE_H
#define SYNC_RESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/domain.h"
#include "common/err.h"

struct conf;
struct seal_ring;

/* The app of a domain whose bundle is of before bundles told it. */
#define RESTORE_APP "unknown"

/*
 * Check the bundle as any other and fill d, which is initialised; custom: it is
 * its owner's own.  Fails for one that is not good, or not any more.
 */
int restore_record(struct domain *d, bool *custom, const struct conf *,
    const struct seal_ring *, const char *name, const void *bundle, size_t len,
    int64_t now_ms, struct err *);

#endif
