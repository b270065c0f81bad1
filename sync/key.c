#include "sync/key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/b64.h"
#include "common/crypto.h"
#include "common/mem.h"
#include "common/str.h"

#define P256_LEN 32
#define P256_POINT KEY_P256_POINT /* uncompressed: 4, then two numbers */

/*
 * PKCS #8 of a P-256 key, which is the same each time but for two numbers:
 * head, the secret, middle, the point.  OpenSSL 3.0 takes longer to find its
 * encoder or decoder than to make the key.
 */
static const uint8_t p256_head[] = { 0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30,
	0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
	0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b,
	0x02, 0x01, 0x01, 0x04, 0x20 };
static const uint8_t p256_middle[] = { 0xa1, 0x44, 0x03, 0x42, 0x00 };
#define P256_MIDDLE_AT (sizeof(p256_head) + P256_LEN)
#define P256_POINT_AT (P256_MIDDLE_AT + sizeof(p256_middle))
#define P256_DER_LEN (P256_POINT_AT + P256_POINT)
#define PEM_LINE 64
#define PEM_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define PEM_END "\n-----END PRIVATE KEY-----\n"

static const struct {
	const char *name;
	const char *curve; /* NULL: RSA */
	unsigned int bits;
} types[KEY_TYPES] = {
	[KEY_ECDSA_P256] = { "ecdsa-p256", "P-256", 0 },
	[KEY_ECDSA_P384] = { "ecdsa-p384", "P-384", 0 },
	[KEY_RSA_2048] = { "rsa-2048", NULL, 2048 },
	[KEY_RSA_3072] = { "rsa-3072", NULL, 3072 },
	[KEY_RSA_4096] = { "rsa-4096", NULL, 4096 },
};

int
key_type_parse(const char *name)
{
	for (int i = 0; i < KEY_TYPES; i++)
		if (strcmp(types[i].name, name) == 0)
			return i;
	return -1;
}

bool
key_type_slow(enum key_type type)
{
	return types[type].curve == NULL;
}

int
key_no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

/*
 * OpenSSL 3.0 takes half a millisecond to find its decoders, so they are found
 * once.  A decoder writes where it was told when it was made.
 */
static OSSL_DECODER_CTX *
decoder_get(EVP_PKEY ***out)
{
	static OSSL_DECODER_CTX *decoder;
	static EVP_PKEY *decoded;

	if (decoder == NULL) {
		decoder = OSSL_DECODER_CTX_new_for_pkey(
		    &decoded, "PEM", NULL, NULL, EVP_PKEY_KEYPAIR, NULL, NULL);
		if (decoder == NULL ||
		    OSSL_DECODER_CTX_set_pem_password_cb(
			decoder, key_no_passphrase, NULL) != 1)
			abort();
	}
	*out = &decoded;
	return decoder;
}

/* What stands before the key, such as EC parameters, is passed over. */
static EVP_PKEY *
decode(BIO *bio)
{
	EVP_PKEY **decoded, *pkey;
	OSSL_DECODER_CTX *decoder = decoder_get(&decoded);
	long at = 0, was;

	do {
		was = at;
		if (OSSL_DECODER_from_bio(decoder, bio) == 1 &&
		    *decoded != NULL)
			break;
		at = BIO_tell(bio);
	} while (BIO_eof(bio) == 0 && at > was);
	pkey = *decoded;
	*decoded = NULL;
	return pkey;
}

/* The DER of what write_p256() has written; false: it is something else. */
static bool
p256_der(const char *pem, uint8_t der[static P256_DER_LEN])
{
	char base64[B64_SIZE(P256_DER_LEN)];
	size_t left = sizeof(base64) - 1, at = 0, n;
	bool good = str_has_prefix(pem, PEM_BEGIN);

	for (pem += good ? strlen(PEM_BEGIN) : 0; good && at < left; at += n) {
		n = left - at < PEM_LINE ? left - at : PEM_LINE;
		if (at > 0)
			good = *pem++ == '\n';
		good = good && strnlen(pem, n) == n;
		if (good)
			memcpy(base64 + at, pem, n);
		pem += good ? n : 0;
	}
	good =
	    good && strcmp(pem, PEM_END) == 0 &&
	    b64_decode(der, base64, left) == (ptrdiff_t)P256_DER_LEN &&
	    memcmp(der, p256_head, sizeof(p256_head)) == 0 &&
	    memcmp(der + P256_MIDDLE_AT, p256_middle, sizeof(p256_middle)) == 0;
	mem_wipe(base64, sizeof(base64));
	return good;
}

bool
key_p256_point(const char *pem, uint8_t point[static KEY_P256_POINT])
{
	uint8_t der[P256_DER_LEN];
	bool good = p256_der(pem, der);

	if (good)
		memcpy(point, der + P256_POINT_AT, P256_POINT);
	mem_wipe(der, sizeof(der));
	return good;
}

/* NULL: it is none of ours, or its numbers are none. */
static EVP_PKEY *
read_p256(const char *pem)
{
	static char group[] = "prime256v1";
	static EVP_PKEY_CTX *ctx;
	uint8_t der[P256_DER_LEN], secret[P256_LEN];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_PKEY_PARAM_PUB_KEY, der + P256_POINT_AT, P256_POINT),
		OSSL_PARAM_construct_BN(
		    OSSL_PKEY_PARAM_PRIV_KEY, secret, sizeof(secret)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *pkey = NULL;
	BIGNUM *n;

	if (!p256_der(pem, der))
		return NULL;
	if (ctx == NULL)
		ctx = EVP_PKEY_CTX_new_from_name(crypto_context(), "EC", NULL);
	n = BN_bin2bn(der + sizeof(p256_head), P256_LEN, NULL);
	if (ctx == NULL || n == NULL ||
	    BN_bn2nativepad(n, secret, P256_LEN) != P256_LEN)
		abort();
	if (EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		pkey = NULL;
	BN_clear_free(n);
	mem_wipe(der, sizeof(der));
	mem_wipe(secret, sizeof(secret));
	return pkey;
}

EVP_PKEY *
key_read(const char *pem, struct err *e)
{
	EVP_PKEY *pkey = read_p256(pem);
	BIO *bio = pkey == NULL ? BIO_new_mem_buf(pem, -1) : NULL;

	if (bio != NULL)
		pkey = decode(bio);
	BIO_free(bio);
	ERR_clear_error();
	if (pkey == NULL)
		err_set(e, ERR_BUG,
		    "private key cannot be read; it should be PEM without "
		    "a pass phrase");
	return pkey;
}

bool
key_is_rsa(const char *pem)
{
	struct err e;
	EVP_PKEY *pkey = key_read(pem, &e);
	bool rsa = pkey != NULL && EVP_PKEY_base_id(pkey) == EVP_PKEY_RSA;

	EVP_PKEY_free(pkey);
	return rsa;
}

/* What is needed to make one takes as long as the key, and serves again. */
static EVP_PKEY *
new_p256(void)
{
	static EVP_PKEY_CTX *ctx;
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL) {
		ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
		if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
		    EVP_PKEY_CTX_set_group_name(ctx, "P-256") != 1)
			abort();
	}
	return EVP_PKEY_generate(ctx, &pkey) == 1 ? pkey : NULL;
}

static EVP_PKEY *
generate(enum key_type type)
{
	if (type == KEY_ECDSA_P256)
		return new_p256();
	if (types[type].curve != NULL)
		return EVP_EC_gen(types[type].curve);
	return EVP_RSA_gen(types[type].bits);
}

char *
key_new(enum key_type type)
{
	EVP_PKEY *pkey = generate(type);
	char *pem;

	if (pkey == NULL)
		abort(); /* no memory, or no random numbers */
	pem = key_write(pkey);
	EVP_PKEY_free(pkey);
	return pem;
}

/* NULL for any other key. */
static char *
write_p256(EVP_PKEY *pkey)
{
	uint8_t der[P256_DER_LEN], *point = der + P256_POINT_AT;
	char base64[B64_SIZE(sizeof(der))], group[32], *pem = NULL;
	BIGNUM *secret = NULL;
	size_t len = 0;

	memcpy(der, p256_head, sizeof(p256_head));
	memcpy(der + P256_MIDDLE_AT, p256_middle, sizeof(p256_middle));
	if (EVP_PKEY_is_a(pkey, "EC") &&
	    EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 &&
	    strcmp(group, "prime256v1") == 0 &&
	    EVP_PKEY_get_octet_string_param(
		pkey, OSSL_PKEY_PARAM_PUB_KEY, point, P256_POINT, &len) == 1 &&
	    len == P256_POINT && point[0] == 4 &&
	    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &secret) ==
		1 &&
	    BN_bn2binpad(secret, der + sizeof(p256_head), P256_LEN) ==
		P256_LEN) {
		b64_encode(base64, der, sizeof(der));
		pem = xasprintf(PEM_BEGIN "%.64s\n%.64s\n%s" PEM_END, base64,
		    base64 + PEM_LINE, base64 + 2 * (size_t)PEM_LINE);
	}
	ERR_clear_error();
	BN_clear_free(secret);
	mem_wipe(der, sizeof(der));
	mem_wipe(base64, sizeof(base64));
	return pem;
}

char *
key_write(EVP_PKEY *pkey)
{
	char *p = NULL, *text = write_p256(pkey);
	BIO *bio;
	long len;

	if (text != NULL)
		return text;
	bio = BIO_new(BIO_s_mem());
	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(
			       bio, pkey, NULL, NULL, 0, NULL, NULL) != 1)
		abort();
	len = BIO_get_mem_data(bio, &p);
	text = xmemdup0(p, (size_t)len);
	mem_wipe(p, (size_t)len);
	BIO_free(bio);
	return text;
}
