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
 * from 1, created RFC 3339, state "active" or "retired", 32 bytes of key.  The
 * newest active key seals, any key opens.  "#" starts a comment.
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
