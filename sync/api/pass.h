/*
 * Passes: what a token is exchanged for, a JSON web token signed with HS256
 * (RFC 7519, RFC 7518 section 3.2) that is good for an hour.  It names the
 * token, which is looked up each time: a token that is revoked ends its passes.
 * Pure.
 */
#ifndef SYNC_API_PASS_H
#define SYNC_API_PASS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "sync/api/token.h"

#define PASS_SIZE 512
#define PASS_KEY_LEN 32 /* bytes */
#define PASS_MS 3600000

void pass_make(const uint8_t key[static PASS_KEY_LEN], const char *hash,
    int64_t now, char pass[static PASS_SIZE]);

/*
 * The hash of the token that a pass was given for.  ERR_REFUSED with a sentence
 * for its holder: no pass of ours, or its hour is over.
 */
int pass_read(const uint8_t key[static PASS_KEY_LEN], const char *pass,
    int64_t now, char hash[static TOKEN_HASH_SIZE], struct err *);

#endif
