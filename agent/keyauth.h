/*
 * Tokens, thumbprints and key authorizations (RFC 8555 section 8.1): what they
 * look like.  Nothing from a network is used as one before it was asked here.
 */
#ifndef AGENT_KEYAUTH_H
#define AGENT_KEYAUTH_H

#include <stdbool.h>
#include <stddef.h>

/* At least 128 bits of base64url, and what a Redis key should not exceed. */
#define TOKEN_MIN 22
#define TOKEN_MAX 128
#define THUMBPRINT_LEN 43 /* base64url of a SHA-256 */
#define KEYAUTH_MAX (TOKEN_MAX + 1 + THUMBPRINT_LEN)

bool keyauth_is_token(const char *s, size_t len);
bool keyauth_is_thumbprint(const char *s, size_t len);

/* True when s is token "." thumbprint with just that token. */
bool keyauth_is_for(
    const char *s, size_t len, const char *token, size_t token_len);

/* Write token "." thumbprint; returns its length. */
size_t keyauth_make(char out[static KEYAUTH_MAX], const char *token,
    size_t token_len, const char *thumbprint);

/*
 * A message on the channel of challenges (common/redis_keys.h): PUBLISHED has
 * token and keyauth, WITHDRAWN token, THUMBPRINT thumbprint, each checked and
 * pointing into the text.
 */
enum keyauth_news_kind {
	KEYAUTH_NONSENSE = 0,
	KEYAUTH_PUBLISHED,
	KEYAUTH_WITHDRAWN,
	KEYAUTH_THUMBPRINT,
};
struct keyauth_news {
	enum keyauth_news_kind kind;
	const char *token, *keyauth, *thumbprint;
	size_t token_len, keyauth_len;
};
void keyauth_read_news(struct keyauth_news *, const char *text, size_t len);

#endif
