/* Entity tags (RFC 9110 section 8.8.3): of an answer's bytes.  Pure. */
#ifndef SYNC_API_ETAG_H
#define SYNC_API_ETAG_H

#include <stdbool.h>

#include <jansson.h>

#define ETAG_SIZE 32

/* The tag of a JSON answer, with its quotes. */
void etag_make(const json_t *, char out[static ETAG_SIZE]);

/* The tag of what is sent as it is. */
void etag_bytes(const char *bytes, size_t len, char out[static ETAG_SIZE]);

/*
 * True when an If-Match or If-None-Match header names the tag: "*", or a list
 * of tags.  A weak one, W/"...", counts only when weak is true.
 */
bool etag_named(const char *header, const char *etag, bool weak);

#endif
