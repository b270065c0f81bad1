/*
 * One short text for which certificate is served for which name, of any number
 * of names in any order: two nodes that serve the same say the same.  Pure.
 */
#ifndef SYNC_DIGEST_H
#define SYNC_DIGEST_H

#include <stdint.h>

#define DIGEST_SIZE 16
#define DIGEST_TEXT_MAX (DIGEST_SIZE * 2 + 1)

/* Zero: of nothing. */
struct digest {
	uint8_t byte[DIGEST_SIZE];
};

/* Put a name and its certificate's SHA-1 in; or, when they are in, out. */
void digest_toggle(struct digest *, const char *name, const char *sha1);

/* Upper hex. */
void digest_text(const struct digest *, char out[static DIGEST_TEXT_MAX]);

#endif
