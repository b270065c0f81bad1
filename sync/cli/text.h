/* Text for a terminal: times as people say them, foreign text made safe. */
#ifndef SYNC_CLI_TEXT_H
#define SYNC_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define TEXT_SPAN_MAX 32

/* "41 s", "12 min", "5 h", "61 days"; what is negative is 0. */
char *text_span(char out[static TEXT_SPAN_MAX], int64_t ms);

/* "in 41 s", "41 s ago", "now". */
char *text_when(char out[static TEXT_SPAN_MAX], int64_t at, int64_t now);

/* RFC 3339 in UTC as milliseconds; 0 when it is none. */
int64_t text_time(const char *rfc3339);

/* Columns on a terminal: characters, not bytes. */
size_t text_width(const char *utf8);

/*
 * A member of an object, printable and freed by the caller; "" when it is not
 * there or is no text.  Foreign text reaches a terminal by no other way.
 */
char *text_member(const json_t *object, const char *key);

/* A member that is a time; 0 when it is not there. */
int64_t text_time_member(const json_t *object, const char *key);
int64_t text_int_member(const json_t *object, const char *key);

#endif
