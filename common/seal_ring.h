/*
 * The key ring from the inside: for seal.c and seal_ring.c only.
 */
#ifndef COMMON_SEAL_RING_H
#define COMMON_SEAL_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/seal.h"

#define SEAL_KEY_LEN 32
#define SEAL_RING_MAX 256 /* keys */

struct ring_key {
	uint32_t id;
	int64_t created; /* seconds */
	enum seal_state state;
	uint8_t key[SEAL_KEY_LEN];
};

struct seal_ring {
	size_t nkeys;
	const struct ring_key *newest; /* of the active ones */
	struct ring_key key[SEAL_RING_MAX];
};

/* How a ring's file begins. */
#define SEAL_RING_HEAD                                                    \
	"# Key ring of certfleet.  Whoever has it can open every sealed " \
	"key;\n# without it none can be opened: keep a copy in a safe "   \
	"place.\n"

/* A new name in a directory survives a crash once the directory is synced. */
int seal_ring_sync_directory(const char *path);

/* The key with this id, or NULL. */
const struct ring_key *seal_ring_key(const struct seal_ring *, uint32_t id);

#endif
