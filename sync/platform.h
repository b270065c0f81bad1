/*
 * The platform certificate: an operator's PEM, or the wildcard that we order for
 * platform_app as any other; HAProxy's default on this node, replaced while
 * HAProxy runs when the file changes.
 *
 * Names one label below platform_domain that it covers are served by it from
 * the first second: there is nothing to order for them.
 */
#ifndef SYNC_PLATFORM_H
#define SYNC_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/domain.h"
#include "common/err.h"

struct conf;
struct event_base;
struct files;
struct hold;
struct platform;

/*
 * Write it as what HAProxy loads at start, if there is one and it is good; one
 * that is not is logged and what was there stays.  Our own must be on disk
 * (keep_load()).
 */
void platform_prime(const struct conf *, struct files *);

/* Take the file and look at it each second; one that is bad is logged. */
struct platform *platform_new(struct event_base *, const struct conf *,
    const struct files *, struct hold *);
void platform_free(struct platform *);

/*
 * The domain that certfleet orders by itself for the platform, "" when there is
 * none; its certificate covers platform_domain, too.
 */
void platform_wildcard(const struct conf *, char name[static DOMAIN_NAME_MAX]);

/* Is the name served by the certificate, without one of its own? */
bool platform_covers(const struct platform *, const char *name, int64_t now_ms);

/* When that certificate ends, 0: there is none. */
int64_t platform_not_after(const struct platform *);

#endif
