/*
 * Certificates as PEM in the form that nearly all programs write: BEGIN, lines
 * of 64 characters, END.  OpenSSL reads every other form, and takes its time.
 *
 * Pure.
 */
#ifndef SYNC_PEM_H
#define SYNC_PEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/*
 * Take the block that begins at *text, of *left bytes, as DER of at most room
 * bytes; empty lines before it are passed over.  Returns its length and moves
 * on behind it, or -1: it is in another form.
 */
ptrdiff_t pem_take(const char **text, size_t *left, uint8_t *der, size_t room);

/* Nothing, or only empty lines. */
bool pem_at_end(const char *text, size_t left);

/* Append a certificate. */
void pem_put(struct buf *, const uint8_t *der, size_t len);

#endif
