#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/b64.h"
#include "common/mem.h"
#include "sync/jose.h"

/* RFC 7515 appendix A.3: key, signing input, signature. */
#define A3_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define A3_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define A3_INPUT                       \
	"eyJhbGciOiJFUzI1NiJ9."        \
	"eyJpc3MiOiJqb2UiLA0KICJleHAi" \
	"OjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define A3_SIGNATURE                                       \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfT" \
	"jDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

/* The same key as PEM. */
static const char a3_pem[] =
    "-----BEGIN EC PRIVATE KEY-----\n"
    "MHcCAQEEII6bEJ5xkJi/mASH3x9dd+nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49\n"
    "AwEHoUQDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72b\n"
    "focs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
    "-----END EC PRIVATE KEY-----\n";

/* An independent check: raw r and s back to DER, and OpenSSL's verify. */
static bool
verifies(const char *input, const char *sig_b64url)
{
	BIO *bio = BIO_new_mem_buf(a3_pem, -1);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	ECDSA_SIG *sig = ECDSA_SIG_new();
	uint8_t raw[66], *der = NULL;
	int len, rc;

	assert_int_equal(
	    b64url_decode(raw, sig_b64url, strlen(sig_b64url)), 64);
	ECDSA_SIG_set0(
	    sig, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
	len = i2d_ECDSA_SIG(sig, &der);
	assert_int_equal(
	    EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, pkey), 1);
	rc = EVP_DigestVerify(
	    md, der, (size_t)len, (const uint8_t *)input, strlen(input));
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(pkey);
	BIO_free(bio);
	return rc == 1;
}

static const char *
member(json_t *jws, const char *name)
{
	return json_string_value(json_object_get(jws, name));
}

static void
the_rfcs_own_signature_verifies(void **state)
{
	(void)state;
	assert_true(verifies(A3_INPUT, A3_SIGNATURE));
	assert_false(verifies("x" A3_INPUT, A3_SIGNATURE));
}

static void
our_signature_verifies_too(void **state)
{
	struct err e = { 0 };
	struct jose_key *k = jose_key_new(a3_pem, &e);
	uint8_t header[256];
	ptrdiff_t len;

	(void)state;
	assert_non_null(k);
	/* Often enough to meet an r or s with leading zeros. */
	for (int i = 0; i < 300; i++) {
		struct buf out;
		json_t *jws;
		char *input;

		buf_init(&out, 4096);
		assert_int_equal(
		    jose_sign(k, json_pack("{s:i}", "n", i), "{}", &out, &e),
		    0);
		assert_non_null(jws = json_loads(out.p, 0, NULL));
		input = xasprintf(
		    "%s.%s", member(jws, "protected"), member(jws, "payload"));
		assert_true(verifies(input, member(jws, "signature")));
		len = b64url_decode(header, member(jws, "protected"),
		    strlen(member(jws, "protected")));
		header[len] = '\0';
		assert_non_null(strstr((char *)header, "\"alg\":\"ES256\""));
		free(input);
		json_decref(jws);
		buf_clear(&out);
	}
	jose_key_free(k);
}

/* SHA-256 of {"crv":"P-256","kty":"EC","x":...,"y":...} by another tool. */
static void
thumbprint_and_jwk_are_those_of_the_key(void **state)
{
	struct err e = { 0 };
	struct jose_key *k = jose_key_new(a3_pem, &e);
	json_t *jwk = jose_jwk(k);

	(void)state;
	assert_string_equal(member(jwk, "x"), A3_X);
	assert_string_equal(member(jwk, "y"), A3_Y);
	assert_string_equal(member(jwk, "kty"), "EC");
	assert_string_equal(member(jwk, "crv"), "P-256");
	assert_int_equal(json_object_size(jwk), 4);
	assert_string_equal(
	    jose_thumbprint(k), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
	json_decref(jwk);
	jose_key_free(k);
}

/* RFC 7515 appendix A.1, with the header our code writes. */
static void
hs256_is_keyed_by_the_decoded_key(void **state)
{
	static const char key[] =
	    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"
	    "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
	struct err e = { 0 };
	struct buf out;
	json_t *jws;

	(void)state;
	buf_init(&out, 4096);
	assert_int_equal(jose_mac(key, json_object(), "{}", &out, &e), 0);
	assert_non_null(jws = json_loads(out.p, 0, NULL));
	assert_string_equal(member(jws, "protected"), "eyJhbGciOiJIUzI1NiJ9");
	assert_string_equal(member(jws, "payload"), "e30");
	assert_string_equal(member(jws, "signature"),
	    "kV_0TaAytE8UYEw3uFsmhDVFEgvnO6S_dA8UnWQoxmU");
	json_decref(jws);
	buf_clear(&out);

	assert_int_equal(jose_mac("not/b64", json_object(), "", &out, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_int_equal(jose_mac("", json_object(), "", &out, &e), -1);
}

static void
only_p256_keys_are_taken(void **state)
{
	EVP_PKEY *p384 = EVP_EC_gen("P-384");
	BIO *bio = BIO_new(BIO_s_mem());
	struct err e = { 0 };
	char pem[1024] = "";

	(void)state;
	PEM_write_bio_PrivateKey(bio, p384, NULL, NULL, 0, NULL, NULL);
	assert_true(BIO_read(bio, pem, sizeof(pem) - 1) > 0);
	assert_null(jose_key_new(pem, &e));
	assert_string_equal(e.text, "account key is not an EC key on P-256");
	assert_null(jose_key_new("nothing", &e));
	assert_int_equal(e.kind, ERR_BUG);
	BIO_free(bio);
	EVP_PKEY_free(p384);
}

static void
a_full_buffer_is_an_error_not_a_cut(void **state)
{
	struct err e = { 0 };
	struct jose_key *k = jose_key_new(a3_pem, &e);
	struct buf out;

	(void)state;
	for (size_t cap = 0; cap < 140; cap += 7) {
		buf_init(&out, cap);
		assert_int_equal(
		    jose_sign(k, json_object(), "{}", &out, &e), -1);
		buf_clear(&out);
	}
	jose_key_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rfcs_own_signature_verifies),
		cmocka_unit_test(our_signature_verifies_too),
		cmocka_unit_test(thumbprint_and_jwk_are_those_of_the_key),
		cmocka_unit_test(hs256_is_keyed_by_the_decoded_key),
		cmocka_unit_test(only_p256_keys_are_taken),
		cmocka_unit_test(a_full_buffer_is_an_error_not_a_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
