/* Text: copying into fixed fields, borrowed spans, making foreign text safe. */
#ifndef COMMON_STR_H
#define COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* Copy src into dst; text that does not fit is ERR_BUG and dst is "". */
int str_copy(char *dst, size_t size, const char *src, struct err *);

/* True when s is not empty and has only characters of the set. */
bool str_only(const char *s, size_t len, const char *set);

bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);

/*
 * Read a whole decimal number.  Return 0, or -1 when s is not one or is
 * outside min..max.
 */
int str_int(const char *s, int64_t min, int64_t max, int64_t *v);

/*
 * Make foreign text fit for one line of a log or a terminal: control
 * characters, DEL, C1 and invalid UTF-8 become \xNN.  The result always ends
 * in a NUL and is cut, at the latest, where dst ends; dst is returned.
 */
char *str_printable(char *dst, size_t size, const char *src, size_t len);

/* Upper-case hexadecimal; out gets 2 * len characters and a NUL. */
void str_hex(char *out, const uint8_t *src, size_t len);

/* RFC 3339 in UTC with milliseconds, "2026-11-24T05:36:12.000Z". */
#define STR_TIME_MAX 32
char *str_time(char dst[static STR_TIME_MAX], int64_t ms);

#endif
