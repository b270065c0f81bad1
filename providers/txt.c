#include "providers/txt.h"

#include <string.h>

int
txt_quote(struct buf *b, const char *value)
{
	size_t n = 0;

	if (buf_puts(b, "\"") == -1)
		return -1;
	for (const char *p = value; *p != '\0'; p++, n++) {
		unsigned char c = (unsigned char)*p;
		int rc;

		if (n == TXT_STRING_MAX) {
			if (buf_puts(b, "\" \"") == -1)
				return -1;
			n = 0;
		}
		if (c == '"' || c == '\\')
			rc = buf_putf(b, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			rc = buf_putf(b, "\\%03u", c);
		else
			rc = buf_put(b, p, 1);
		if (rc == -1)
			return -1;
	}
	return buf_puts(b, "\"");
}

/* One escape, p behind its backslash; returns what follows, or NULL. */
static const char *
unescape(struct buf *b, const char *p)
{
	unsigned int c = 0;
	char byte;
	int n = 0;

	while (n < 3 && p[n] >= '0' && p[n] <= '9')
		c = c * 10 + (unsigned int)(p[n++] - '0');
	if (n == 0 && *p != '\0') {
		byte = *p++;
	} else {
		if (n != 3 || c > 255)
			return NULL;
		byte = (char)c;
		p += 3;
	}
	return buf_put(b, &byte, 1) == -1 ? NULL : p;
}

/* One quoted string, p behind its opening quote. */
static const char *
decode_string(struct buf *b, const char *p)
{
	while (p != NULL && *p != '"') {
		if (*p == '\0')
			return NULL;
		if (*p == '\\')
			p = unescape(b, p + 1);
		else if (buf_put(b, p++, 1) == -1)
			return NULL;
	}
	return p != NULL ? p + 1 : NULL;
}

int
txt_decode(struct buf *b, const char *presented)
{
	const char *p = presented;

	if (*p != '"')
		return buf_puts(b, p);
	while (*p != '\0') {
		if (*p++ != '"')
			return -1;
		p = decode_string(b, p);
		if (p == NULL)
			return -1;
		p += strspn(p, " \t");
	}
	return 0;
}

bool
txt_same(const char *presented, const char *value)
{
	struct buf b;
	bool same;

	buf_init(&b, 65536);
	same = txt_decode(&b, presented) == 0 && b.len == strlen(value) &&
	       memcmp(b.p, value, b.len) == 0;
	buf_clear(&b);
	return same;
}
