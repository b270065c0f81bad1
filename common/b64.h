/* Base64: URL form without padding (RFC 4648 section 5) and the plain form. */
#ifndef COMMON_B64_H
#define COMMON_B64_H

#include <stddef.h>
#include <stdint.h>

/* Characters that n bytes need, and the NUL. */
#define B64URL_SIZE(n) (((n)*4 + 2) / 3 + 1)
#define B64_SIZE(n) (((n) + 2) / 3 * 4 + 1)

/* The alphabet of the URL form: also that of RFC 8555 tokens. */
#define B64URL_CHARS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* Write text and NUL to dst, which has B64URL_SIZE(len) or B64_SIZE(len). */
void b64url_encode(char *dst, const void *src, size_t len);
void b64_encode(char *dst, const void *src, size_t len);

/*
 * Decode text of len characters into dst, which has room for len * 3 / 4
 * bytes.  Return the number of bytes, or -1 when a character is outside the
 * alphabet, when the length is impossible or bits are left over.  The plain
 * form must be padded and has no white space.
 */
ptrdiff_t b64url_decode(uint8_t *dst, const char *src, size_t len);
ptrdiff_t b64_decode(uint8_t *dst, const char *src, size_t len);

#endif
