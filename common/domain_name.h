/* What the record asks of a name that claims to be normalised already. */
#ifndef COMMON_DOMAIN_NAME_H
#define COMMON_DOMAIN_NAME_H

#include "common/err.h"

/*
 * Check a name's form without IDNA and the public suffix list: enough for one
 * that passed domain_normalise() before it was stored.  ERR_REFUSED.
 */
int domain_name_check(const char *name, struct err *);

#endif
