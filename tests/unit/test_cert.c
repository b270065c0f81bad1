#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/b64.h"
#include "common/mem.h"
#include "sync/cert.h"

#define NOW_MS ((int64_t)1700000000 * 1000)
#define DAY_MS ((int64_t)86400 * 1000)

/* A certificate authority in miniature: root -> middle -> leaf. */
static struct {
	EVP_PKEY *root_key, *middle_key, *leaf_key;
	X509 *root, *middle;
	char *leaf_pem; /* private key */
} pki;

static void
add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
}

/* names NULL: a CA. */
static X509 *
issue(const char *cn, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
    const char *names)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 0x1234);
	ASN1_TIME_set(X509_getm_notBefore(x), NOW_MS / 1000);
	ASN1_TIME_set(X509_getm_notAfter(x), (NOW_MS + 90 * DAY_MS) / 1000);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(
	    x, issuer != NULL ? X509_get_subject_name(issuer) : name);
	X509_set_pubkey(x, key);
	add_extension(x, issuer != NULL ? issuer : x, NID_basic_constraints,
	    names != NULL ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (names != NULL)
		add_extension(x, issuer, NID_subject_alt_name, names);
	assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
	return x;
}

/* PEM of the certificates given, which end with a NULL. */
static char *
pem_of(X509 *x, ...)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p, *text;
	va_list ap;
	long len;

	va_start(ap, x);
	for (; x != NULL; x = va_arg(ap, X509 *))
		PEM_write_bio_X509(bio, x);
	va_end(ap);
	len = BIO_get_mem_data(bio, &p);
	text = xmemdup0(p, (size_t)len);
	BIO_free(bio);
	return text;
}

static int
make_pki(void **state)
{
	BIO *bio;

	(void)state;
	pki.root_key = EVP_EC_gen("P-256");
	pki.middle_key = EVP_EC_gen("P-384");
	pki.leaf_pem = cert_key_new();
	bio = BIO_new_mem_buf(pki.leaf_pem, -1);
	pki.leaf_key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	pki.root = issue("Root", pki.root_key, NULL, pki.root_key, NULL);
	pki.middle =
	    issue("Middle CA", pki.middle_key, pki.root, pki.root_key, NULL);
	return 0;
}

static int
free_pki(void **state)
{
	(void)state;
	EVP_PKEY_free(pki.root_key);
	EVP_PKEY_free(pki.middle_key);
	EVP_PKEY_free(pki.leaf_key);
	X509_free(pki.root);
	X509_free(pki.middle);
	mem_wipe_free(pki.leaf_pem);
	return 0;
}

static X509 *
leaf_for(const char *names)
{
	return issue("leaf", pki.leaf_key, pki.middle, pki.middle_key, names);
}

/* "" when the chain passes, else the sentence; it is parsed first. */
static const char *
verdict(char *pem, const char *key, const char *name, int64_t now_ms)
{
	static struct err e;
	struct cert c;

	e = (struct err){ 0 };
	if (cert_parse(&c, pem, strlen(pem), &e) == 0) {
		cert_check(&c, key, name, now_ms, &e);
		cert_clear(&c);
	}
	free(pem);
	assert_int_equal(ERR_peek_error(), 0);
	return e.text;
}

static void
a_good_chain_passes_with_or_without_its_root(void **state)
{
	X509 *leaf = leaf_for("DNS:a.test,DNS:*.b.test");

	(void)state;
	assert_string_equal(verdict(pem_of(leaf, pki.middle, NULL),
				pki.leaf_pem, "a.test", NOW_MS),
	    "");
	assert_string_equal(verdict(pem_of(leaf, pki.middle, pki.root, NULL),
				pki.leaf_pem, "a.test", NOW_MS),
	    "");
	assert_string_equal(
	    verdict(pem_of(leaf, NULL), pki.leaf_pem, "a.test", NOW_MS), "");
	X509_free(leaf);
}

static void
names_are_covered_by_san_and_wildcards_by_themselves(void **state)
{
	static const struct {
		const char *name;
		bool covered;
	} cases[] = {
		{ "a.test", true },
		{ "A.Test", true },
		{ "x.b.test", true },
		{ "*.b.test", true },
		{ "b.test", false },
		{ "x.y.b.test", false },
		{ "*.x.b.test", false },
		{ "*.a.test", false },
		{ "*.test", false },
		{ "leaf", false }, /* the common name does not count */
		{ "fooc.test", false },
		{ "a.test.evil.test", false },
	};
	X509 *leaf = leaf_for("DNS:a.test,DNS:*.b.test,DNS:foo*.c.test");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = verdict(pem_of(leaf, pki.middle, NULL),
		    pki.leaf_pem, cases[i].name, NOW_MS);
		char expected[128];

		snprintf(expected, sizeof(expected),
		    "certificate does not cover %s", cases[i].name);
		assert_string_equal(text, cases[i].covered ? "" : expected);
	}
	X509_free(leaf);
}

static void
another_key_does_not_match(void **state)
{
	X509 *leaf = leaf_for("DNS:a.test");
	char *other = cert_key_new();

	(void)state;
	assert_string_equal(
	    verdict(pem_of(leaf, pki.middle, NULL), other, "a.test", NOW_MS),
	    "private key does not match the certificate");
	assert_string_equal(
	    verdict(pem_of(leaf, NULL), "no key", "a.test", NOW_MS),
	    "private key cannot be read; it should be PEM without a pass "
	    "phrase");
	free(other);
	X509_free(leaf);
}

static void
a_gap_in_the_chain_is_seen(void **state)
{
	X509 *leaf = leaf_for("DNS:a.test");
	X509 *fake;

	(void)state;
	assert_string_equal(verdict(pem_of(leaf, pki.root, NULL), pki.leaf_pem,
				"a.test", NOW_MS),
	    "certificate 1 of the chain is not issued by the one behind it");
	assert_string_equal(verdict(pem_of(leaf, pki.root, pki.middle, NULL),
				pki.leaf_pem, "a.test", NOW_MS),
	    "certificate 1 of the chain is not issued by the one behind it");
	/* The right name, but another key. */
	fake = issue("Middle CA", pki.root_key, pki.root, pki.root_key, NULL);
	assert_string_equal(
	    verdict(pem_of(leaf, fake, NULL), pki.leaf_pem, "a.test", NOW_MS),
	    "certificate 1 of the chain is not signed by the one behind it");
	X509_free(fake);
	/* The right key, but not a CA's. */
	fake = issue(
	    "Middle CA", pki.middle_key, pki.root, pki.root_key, "DNS:x.test");
	assert_string_equal(
	    verdict(pem_of(leaf, fake, NULL), pki.leaf_pem, "a.test", NOW_MS),
	    "certificate 2 of the chain is no CA's");
	X509_free(fake);
	X509_free(leaf);
}

static void
a_ca_certificate_is_not_a_leaf(void **state)
{
	X509 *x = issue("ca", pki.leaf_key, pki.middle, pki.middle_key, NULL);

	(void)state;
	assert_string_equal(
	    verdict(pem_of(x, pki.middle, NULL), pki.leaf_pem, "ca", NOW_MS),
	    "certificate is a CA's, not one for a server");
	X509_free(x);
}

static void
dates_count_with_an_hour_of_grace_before(void **state)
{
	X509 *leaf = leaf_for("DNS:a.test");
	int64_t end = NOW_MS + 90 * DAY_MS;

	(void)state;
	assert_string_equal(verdict(pem_of(leaf, NULL), pki.leaf_pem, "a.test",
				NOW_MS - 3600 * 1000),
	    "");
	assert_string_equal(verdict(pem_of(leaf, NULL), pki.leaf_pem, "a.test",
				NOW_MS - 3600 * 1000 - 1),
	    "certificate is not valid before 2023-11-14T22:13:20.000Z");
	assert_string_equal(
	    verdict(pem_of(leaf, NULL), pki.leaf_pem, "a.test", end - 1), "");
	assert_string_equal(
	    verdict(pem_of(leaf, NULL), pki.leaf_pem, "a.test", end),
	    "certificate expired at 2024-02-12T22:13:20.000Z");
	assert_string_equal(
	    verdict(pem_of(leaf, NULL), pki.leaf_pem, "a.test", CERT_ANY_TIME),
	    "");
	X509_free(leaf);
}

static void
what_is_said_of_a_certificate_is_read_from_it(void **state)
{
	X509 *leaf = leaf_for("DNS:a.test");
	char *pem = pem_of(leaf, pki.middle, NULL), *around;
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned int len;
	char hex[41];
	struct cert c;
	struct err e;

	(void)state;
	/* Text around the PEM is not passed on. */
	around = xasprintf("evil;\n\n%s\n\nset ssl cert\n", pem);
	assert_int_equal(cert_parse(&c, around, strlen(around), &e), 0);
	assert_string_equal(c.chain, pem);
	assert_string_equal(c.serial, "1234");
	assert_string_equal(c.issuer, "Middle CA");
	assert_int_equal(c.length, 2);
	assert_true(c.not_before == NOW_MS);
	assert_true(c.not_after == NOW_MS + 90 * DAY_MS);
	X509_digest(leaf, EVP_sha1(), hash, &len);
	for (size_t i = 0; i < 20; i++)
		snprintf(hex + 2 * i, 3, "%02X", hash[i]);
	assert_string_equal(c.sha1, hex);
	cert_clear(&c);
	cert_clear(&c);
	free(around);
	free(pem);
	X509_free(leaf);
}

static void
damaged_and_endless_chains_are_refused(void **state)
{
	X509 *leaf = leaf_for("DNS:a.test");
	char *one = pem_of(leaf, NULL), *pem = xstrdup("");
	struct cert c;
	struct err e;

	(void)state;
	assert_int_equal(cert_parse(&c, "", 0, &e), -1);
	assert_string_equal(e.text, "there is no PEM certificate in it");
	for (int i = 0; i <= CERT_CHAIN_MAX; i++) {
		char *longer = xasprintf("%s%s", pem, one);

		free(pem);
		pem = longer;
	}
	assert_int_equal(cert_parse(&c, pem, strlen(pem), &e), -1);
	assert_string_equal(e.text,
	    "chain has more than 10 certificates; at most 10 are accepted");
	/* The second one cut in its middle must not vanish. */
	assert_int_equal(
	    cert_parse(&c, pem, strlen(one) + strlen(one) / 2, &e), -1);
	assert_string_equal(e.text, "certificate 2 of the chain is damaged");
	assert_int_equal(ERR_peek_error(), 0);
	free(pem);
	free(one);
	X509_free(leaf);
}

static void
the_csr_asks_for_the_names_and_nothing_else(void **state)
{
	static const char *const names[] = { "a.test", "*.a.test" };
	STACK_OF(X509_EXTENSION) * extensions;
	GENERAL_NAMES *list;
	const uint8_t *p;
	uint8_t der[4096];
	ptrdiff_t len;
	X509_REQ *req;
	struct err e;
	char *csr;

	(void)state;
	assert_int_equal(cert_csr(pki.leaf_pem, names, 2, &csr, &e), 0);
	len = b64url_decode(der, csr, strlen(csr));
	p = der;
	assert_non_null(req = d2i_X509_REQ(NULL, &p, (long)len));
	assert_int_equal(X509_REQ_verify(req, pki.leaf_key), 1);
	assert_int_equal(
	    X509_NAME_entry_count(X509_REQ_get_subject_name(req)), 0);
	extensions = X509_REQ_get_extensions(req);
	assert_int_equal(sk_X509_EXTENSION_num(extensions), 1);
	list = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(list), 2);
	for (int i = 0; i < 2; i++)
		assert_memory_equal(
		    ASN1_STRING_get0_data(
			sk_GENERAL_NAME_value(list, i)->d.dNSName),
		    names[i], strlen(names[i]));
	GENERAL_NAMES_free(list);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_REQ_free(req);
	free(csr);
	assert_int_equal(cert_csr("no key", names, 2, &csr, &e), -1);
	assert_null(csr);
	assert_int_equal(cert_csr(pki.leaf_pem, names, 0, &csr, &e), -1);
}

static void
haproxys_pem_has_the_key_first_and_no_blank_line(void **state)
{
	X509 *leaf = leaf_for("DNS:a.test");
	char *pem = pem_of(leaf, pki.middle, NULL), *all;
	struct cert c;
	struct err e;

	(void)state;
	assert_int_equal(cert_parse(&c, pem, strlen(pem), &e), 0);
	all = cert_pem(&c, pki.leaf_pem);
	assert_true(strncmp(all, "-----BEGIN PRIVATE KEY-----\n", 28) == 0);
	assert_null(strstr(all, "\n\n"));
	assert_non_null(strstr(all, c.chain));
	mem_wipe_free(all);
	cert_clear(&c);
	free(pem);
	X509_free(leaf);
}

static void
the_placeholder_is_a_certificate_with_its_key(void **state)
{
	char *pem = cert_placeholder();
	struct cert c;
	struct err e;

	(void)state;
	assert_null(strstr(pem, "\n\n"));
	assert_int_equal(cert_parse(&c, pem, strlen(pem), &e), 0);
	assert_string_equal(c.issuer, "certfleet default certificate");
	assert_true(c.not_after - c.not_before > 3649 * DAY_MS);
	assert_int_equal(
	    cert_check(&c, pem, "certfleet.invalid", c.not_before + DAY_MS, &e),
	    0);
	cert_clear(&c);
	mem_wipe_free(pem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_chain_passes_with_or_without_its_root),
		cmocka_unit_test(
		    names_are_covered_by_san_and_wildcards_by_themselves),
		cmocka_unit_test(another_key_does_not_match),
		cmocka_unit_test(a_gap_in_the_chain_is_seen),
		cmocka_unit_test(a_ca_certificate_is_not_a_leaf),
		cmocka_unit_test(dates_count_with_an_hour_of_grace_before),
		cmocka_unit_test(what_is_said_of_a_certificate_is_read_from_it),
		cmocka_unit_test(damaged_and_endless_chains_are_refused),
		cmocka_unit_test(the_csr_asks_for_the_names_and_nothing_else),
		cmocka_unit_test(
		    haproxys_pem_has_the_key_first_and_no_blank_line),
		cmocka_unit_test(the_placeholder_is_a_certificate_with_its_key),
	};

	return cmocka_run_group_tests(tests, make_pki, free_pki);
}
