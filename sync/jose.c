#include "sync/jose.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "common/b64.h"
#include "common/mem.h"

#define P256_LEN 32 /* bytes of a coordinate, and of r and s */
#define HMAC_KEY_MAX 1024

struct jose_key {
	EVP_PKEY *pkey;
	EVP_PKEY_CTX *signer; /* making it is a part of a signature */
	char x[B64URL_SIZE(P256_LEN)];
	char y[B64URL_SIZE(P256_LEN)];
	char thumbprint[JOSE_THUMBPRINT_SIZE];
};

/* A coordinate of the public point: fixed length, leading zeros kept. */
static int
coordinate(EVP_PKEY *pkey, const char *which, char *dst)
{
	uint8_t bytes[P256_LEN];
	BIGNUM *n = NULL;
	int len;

	if (EVP_PKEY_get_bn_param(pkey, which, &n) != 1)
		return -1;
	len = BN_bn2binpad(n, bytes, sizeof(bytes));
	BN_free(n);
	if (len != (int)sizeof(bytes))
		return -1;
	b64url_encode(dst, bytes, sizeof(bytes));
	return 0;
}

void
jose_digest(const char *text, char out[static JOSE_DIGEST_SIZE])
{
	uint8_t hash[32];
	unsigned int len = 0;

	if (EVP_Digest(text, strlen(text), hash, &len, EVP_sha256(), NULL) != 1)
		abort();
	b64url_encode(out, hash, sizeof(hash));
}

/* RFC 7638 section 3: required members only, by name, no white space. */
static void
thumbprint(struct jose_key *k)
{
	char *canonical;

	canonical = xasprintf("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\","
			      "\"y\":\"%s\"}",
	    k->x, k->y);
	jose_digest(canonical, k->thumbprint);
	free(canonical);
}

struct jose_key *
jose_key_new(const char *pem, struct err *e)
{
	struct jose_key *k = xcalloc(1, sizeof(*k));
	BIO *bio = BIO_new_mem_buf(pem, -1);
	char group[32] = "";

	k->pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (k->pkey == NULL) {
		err_set(e, ERR_BUG, "account key is not a PEM private key");
	} else if (EVP_PKEY_get_group_name(
		       k->pkey, group, sizeof(group), NULL) != 1 ||
		   strcmp(group, "prime256v1") != 0 ||
		   coordinate(k->pkey, OSSL_PKEY_PARAM_EC_PUB_X, k->x) == -1 ||
		   coordinate(k->pkey, OSSL_PKEY_PARAM_EC_PUB_Y, k->y) == -1) {
		err_set(e, ERR_BUG, "account key is not an EC key on P-256");
	} else {
		k->signer = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
		if (k->signer == NULL || EVP_PKEY_sign_init(k->signer) != 1)
			abort();
		thumbprint(k);
		return k;
	}
	/* Or the next TLS connection would take our error for its own. */
	ERR_clear_error();
	jose_key_free(k);
	return NULL;
}

void
jose_key_free(struct jose_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_CTX_free(k->signer);
	EVP_PKEY_free(k->pkey); /* OpenSSL clears private numbers */
	free(k);
}

const char *
jose_thumbprint(const struct jose_key *k)
{
	return k->thumbprint;
}

json_t *
jose_jwk(const struct jose_key *k)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", "P-256",
	    "x", k->x, "y", k->y);
}

/* base64url of text, appended. */
static int
put_b64url(struct buf *b, const void *src, size_t len)
{
	char *text = xmalloc(B64URL_SIZE(len));
	int rc;

	b64url_encode(text, src, len);
	rc = buf_puts(b, text);
	free(text);
	return rc;
}

/* RFC 7515 section 5.1: what is signed is "protected.payload". */
static int
signing_input(json_t *protected_stolen, const char *alg, const char *payload,
    struct buf *input)
{
	char *header;
	int rc;

	json_object_set_new(protected_stolen, "alg", json_string(alg));
	header = json_dumps(protected_stolen, JSON_COMPACT);
	json_decref(protected_stolen);
	if (header == NULL)
		return -1;
	rc = put_b64url(input, header, strlen(header));
	free(header);
	if (rc == -1 || buf_puts(input, ".") == -1)
		return -1;
	return put_b64url(input, payload, strlen(payload));
}

/* RFC 7515 section 7.2.2; all three parts are base64url. */
static int
put_flattened(struct buf *out, const struct buf *input, const uint8_t *sig,
    size_t sig_len, struct err *e)
{
	const char *dot = strchr(input->p, '.');
	int header_len = (int)(dot - input->p);

	if (buf_putf(out, "{\"protected\":\"%.*s\",\"payload\":\"%s\",",
		header_len, input->p, dot + 1) == -1 ||
	    buf_puts(out, "\"signature\":\"") == -1 ||
	    put_b64url(out, sig, sig_len) == -1 || buf_puts(out, "\"}") == -1)
		return err_set(e, ERR_BUG, "signed request is too long");
	return 0;
}

/* OpenSSL gives DER; RFC 7518 section 3.4 wants r and s side by side. */
static int
es256(EVP_PKEY_CTX *signer, const struct buf *input, uint8_t sig[2 * P256_LEN])
{
	uint8_t hash[EVP_MAX_MD_SIZE], der[128];
	const uint8_t *p = der;
	unsigned int hash_len;
	size_t len = sizeof(der);
	ECDSA_SIG *pair = NULL;
	int rc = -1;

	if (EVP_Digest(input->p, input->len, hash, &hash_len, EVP_sha256(),
		NULL) == 1 &&
	    EVP_PKEY_sign(signer, der, &len, hash, hash_len) == 1)
		pair = d2i_ECDSA_SIG(NULL, &p, (long)len);
	if (pair != NULL &&
	    BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig, P256_LEN) == P256_LEN &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig + P256_LEN, P256_LEN) ==
		P256_LEN)
		rc = 0;
	ECDSA_SIG_free(pair);
	return rc;
}

int
jose_sign(const struct jose_key *k, json_t *protected_stolen,
    const char *payload, struct buf *out, struct err *e)
{
	uint8_t sig[2 * P256_LEN];
	struct buf input;
	int rc = -1;

	buf_init(&input, out->cap);
	if (signing_input(protected_stolen, "ES256", payload, &input) == -1)
		err_set(e, ERR_BUG, "request is too long to be signed");
	else if (es256(k->signer, &input, sig) == -1)
		err_set(e, ERR_BUG, "account key does not sign");
	else
		rc = put_flattened(out, &input, sig, sizeof(sig), e);
	buf_clear(&input);
	return rc;
}

int
jose_mac(const char *key_b64url, json_t *protected_stolen, const char *payload,
    struct buf *out, struct err *e)
{
	uint8_t key[HMAC_KEY_MAX], sig[EVP_MAX_MD_SIZE];
	size_t text_len = strlen(key_b64url);
	unsigned int sig_len = 0;
	ptrdiff_t key_len = -1;
	struct buf input;
	int rc = -1;

	/* Some CAs hand the key out padded. */
	while (text_len > 0 && key_b64url[text_len - 1] == '=')
		text_len--;
	if (text_len > 0 && text_len < sizeof(key))
		key_len = b64url_decode(key, key_b64url, text_len);
	buf_init(&input, out->cap);
	if (signing_input(protected_stolen, "HS256", payload, &input) == -1)
		err_set(e, ERR_BUG, "request is too long to be signed");
	else if (key_len <= 0)
		err_set(e, ERR_CONFIG,
		    "key of the external account is not base64url");
	else if (HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)input.p,
		     input.len, sig, &sig_len) == NULL)
		err_set(e, ERR_BUG, "HMAC-SHA256 failed");
	else
		rc = put_flattened(out, &input, sig, sig_len, e);
	mem_wipe(key, sizeof(key));
	buf_clear(&input);
	return rc;
}
