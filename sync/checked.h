/*
 * Which certificates were found good a moment ago, by a digest of all that was
 * looked at: the leader has checked what its own node takes next.
 */
#ifndef SYNC_CHECKED_H
#define SYNC_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

#define CHECKED_LEN 32

/* The digest of a chain, a key and a name. */
void checked_digest(uint8_t out[static CHECKED_LEN], const char *chain,
    const char *key_pem, const char *name);

/* Were they found good?  Only the newest few are remembered. */
bool checked_before(const uint8_t digest[static CHECKED_LEN]);
void checked_remember(const uint8_t digest[static CHECKED_LEN]);

#endif
