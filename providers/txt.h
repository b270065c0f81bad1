/* TXT data as providers write it: bare, or in zone file form with quotes. */
#ifndef PROVIDERS_TXT_H
#define PROVIDERS_TXT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

#define TXT_STRING_MAX 255 /* bytes of one character-string */

/*
 * Append the value in zone file form: "V", or several strings when it is
 * longer than TXT_STRING_MAX.  Return 0, or -1 when it does not fit.
 */
int txt_quote(struct buf *, const char *value);

/*
 * Append what a presented form means: quotes removed, \" \\ \ddd undone,
 * adjacent strings joined.  What does not begin with a quote is literal.
 * Return 0, or -1 when it does not fit or is no valid zone file form.
 */
int txt_decode(struct buf *, const char *presented);

/* Does the presented form mean this value? */
bool txt_same(const char *presented, const char *value);

#endif
