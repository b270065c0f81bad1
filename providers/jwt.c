#include "providers/jwt.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/b64.h"
#include "common/mem.h"

#define RSA_BITS_MIN 2048 /* RFC 7518 section 3.3 */
#define RSA_BITS_MAX 8192

/* An encrypted key has no one to type its passphrase. */
static int
no_passphrase(char *dst, int size, int rwflag, void *arg)
{
	(void)dst, (void)size, (void)rwflag, (void)arg;
	return -1;
}

static EVP_PKEY *
read_key(const char *pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = NULL;

	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
	    EVP_PKEY_get_bits(key) >= RSA_BITS_MIN &&
	    EVP_PKEY_get_bits(key) <= RSA_BITS_MAX)
		return key;
	EVP_PKEY_free(key);
	err_set(e, ERR_CONFIG,
	    "the private key is no RSA key of 2048 to 8192 bits in PEM");
	return NULL;
}

static int
put_b64url(struct buf *out, const void *src, size_t len)
{
	char *text = xmalloc(B64URL_SIZE(len));
	int rc;

	b64url_encode(text, src, len);
	rc = buf_puts(out, text);
	mem_wipe_free(text);
	return rc;
}

static int
put_signature(EVP_PKEY *key, struct buf *out, size_t from, struct err *e)
{
	uint8_t signature[RSA_BITS_MAX / 8];
	size_t len = sizeof(signature);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int ok = 0;

	if (md != NULL &&
	    EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1)
		ok = EVP_DigestSign(md, signature, &len,
		    (const uint8_t *)out->p + from, out->len - from);
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	if (ok != 1)
		return err_set(e, ERR_CONFIG, "the private key cannot sign");
	if (buf_puts(out, ".") == -1 || put_b64url(out, signature, len) == -1)
		return err_set(e, ERR_BUG, "a token is too long");
	return 0;
}

int
jwt_sign(const char *pem, const char *header, const char *claims,
    struct buf *out, struct err *e)
{
	EVP_PKEY *key = read_key(pem, e);
	size_t from = out->len;
	int rc;

	if (key == NULL)
		return -1;
	if (put_b64url(out, header, strlen(header)) == -1 ||
	    buf_puts(out, ".") == -1 ||
	    put_b64url(out, claims, strlen(claims)) == -1)
		rc = err_set(e, ERR_BUG, "a token is too long");
	else
		rc = put_signature(key, out, from, e);
	EVP_PKEY_free(key);
	return rc;
}
