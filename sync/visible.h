/*
 * Does every name server show the TXT values?  And if not, what is missing?
 *
 * Pure.  A CA asks any of them, so one that lags, has another value, refuses
 * or does not answer holds the challenge back.  Not counted is an address
 *
 * - that this machine has no route to (no IPv6 here), or that is silent while
 *   the same name server answers at another of its addresses;
 * - of a name server that has been silent for VISIBLE_SILENT_MS, when at least
 *   half of the zone's name servers show the values: it is gone for good, and
 *   the CA passes it over just the same.
 */
#ifndef SYNC_VISIBLE_H
#define SYNC_VISIBLE_H

#include <stddef.h>

#include "sync/authority.h"

#define VISIBLE_SILENT_MS (5 * 60 * 1000)

/*
 * 1: every server that counts shows all n values.  0: not yet, and why is one
 * sentence for people: what is, what should be.
 */
int visible(const struct authority_answer *, char *const value[], size_t n,
    char *why, size_t size);

#endif
