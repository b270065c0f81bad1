#include "common/mem.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_MAX 256 /* text that is formatted once */
#define LARGE (256 * 1024)
#define ARENAS 2 /* ours, and one for all threads */

/*
 * Left alone, glibc takes what is large from the heap once the first such thing
 * was freed, and there anything small behind it keeps it; and each thread has a
 * heap of its own.
 */
void
mem_begin(void)
{
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TRIM_THRESHOLD, LARGE);
	mallopt(M_ARENA_MAX, ARENAS);
}

void
mem_trim(void)
{
	malloc_trim(0);
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size > 0 ? size : 1);

	if (p == NULL)
		abort();
	return p;
}

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n > 0 ? n : 1, size > 0 ? size : 1);

	if (p == NULL)
		abort();
	return p;
}

void *
xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size > 0 ? size : 1);

	if (p == NULL)
		abort();
	return p;
}

char *
xstrdup(const char *s)
{
	return s != NULL ? xmemdup0(s, strlen(s)) : NULL;
}

char *
xmemdup0(const void *src, size_t len)
{
	char *p = xmalloc(len + 1);

	if (len > 0)
		memcpy(p, src, len);
	p[len] = '\0';
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	char text[SHORT_MAX], *s;
	va_list ap;
	int n;

	/* Not vasprintf(): it grows, and leaves what it grew out of behind. */
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	s = xmalloc((size_t)n + 1);
	if ((size_t)n < sizeof(text))
		memcpy(s, text, (size_t)n + 1);
	mem_wipe(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text));
	if ((size_t)n < sizeof(text))
		return s;
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void
mem_wipe(void *p, size_t len)
{
	if (len > 0)
		explicit_bzero(p, len);
}

void
mem_wipe_free(char *s)
{
	if (s != NULL)
		mem_wipe(s, strlen(s));
	free(s);
}

void
mem_release(void *p)
{
	if (p != NULL)
		mem_wipe(p, malloc_usable_size(p));
	free(p);
}

void *
mem_resize(void *old, size_t size)
{
	size_t len = old != NULL ? malloc_usable_size(old) : 0;
	void *p;

	if (old != NULL && size <= len && size >= len / 2)
		return old;
	p = xmalloc(size);
	if (len > 0)
		memcpy(p, old, len < size ? len : size);
	mem_release(old);
	return p;
}
