#include "common/seal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "common/mem.h"
#include "common/seal_ring.h"

#define MAGIC "HCB1"
#define ALG_AES_256_GCM 1
#define SALT_LEN 32
#define NONCE_LEN 12
#define TAG_LEN 16
#define SALT_AT 10                    /* after magic, alg, flags, kek_id */
#define NONCE_AT (SALT_AT + SALT_LEN) /* 42 */
#define HEADER_LEN (NONCE_AT + NONCE_LEN)

/* What is sealed: everything the tag and the key depend on. */
struct subject {
	const char *type, *name, *bind;
};

static int
derive(const struct ring_key *k, const struct subject *s, const uint8_t *salt,
    uint8_t out[static SEAL_KEY_LEN])
{
	char *info = xasprintf("certfleet/1/%s/%s", s->type, s->name);
	char digest[] = "SHA256";
	uint8_t key[SEAL_KEY_LEN], salt_copy[SALT_LEN];
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, key, sizeof(key)),
		OSSL_PARAM_octet_string(
		    OSSL_KDF_PARAM_SALT, salt_copy, sizeof(salt_copy)),
		OSSL_PARAM_octet_string(
		    OSSL_KDF_PARAM_INFO, info, strlen(info)),
		OSSL_PARAM_END,
	};
	int ok;

	memcpy(key, k->key, sizeof(key));
	memcpy(salt_copy, salt, sizeof(salt_copy));
	ok = ctx != NULL && EVP_KDF_derive(ctx, out, SEAL_KEY_LEN, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	mem_wipe(key, sizeof(key));
	free(info);
	return ok ? 0 : -1;
}

/* The tag covers the header and, each with its NUL, type, name and bind. */
static int
feed_aad(EVP_CIPHER_CTX *ctx, const struct subject *s, const uint8_t *header)
{
	const char *part[] = { s->type, s->name, s->bind };
	int n;

	if (EVP_CipherUpdate(ctx, NULL, &n, header, HEADER_LEN) != 1)
		return -1;
	for (size_t i = 0; i < 3; i++)
		if (EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)part[i],
			(int)strlen(part[i]) + 1) != 1)
			return -1;
	return 0;
}

/* One direction of AES-256-GCM; tag is written or, when opening, checked. */
static int
cipher(bool sealing, const struct ring_key *k, const struct subject *s,
    const uint8_t *header, const void *in, size_t len, uint8_t *out,
    uint8_t *tag)
{
	uint8_t key[SEAL_KEY_LEN], none[1];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, end = 0, rc = -1;

	if (ctx == NULL || derive(k, s, header + SALT_AT, key) == -1)
		goto out;
	if (EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key,
		header + NONCE_AT, sealing) != 1 ||
	    feed_aad(ctx, s, header) == -1)
		goto out;
	if (len > 0 && EVP_CipherUpdate(ctx, out, &n, in, (int)len) != 1)
		goto out;
	if (!sealing &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) != 1)
		goto out;
	if (EVP_CipherFinal_ex(ctx, none, &end) != 1)
		goto out;
	if (sealing &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) != 1)
		goto out;
	rc = 0;
out:
	mem_wipe(key, sizeof(key));
	EVP_CIPHER_CTX_free(ctx);
	return rc;
}

int
seal(const struct seal_ring *ring, const char *type, const char *name,
    const char *bind, const void *plain, size_t len, struct buf *out,
    struct err *e)
{
	const struct subject s = { type, name, bind };
	uint32_t id = ring->newest->id;
	uint8_t *p;
	int rc = -1;

	if (len > SEAL_PLAIN_MAX)
		return err_set(e, ERR_BUG,
		    "%zu bytes to seal; at most %d can be", len,
		    SEAL_PLAIN_MAX);
	p = xcalloc(1, len + SEAL_OVERHEAD);
	memcpy(p, MAGIC, 4);
	p[4] = ALG_AES_256_GCM;
	for (int i = 0; i < 4; i++)
		p[6 + i] = (uint8_t)(id >> (24 - 8 * i));
	if (RAND_bytes(p + SALT_AT, SALT_LEN + NONCE_LEN) != 1 ||
	    cipher(true, ring->newest, &s, p, plain, len, p + HEADER_LEN,
		p + HEADER_LEN + len) == -1)
		err_set(e, ERR_BUG, "OpenSSL could not seal %s", name);
	else if (buf_put(out, p, len + SEAL_OVERHEAD) == -1)
		err_set(e, ERR_BUG, "no room for %zu sealed bytes",
		    len + SEAL_OVERHEAD);
	else
		rc = 0;
	free(p);
	return rc;
}

uint32_t
seal_key_id(const void *sealed, size_t len)
{
	const uint8_t *p = sealed;
	uint32_t id = 0;

	if (len < SEAL_OVERHEAD || memcmp(p, MAGIC, 4) != 0)
		return 0;
	for (int i = 0; i < 4; i++)
		id = id << 8 | p[6 + i];
	return id;
}

int
seal_open(const struct seal_ring *ring, const char *type, const char *name,
    const char *bind, const void *sealed, size_t len, struct buf *out,
    struct err *e)
{
	const struct subject s = { type, name, bind };
	const uint8_t *p = sealed;
	const struct ring_key *key;
	uint8_t *plain, tag[TAG_LEN];
	uint32_t id = 0;
	int rc = -1;

	if (len < SEAL_OVERHEAD || len > SEAL_OVERHEAD + SEAL_PLAIN_MAX ||
	    memcmp(p, MAGIC, 4) != 0 || p[4] != ALG_AES_256_GCM || p[5] != 0)
		return err_set(
		    e, ERR_BUG, "the %s of %s is not sealed", type, name);
	for (int i = 0; i < 4; i++)
		id = id << 8 | p[6 + i];
	key = seal_ring_key(ring, id);
	if (key == NULL)
		return err_set(e, ERR_CONFIG,
		    "the %s of %s is sealed with key %u, which is not in the "
		    "key ring",
		    type, name, id);
	len -= SEAL_OVERHEAD;
	memcpy(tag, p + HEADER_LEN + len, TAG_LEN);
	plain = xmalloc(len);
	if (cipher(false, key, &s, p, p + HEADER_LEN, len, plain, tag) == -1)
		err_set(e, ERR_BUG,
		    "the %s of %s is not what was sealed for it", type, name);
	else if (buf_put(out, plain, len) == -1)
		err_set(e, ERR_BUG, "no room for %zu opened bytes", len);
	else
		rc = 0;
	mem_wipe(plain, len);
	free(plain);
	return rc;
}
