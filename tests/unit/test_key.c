#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/mem.h"
#include "sync/key.h"

static char *
written_by_openssl(EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL, *text;
	long len;

	assert_int_equal(
	    PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL),
	    1);
	len = BIO_get_mem_data(bio, &p);
	text = xmemdup0(p, (size_t)len);
	BIO_free(bio);
	return text;
}

static void
assert_written_alike(EVP_PKEY *pkey)
{
	char *ours, *theirs;

	assert_non_null(pkey);
	ours = key_write(pkey);
	theirs = written_by_openssl(pkey);
	assert_string_equal(ours, theirs);
	mem_wipe_free(ours);
	mem_wipe_free(theirs);
}

/* Among so many are numbers that begin with zeros. */
static void
keys_are_written_as_openssl_does(void **state)
{
	(void)state;
	for (int i = 0; i < 600; i++) {
		EVP_PKEY *pkey = EVP_EC_gen("P-256");

		assert_written_alike(pkey);
		EVP_PKEY_free(pkey);
	}
}

static void
other_kinds_are_written_too(void **state)
{
	static const char *const curves[] = { "P-384", "secp256k1" };
	EVP_PKEY *pkey;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		pkey = EVP_EC_gen(curves[i]);
		assert_written_alike(pkey);
		EVP_PKEY_free(pkey);
	}
	pkey = EVP_RSA_gen(2048);
	assert_written_alike(pkey);
	EVP_PKEY_free(pkey);

	pkey = EVP_EC_gen("P-256");
	assert_int_equal(
	    EVP_PKEY_set_utf8_string_param(pkey, "point-format", "compressed"),
	    1);
	assert_written_alike(pkey);
	EVP_PKEY_free(pkey);
}

static void
a_new_key_is_read_back(void **state)
{
	char *pem = key_new(KEY_ECDSA_P256), *again;
	struct err e;
	EVP_PKEY *pkey = key_read(pem, &e);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);

	(void)state;
	assert_non_null(pkey);
	again = key_write(pkey);
	assert_string_equal(again, pem);
	assert_int_equal(EVP_PKEY_pairwise_check(ctx), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	mem_wipe_free(again);
	mem_wipe_free(pem);
}

/* Ours takes the short way, with anything before it the key takes OpenSSL's. */
static void
both_ways_of_reading_give_the_same_key(void **state)
{
	static const char before[] = "-----BEGIN EC PARAMETERS-----\n"
				     "BggqhkjOPQMBBw==\n"
				     "-----END EC PARAMETERS-----\n";
	struct err e;

	(void)state;
	for (int i = 0; i < 300; i++) {
		char *pem = key_new(KEY_ECDSA_P256);
		char *longer = xasprintf("%s%s", before, pem), *again;
		EVP_PKEY *ours = key_read(pem, &e);
		EVP_PKEY *theirs = key_read(longer, &e);

		assert_non_null(ours);
		assert_int_equal(EVP_PKEY_eq(ours, theirs), 1);
		again = key_write(ours);
		assert_string_equal(again, pem);
		EVP_PKEY_free(ours);
		EVP_PKEY_free(theirs);
		mem_wipe_free(again);
		mem_wipe_free(longer);
		mem_wipe_free(pem);
	}
}

static void
a_damaged_key_is_refused(void **state)
{
	char *pem = key_new(KEY_ECDSA_P256), *bad;
	size_t len = strlen(pem);
	struct err e;

	(void)state;
	for (size_t n = 0; n + 1 < len; n++) {
		bad = xmemdup0(pem, n);
		/* The end of the last line is all that may be missing. */
		assert_null(key_read(bad, &e));
		free(bad);
	}
	/* Its point is not on the curve. */
	bad = xstrdup(pem);
	bad[len - strlen("\n-----END PRIVATE KEY-----\n") - 4] ^= 1;
	assert_null(key_read(bad, &e));
	free(bad);
	mem_wipe_free(pem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_written_as_openssl_does),
		cmocka_unit_test(other_kinds_are_written_too),
		cmocka_unit_test(a_new_key_is_read_back),
		cmocka_unit_test(both_ways_of_reading_give_the_same_key),
		cmocka_unit_test(a_damaged_key_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
