/*
 * What a browser says that others would not: which site it is on, where the
 * request comes from, and its cookies.  Pure.
 */
#ifndef SYNC_API_SITE_H
#define SYNC_API_SITE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"

/*
 * Is a Host header's value a name of ours: this machine's loopback, of
 * api.url, or in api.hosts?  Any other name that leads here was made to lead
 * here by somebody else (DNS rebinding).
 */
bool site_host(const struct conf *, const char *host);

/* Is api.url on that host, by https? */
bool site_https(const struct conf *, const char *host);

/* Is an Origin header's value the site at host?  https: it must be by TLS. */
bool site_origin(const char *origin, const char *host, bool https);

/* The value of the cookie of that name into out; false: there is none. */
bool site_cookie(const char *header, const char *name, char *out, size_t size);

#endif
