#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define FIRST_ROOM 64

/* Shared by all empty bufs; never written to but by its own NUL. */
static char nothing[1];

void
buf_init(struct buf *b, size_t cap)
{
	*b = (struct buf){ .p = nothing, .cap = cap };
}

void
buf_clear(struct buf *b)
{
	if (b->room > 0)
		free(b->p);
	buf_init(b, b->cap);
}

void
buf_wipe(struct buf *b)
{
	mem_wipe(b->p, b->room);
	buf_clear(b);
}

/* Make room for n more bytes and the NUL. */
static int
grow(struct buf *b, size_t n)
{
	size_t room = b->room > 0 ? b->room : FIRST_ROOM;
	char *p;

	if (n > b->cap - b->len)
		return -1;
	while (room - 1 < b->len + n)
		room *= 2;
	if (room == b->room)
		return 0;
	p = xmalloc(room);
	memcpy(p, b->p, b->len + 1);
	mem_wipe(b->p, b->room);
	if (b->room > 0)
		free(b->p);
	b->p = p;
	b->room = room;
	return 0;
}

int
buf_put(struct buf *b, const void *src, size_t len)
{
	if (len == 0)
		return 0;
	if (grow(b, len) == -1)
		return -1;
	memcpy(b->p + b->len, src, len);
	b->len += len;
	b->p[b->len] = '\0';
	return 0;
}

int
buf_puts(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

int
buf_putf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = buf_vputf(b, fmt, ap);
	va_end(ap);
	return rc;
}

int
buf_vputf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0 || grow(b, (size_t)n) == -1)
		return -1;
	if (n == 0)
		return 0;
	vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
	return 0;
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->len - n + 1);
	b->len -= n;
}

char *
buf_take(struct buf *b)
{
	char *p = b->room > 0 ? b->p : xstrdup("");

	buf_init(b, b->cap);
	return p;
}
