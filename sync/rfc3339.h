/* Times as CAs write them. */
#ifndef SYNC_RFC3339_H
#define SYNC_RFC3339_H

#include <stdint.h>

/*
 * RFC 3339 section 5.6, as wall-clock ms; fractions of a second are left out.
 * Returns -1 when it is no time.
 */
int rfc3339(const char *, int64_t *ms);

#endif
