#include "common/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int
str_copy(char *dst, size_t size, const char *src, struct err *e)
{
	size_t len = strlen(src);

	dst[0] = '\0';
	if (len >= size)
		return err_set(e, ERR_BUG, "%zu bytes of text where %zu fit",
		    len, size - 1);
	memcpy(dst, src, len + 1);
	return 0;
}

bool
str_only(const char *s, size_t len, const char *set)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] == '\0' || strchr(set, s[i]) == NULL)
			return false;
	return len > 0;
}

bool
str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
str_has_suffix(const char *s, const char *suffix)
{
	size_t len = strlen(s), n = strlen(suffix);

	return len >= n && strcmp(s + len - n, suffix) == 0;
}

int
str_int(const char *s, int64_t min, int64_t max, int64_t *v)
{
	char *end;
	long long n;

	if (s[0] != '-' && (s[0] < '0' || s[0] > '9'))
		return -1;
	errno = 0;
	n = strtoll(s, &end, 10);
	if (errno != 0 || *end != '\0' || end == s || n < min || n > max)
		return -1;
	*v = n;
	return 0;
}

/* Length of the valid UTF-8 sequence at p that needs no escape, or 0. */
static size_t
utf8_printable(const uint8_t *p, size_t left)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c;

	if (n == 1)
		return p[0] >= 0x20 && p[0] != 0x7f;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
		return 0;
	c = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	/* Overlong forms, C1, surrogates; then what reorders or hides text. */
	if (c < (n == 2      ? 0xa0u
		    : n == 3 ? 0x800u
			     : 0x10000u) ||
	    (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	if ((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2066 && c <= 0x2069) || c == 0xfeff)
		return 0;
	return n;
}

char *
str_printable(char *dst, size_t size, const char *src, size_t len)
{
	const uint8_t *p = (const uint8_t *)src;
	size_t at = 0;

	for (size_t i = 0; i < len;) {
		size_t n = utf8_printable(p + i, len - i);

		if (n > 0) {
			if (size - at <= n)
				break;
			memcpy(dst + at, p + i, n);
			at += n;
			i += n;
		} else {
			if (size - at <= 4)
				break;
			snprintf(dst + at, size - at, "\\x%02x", p[i++]);
			at += 4;
		}
	}
	dst[at] = '\0';
	return dst;
}

void
str_hex(char *out, const uint8_t *src, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[src[i] >> 4];
		*out++ = digits[src[i] & 15];
	}
	*out = '\0';
}

char *
str_time(char dst[static STR_TIME_MAX], int64_t ms)
{
	/* Rounded down, so that the milliseconds are never negative. */
	int64_t part = (ms % 1000 + 1000) % 1000;
	time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
	struct tm tm = { 0 };
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(dst, STR_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(dst + n, STR_TIME_MAX - n, ".%03dZ", (int)part);
	return dst;
}
