#include "common/b64.h"

#include <string.h>

static const char plain_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t
encode(char *dst, const uint8_t *src, size_t len, const char *chars)
{
	char *start = dst;
	uint32_t bits = 0;
	unsigned int n = 0;

	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | src[i];
		for (n += 8; n >= 6; n -= 6)
			*dst++ = chars[bits >> (n - 6) & 63];
	}
	if (n > 0)
		*dst++ = chars[bits << (6 - n) & 63];
	*dst = '\0';
	return (size_t)(dst - start);
}

void
b64url_encode(char *dst, const void *src, size_t len)
{
	encode(dst, src, len, B64URL_CHARS);
}

void
b64_encode(char *dst, const void *src, size_t len)
{
	size_t n = encode(dst, src, len, plain_chars);

	while (n % 4 != 0)
		dst[n++] = '=';
	dst[n] = '\0';
}

static int
value_of(char c, const char *chars)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == chars[62] || c == chars[63])
		return c == chars[62] ? 62 : 63;
	return -1;
}

static ptrdiff_t
decode(uint8_t *dst, const char *src, size_t len, const char *chars)
{
	uint8_t *start = dst;
	uint32_t bits = 0;
	unsigned int n = 0;

	if (len % 4 == 1)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int value = value_of(src[i], chars);

		if (value == -1)
			return -1;
		bits = bits << 6 | (uint32_t)value;
		n += 6;
		if (n >= 8) {
			n -= 8;
			*dst++ = (uint8_t)(bits >> n);
		}
	}
	/* Left-over bits must be zero, so that a value has one text. */
	if ((bits & ((1u << n) - 1)) != 0)
		return -1;
	return dst - start;
}

ptrdiff_t
b64url_decode(uint8_t *dst, const char *src, size_t len)
{
	return decode(dst, src, len, B64URL_CHARS);
}

ptrdiff_t
b64_decode(uint8_t *dst, const char *src, size_t len)
{
	if (len % 4 != 0)
		return -1;
	if (len > 0 && src[len - 1] == '=')
		len -= src[len - 2] == '=' ? 2 : 1;
	return decode(dst, src, len, plain_chars);
}
