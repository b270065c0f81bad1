/*
 * Allocation that cannot fail, and wiping.
 *
 * Running out of memory ends the program: sizes are capped before they get
 * here, state lives in Redis, and the supervisor starts us again.
 */
#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include <stddef.h>

/*
 * Before anything else, in a program that is to stay small: what is freed goes
 * back to the system.
 */
void mem_begin(void);

/* In a calm moment after much was freed: so does what lies between the rest. */
void mem_trim(void);

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *, size_t size);
char *xstrdup(const char *);              /* NULL stays NULL */
char *xmemdup0(const void *, size_t len); /* adds a NUL */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Overwrite a secret; the compiler cannot leave it out. */
void mem_wipe(void *, size_t len);

/* Wipe a NUL-terminated secret and free it; NULL is accepted. */
void mem_wipe_free(char *);

/*
 * For libraries through whose hands secrets go, as what they free
 * and resize by:
 * what they let go of is wiped, whatever it was.
 */
void mem_release(void *);
void *mem_resize(void *, size_t size);

#endif
