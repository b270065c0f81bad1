#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/crypto.h"

/* What a server may have a certificate of. */
static const struct kind {
	const char *name, *group;
	size_t bits;
	const char *digest; /* NULL: it has its own */
} kinds[] = {
	{ "EC", "P-256", 0, "SHA256" },
	{ "EC", "P-384", 0, "SHA384" },
	{ "EC", "P-521", 0, "SHA512" },
	{ "EC", "P-256", 0, "SHA1" },
	{ "RSA", NULL, 2048, "SHA256" },
	{ "RSA", NULL, 2048, "SHA3-256" },
	{ "RSA-PSS", NULL, 2048, "SHA256" },
	{ "ED25519", NULL, 0, NULL },
	{ "ED448", NULL, 0, NULL },
};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static EVP_PKEY *
key_of(const struct kind *k)
{
	if (k->group != NULL)
		return EVP_EC_gen(k->group);
	if (strcmp(k->name, "RSA-PSS") == 0) {
		EVP_PKEY_CTX *ctx =
		    EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
		EVP_PKEY *pkey = NULL;

		assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
		assert_int_equal(EVP_PKEY_generate(ctx, &pkey), 1);
		EVP_PKEY_CTX_free(ctx);
		return pkey;
	}
	return k->bits > 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", k->bits)
	                   : EVP_PKEY_Q_keygen(NULL, NULL, k->name);
}

static X509 *
certificate(const struct kind *k, EVP_PKEY *pkey)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	const EVP_MD *md =
	    k->digest != NULL ? EVP_get_digestbyname(k->digest) : NULL;

	X509_set_version(x, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
	    (const unsigned char *)"a.test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	assert_int_equal(X509_set_pubkey(x, pkey), 1);
	assert_true(X509_sign(x, pkey, md) > 0);
	return x;
}

static X509 *
read_anew(const X509 *x)
{
	uint8_t *der = NULL;
	const uint8_t *p;
	int len = i2d_X509(x, &der);
	X509 *again = X509_new_ex(crypto_context(), NULL);

	p = der;
	assert_non_null(d2i_X509(&again, &p, len));
	OPENSSL_free(der);
	return again;
}

/* The key of the one context with the certificate of the other, too. */
static void
every_kind_of_certificate_is_read_and_verified(void **state)
{
	(void)state;
	for (size_t i = 0; i < NKINDS; i++) {
		EVP_PKEY *pkey = key_of(&kinds[i]);
		X509 *made = certificate(&kinds[i], pkey);
		X509 *x = read_anew(made);

		assert_non_null(X509_get0_pubkey(x));
		assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
		assert_int_equal(X509_check_private_key(x, pkey), 1);
		X509_free(x);
		X509_free(made);
		EVP_PKEY_free(pkey);
	}
}

/* True when both came through, within a few turns. */
static bool
shake(SSL *server, SSL *client)
{
	BIO *one = BIO_new(BIO_s_mem()), *two = BIO_new(BIO_s_mem());
	int done = 0;

	BIO_up_ref(one);
	BIO_up_ref(two);
	SSL_set_bio(server, one, two);
	SSL_set_bio(client, two, one);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (int i = 0; i < 10 && done != 1; i++) {
		done = SSL_do_handshake(client);
		(void)SSL_do_handshake(server);
	}
	return done == 1;
}

static void
assert_handshake(const struct kind *k, int version, const char *ciphers)
{
	EVP_PKEY *pkey = key_of(k);
	X509 *x = certificate(k, pkey);
	SSL_CTX *here = SSL_CTX_new(TLS_server_method());
	SSL_CTX *there =
	    SSL_CTX_new_ex(crypto_context(), NULL, TLS_client_method());
	SSL *server, *client;
	X509 *shown;

	SSL_CTX_set_security_level(here, 0);
	SSL_CTX_set_security_level(there, 0);
	assert_int_equal(SSL_CTX_use_certificate(here, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(here, pkey), 1);
	SSL_CTX_set_max_proto_version(here, version);
	SSL_CTX_set_dh_auto(here, 1);
	if (ciphers != NULL)
		assert_int_equal(SSL_CTX_set_cipher_list(here, ciphers), 1);
	server = SSL_new(here);
	client = SSL_new(there);
	assert_true(shake(server, client));
	shown = SSL_get1_peer_certificate(client);
	assert_int_equal(X509_cmp(shown, x), 0);
	X509_free(shown);
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(here);
	SSL_CTX_free(there);
	X509_free(x);
	EVP_PKEY_free(pkey);
}

static void
every_kind_of_certificate_is_shown_in_a_handshake(void **state)
{
	(void)state;
	for (size_t i = 0; i < NKINDS; i++) {
		assert_handshake(&kinds[i], TLS1_3_VERSION, NULL);
		assert_handshake(&kinds[i], TLS1_2_VERSION, NULL);
	}
}

/* HAProxys that have not been told otherwise for long. */
static void
old_ciphers_and_versions_will_do(void **state)
{
	static const char *const ciphers[] = { "ECDHE-RSA-AES128-SHA",
		"ECDHE-RSA-AES256-SHA384", "AES128-SHA", "AES256-GCM-SHA384",
		"DHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305" };
	const struct kind rsa = { "RSA", NULL, 2048, "SHA256" };

	(void)state;
	for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
		assert_handshake(&rsa, TLS1_2_VERSION, ciphers[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    every_kind_of_certificate_is_read_and_verified),
		cmocka_unit_test(
		    every_kind_of_certificate_is_shown_in_a_handshake),
		cmocka_unit_test(old_ciphers_and_versions_will_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
