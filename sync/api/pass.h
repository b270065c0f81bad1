/*
 * Passes: what a token is exchanged for, a JSON web token signed with HS256
 * (RFC 7519, RFC 7518 section 3.2) that is good for an hour.  It names the
 * token, which is looked up each time: a token that is revoked ends its passes.
 * A browser's is a session, which is no pass for others: it is given anew while
 * it is used, for half a day at most.  Pure.
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
#define SESSION_MS (12 * PASS_MS)
#define SESSION_RENEW_MS (PASS_MS / 12) /* one that is older is given anew */

void pass_make(const uint8_t key[static PASS_KEY_LEN], const char *hash,
    int64_t now, char pass[static PASS_SIZE]);

/*
 * The hash of the token that a pass was given for.  ERR_REFUSED with a sentence
 * for its holder: no pass of ours, or its hour is over.
 */
int pass_read(const uint8_t key[static PASS_KEY_LEN], const char *pass,
    int64_t now, char hash[static TOKEN_HASH_SIZE], struct err *);

struct session {
	char hash[TOKEN_HASH_SIZE];
	int64_t begun, made; /* wall ms: at the login, and this text */
	int64_t until;       /* when there is no other */
};
void session_make(const uint8_t key[static PASS_KEY_LEN], const char *hash,
    int64_t begun, int64_t now, char text[static PASS_SIZE]);
int session_read(const uint8_t key[static PASS_KEY_LEN], const char *text,
    int64_t now, struct session *, struct err *);

#endif
