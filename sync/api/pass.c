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

void
pass_make(const uint8_t key[static PASS_KEY_LEN], const char *hash, int64_t now,
    char pass[static PASS_SIZE])
{
	char claims[256], mac[B64URL_SIZE(MAC_LEN)];

	snprintf(claims, sizeof(claims),
	    "{\"iss\":\"" ISSUER "\",\"sub\":\"%.64s\",\"iat\":%lld,"
	    "\"exp\":%lld}",
	    hash, (long long)(now / 1000), (long long)((now + PASS_MS) / 1000));
	pass[0] = '\0';
	put(pass, HEADER);
	memcpy(pass + strlen(pass), ".", 2);
	put(pass, claims);
	sign(key, pass, strlen(pass), mac);
	snprintf(pass + strlen(pass), PASS_SIZE - strlen(pass), ".%s", mac);
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
