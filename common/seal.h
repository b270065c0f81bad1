/*
 * Secrets at rest: an AES-256-GCM envelope under a key of a key ring.
 *
 *	"HCB1" | alg u8 | flags u8 | kek_id u32 BE | salt[32] | nonce[12] |
 *	ciphertext | tag[16]
 *
 * alg 1: the record's key is HKDF-SHA256(KEK, salt, "certfleet/1/" type "/"
 * name).  The tag also covers the header, type, name and bind, so that a
 * sealed secret cannot be moved to another name, kind or certificate.
 *
 * A ring file has one line per key, "id created state base64": id a number
 * from 1, created RFC 3339, state "active", "retired" or "next" (it is to be
 * active when all have it), 32 bytes of key.  The newest active key seals, any
 * key opens.  "#" starts a comment.
 */
#ifndef COMMON_SEAL_H
#define COMMON_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define SEAL_OVERHEAD 70 /* header, salt, nonce and tag */
#define SEAL_PLAIN_MAX (256 * 1024)

struct seal_ring;

/*
 * Load the ring file; one that group or others may read is refused
 * (ERR_CONFIG), as is one without an active key.  seal_ring_free() wipes.
 */
struct seal_ring *seal_ring_load(const char *path, struct err *);
void seal_ring_free(struct seal_ring *);

/*
 * Write a new ring file with one fresh key, mode 0600, durably; fails when the
 * file exists already.
 */
int seal_ring_create(const char *path, struct err *);

/* What is in a ring, but for the keys themselves. */
enum seal_state {
	SEAL_ACTIVE = 0,
	SEAL_RETIRED,
	SEAL_NEXT,
};
const char *seal_state_name(enum seal_state);

struct seal_key {
	uint32_t id;
	int64_t created_at; /* wall ms */
	enum seal_state state;
};
#define SEAL_KEYS_MAX 256
size_t seal_ring_keys(
    const struct seal_ring *, struct seal_key *out, size_t max);
uint32_t seal_ring_seals(
    const struct seal_ring *); /* id of the one that does */

/* The id of the key that sealed it; 0: it is not sealed. */
uint32_t seal_key_id(const void *sealed, size_t len);

/*
 * Seal len bytes into out (appended).  type ("bundle", "csrkey", "account"),
 * name (a domain, a CA) and bind (the leaf's SHA-1, or "") must be given again
 * to open it.
 */
int seal(const struct seal_ring *, const char *type, const char *name,
    const char *bind, const void *plain, size_t len, struct buf *out,
    struct err *);

/*
 * Open into out (appended; the caller wipes it with buf_wipe()).  Fails with
 * ERR_CONFIG when the key is not in the ring and with ERR_BUG when the bytes
 * are not what was sealed.
 */
int seal_open(const struct seal_ring *, const char *type, const char *name,
    const char *bind, const void *sealed, size_t len, struct buf *out,
    struct err *);

#endif
