/* Hash tables (uthash); its own default hash falls through switch labels. */
#ifndef COMMON_TABLE_H
#define COMMON_TABLE_H

#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_OAT(keyptr, keylen, hashv)

#include <uthash.h>

#endif
