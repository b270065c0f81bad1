#include "sync/key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
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

bool
key_is_rsa(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	bool rsa = pkey != NULL && EVP_PKEY_base_id(pkey) == EVP_PKEY_RSA;

	EVP_PKEY_free(pkey);
	BIO_free(bio);
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
