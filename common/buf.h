/*
 * Growable bytes with a cap that must be given.
 *
 * A buf lives inside another object: buf_init() before use, buf_clear() after,
 * which may be called twice.  p is always followed by a NUL that len does not
 * count, so that text can be read as a string.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *p; /* never NULL after buf_init() */
	size_t len;
	size_t room; /* bytes allocated, the NUL's included */
	size_t cap;  /* len never passes it */
};

void buf_init(struct buf *, size_t cap);

/* Free; with wipe the bytes are overwritten first, here and on growth. */
void buf_clear(struct buf *);
void buf_wipe(struct buf *);

/*
 * Append.  Return 0, or -1 when the cap would be passed: then nothing is
 * appended.  Growth overwrites the bytes it leaves behind, so that a secret
 * has one copy.
 */
int buf_put(struct buf *, const void *, size_t len);
int buf_puts(struct buf *, const char *);
int buf_putf(struct buf *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int buf_vputf(struct buf *, const char *fmt, va_list)
    __attribute__((format(printf, 2, 0)));

/* Forget the first n bytes (n <= len); the rest moves to the front. */
void buf_drop(struct buf *, size_t n);

/* Give the bytes away: the caller frees them, the buf is empty again. */
char *buf_take(struct buf *);

#endif
