#include "sync/pem.h"

#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/mem.h"

#define LINE 64
#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END "-----END CERTIFICATE-----\n"

static void
move(const char **text, size_t *left, size_t n)
{
	*text += n;
	*left -= n;
}

static void
skip_empty(const char **text, size_t *left)
{
	while (*left > 0 && **text == '\n')
		move(text, left, 1);
}

bool
pem_at_end(const char *text, size_t left)
{
	skip_empty(&text, &left);
	return left == 0;
}

static bool
take(const char **text, size_t *left, const char *what)
{
	size_t n = strlen(what);

	if (*left < n || memcmp(*text, what, n) != 0)
		return false;
	move(text, left, n);
	return true;
}

/* How many bytes it is decoded to, at most. */
static size_t
decoded(const char *base64, size_t len)
{
	for (int i = 0; i < 2 && len > 0 && base64[len - 1] == '='; i++)
		len--;
	return len * 3 / 4;
}

/* The lines of one block, joined; all but the last are full. */
static bool
take_lines(const char **text, size_t *left, char *out, size_t room, size_t *len)
{
	const char *newline;
	size_t n = LINE;

	*len = 0;
	while (*left > 0 && **text != '-') {
		newline = memchr(*text, '\n', *left);
		if (newline == NULL || n != LINE)
			return false;
		n = (size_t)(newline - *text);
		if (n == 0 || n > LINE || n > room - *len)
			return false;
		memcpy(out + *len, *text, n);
		*len += n;
		move(text, left, n + 1);
	}
	return *len > 0;
}

ptrdiff_t
pem_take(const char **text, size_t *left, uint8_t *der, size_t room)
{
	const char *at = *text;
	size_t rest = *left, len, most = B64_SIZE(room) - 1;
	char *base64;
	ptrdiff_t n = -1;

	skip_empty(&at, &rest);
	if (!take(&at, &rest, BEGIN))
		return -1;
	base64 = xmalloc(most);
	if (take_lines(&at, &rest, base64, most, &len) &&
	    take(&at, &rest, END) && decoded(base64, len) <= room)
		n = b64_decode(der, base64, len);
	free(base64);
	if (n <= 0)
		return -1;
	*text = at;
	*left = rest;
	return n;
}

void
pem_put(struct buf *out, const uint8_t *der, size_t len)
{
	char *base64 = xmalloc(B64_SIZE(len));
	size_t left, n;

	b64_encode(base64, der, len);
	left = strlen(base64);
	buf_puts(out, BEGIN);
	for (const char *p = base64; left > 0; p += n, left -= n) {
		n = left < LINE ? left : LINE;
		buf_put(out, p, n);
		buf_puts(out, "\n");
	}
	buf_puts(out, END);
	free(base64);
}
