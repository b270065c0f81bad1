#include "sync/key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/mem.h"

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

EVP_PKEY *
key_read(const char *pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *pkey = bio != NULL ? decode(bio) : NULL;

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

char *
key_new(enum key_type type)
{
	EVP_PKEY *pkey = types[type].curve != NULL
	                     ? EVP_EC_gen(types[type].curve)
	                     : EVP_RSA_gen(types[type].bits);
	char *pem;

	if (pkey == NULL)
		abort(); /* no memory, or no random numbers */
	pem = key_write(pkey);
	EVP_PKEY_free(pkey);
	return pem;
}

char *
key_write(EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL, *text;
	long len;

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(
			       bio, pkey, NULL, NULL, 0, NULL, NULL) != 1)
		abort();
	len = BIO_get_mem_data(bio, &p);
	text = xmemdup0(p, (size_t)len);
	mem_wipe(p, (size_t)len);
	BIO_free(bio);
	return text;
}
