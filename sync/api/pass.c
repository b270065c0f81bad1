#include "sync/api/pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/b64.h"
#include "common/str.h"

/* Whoever could choose the algorithm could choose "none": it is compared. */
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define ISSUER "certfleet"
#define SESSION_ISSUER "certfleet-session"
#define MAC_LEN 32
#define HEADER_CHARS (B64URL_SIZE(sizeof(HEADER) - 1) - 1)
#define MAC_CHARS (B64URL_SIZE(MAC_LEN) - 1)

static void
sign(const uint8_t *key, const char *text, size_t len,
    char mac[static B64URL_SIZE(MAC_LEN)])
{
	uint8_t bytes[EVP_MAX_MD_SIZE];

	if (HMAC(EVP_sha256(), key, PASS_KEY_LEN, (const uint8_t *)text, len,
		bytes, NULL) == NULL)
		abort();
	b64url_encode(mac, bytes, MAC_LEN);
}

static void
put(char *pass, const char *text)
{
	b64url_encode(pass + strlen(pass), text, strlen(text));
}

/* Sign what the claims say, which is text of our own. */
static void
make(const uint8_t *key, const char *claims, char pass[static PASS_SIZE])
{
	char mac[B64URL_SIZE(MAC_LEN)];

	pass[0] = '\0';
	put(pass, HEADER);
	memcpy(pass + strlen(pass), ".", 2);
	put(pass, claims);
	sign(key, pass, strlen(pass), mac);
	snprintf(pass + strlen(pass), PASS_SIZE - strlen(pass), ".%s", mac);
}

void
pass_make(const uint8_t key[static PASS_KEY_LEN], const char *hash, int64_t now,
    char pass[static PASS_SIZE])
{
	char claims[256];

	snprintf(claims, sizeof(claims),
	    "{\"iss\":\"" ISSUER "\",\"sub\":\"%.64s\",\"iat\":%lld,"
	    "\"exp\":%lld}",
	    hash, (long long)(now / 1000), (long long)((now + PASS_MS) / 1000));
	make(key, claims, pass);
}

void
session_make(const uint8_t key[static PASS_KEY_LEN], const char *hash,
    int64_t begun, int64_t now, char text[static PASS_SIZE])
{
	int64_t until = now + PASS_MS, last = begun + SESSION_MS;
	char claims[256];

	snprintf(claims, sizeof(claims),
	    "{\"iss\":\"" SESSION_ISSUER "\",\"sub\":\"%.64s\","
	    "\"iat\":%lld,\"exp\":%lld,\"auth_time\":%lld}",
	    hash, (long long)(now / 1000),
	    (long long)((until < last ? until : last) / 1000),
	    (long long)(begun / 1000));
	make(key, claims, text);
}

/* The claims of a pass whose signature is right; NULL: it is not. */
static json_t *
claims(const uint8_t *key, const char *pass)
{
	const char *dot = strrchr(pass, '.'), *first = strchr(pass, '.');
	char head[HEADER_CHARS + 1], mac[B64URL_SIZE(MAC_LEN)];
	uint8_t text[PASS_SIZE];
	ptrdiff_t n;

	if (dot == NULL || first == dot || strlen(pass) >= PASS_SIZE ||
	    strlen(dot + 1) != MAC_CHARS)
		return NULL;
	sign(key, pass, (size_t)(dot - pass), mac);
	if (CRYPTO_memcmp(mac, dot + 1, MAC_CHARS) != 0)
		return NULL;
	b64url_encode(head, HEADER, strlen(HEADER));
	if ((size_t)(first - pass) != HEADER_CHARS ||
	    memcmp(pass, head, HEADER_CHARS) != 0)
		return NULL;
	n = b64url_decode(text, first + 1, (size_t)(dot - first) - 1);
	return n == -1 ? NULL
	               : json_loadb((const char *)text, (size_t)n,
			     JSON_REJECT_DUPLICATES, NULL);
}

int
pass_read(const uint8_t key[static PASS_KEY_LEN], const char *pass, int64_t now,
    char hash[static TOKEN_HASH_SIZE], struct err *e)
{
	json_t *o = claims(key, pass);
	const char *issuer, *subject;
	json_int_t expires;
	int rc = -1;

	if (json_unpack(o, "{s:s, s:s, s:I}", "iss", &issuer, "sub", &subject,
		"exp", &expires) == -1 ||
	    strcmp(issuer, ISSUER) != 0 ||
	    str_copy(hash, TOKEN_HASH_SIZE, subject, e) == -1)
		err_set(e, ERR_REFUSED, "this is neither a token nor a pass");
	else if (expires <= now / 1000)
		err_set(e, ERR_REFUSED,
		    "the pass has expired; exchange the "
		    "token for another");
	else
		rc = 0;
	json_decref(o);
	return rc;
}

int
session_read(const uint8_t key[static PASS_KEY_LEN], const char *text,
    int64_t now, struct session *s, struct err *e)
{
	json_t *o = claims(key, text);
	const char *issuer, *subject;
	json_int_t made, expires, begun;
	int rc = -1;

	if (json_unpack(o, "{s:s, s:s, s:I, s:I, s:I}", "iss", &issuer, "sub",
		&subject, "iat", &made, "exp", &expires, "auth_time",
		&begun) == -1 ||
	    strcmp(issuer, SESSION_ISSUER) != 0 ||
	    str_copy(s->hash, sizeof(s->hash), subject, e) == -1) {
		err_set(e, ERR_REFUSED, "this is no session");
	} else if (expires <= now / 1000) {
		err_set(e, ERR_REFUSED, "the session has ended; log in again");
	} else {
		s->begun = begun * 1000;
		s->made = made * 1000;
		s->until = s->begun + SESSION_MS;
		rc = 0;
	}
	json_decref(o);
	return rc;
}
