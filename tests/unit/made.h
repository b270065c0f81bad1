/* Certificates of every kind, made on the spot. */
#ifndef TESTS_UNIT_MADE_H
#define TESTS_UNIT_MADE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "common/mem.h"

struct made {
	EVP_PKEY *key;
	X509 *x;
};

/* What is not said is as a good server's certificate has it. */
struct make {
	const char *cn, *san; /* san: "DNS:a, DNS:b" */
	const struct made *issuer;
	EVP_PKEY *stolen_key;
	const char *aia; /* "caIssuers;URI:http://..." */
	const char *eku; /* "serverAuth" */
	const EVP_MD *md;
	int from_days, to_days; /* from now; 0, 0: -1, 90 */
	int ca;
};

static inline void
made_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e;

	if (value == NULL)
		return;
	e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	if (e == NULL)
		abort();
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

static inline struct made
made_cert(struct make m)
{
	static long serial = 100;
	struct made c = { m.stolen_key != NULL ? m.stolen_key
					       : EVP_EC_gen("P-256"),
		X509_new() };
	int from = m.from_days, to = m.to_days;
	const EVP_MD *md = m.md != NULL ? m.md : EVP_sha256();

	if (from == 0 && to == 0) {
		from = -1;
		to = 90;
	}
	if (EVP_PKEY_is_a(c.key, "ED25519") && m.issuer == NULL)
		md = NULL;
	X509_set_version(c.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c.x), from * 86400L);
	X509_gmtime_adj(X509_getm_notAfter(c.x), to * 86400L);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c.x), "CN",
	    MBSTRING_ASC, (const unsigned char *)m.cn, -1, -1, 0);
	X509_set_issuer_name(
	    c.x, X509_get_subject_name(m.issuer != NULL ? m.issuer->x : c.x));
	made_extension(
	    c.x, NID_basic_constraints, m.ca ? "critical,CA:TRUE" : "CA:FALSE");
	made_extension(c.x, NID_subject_alt_name, m.san);
	made_extension(c.x, NID_info_access, m.aia);
	made_extension(c.x, NID_ext_key_usage, m.eku);
	X509_set_pubkey(c.x, c.key);
	X509_sign(c.x, m.issuer != NULL ? m.issuer->key : c.key, md);
	return c;
}

static inline void
made_clear(struct made *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
}

static inline char *
made_take(BIO *bio)
{
	char *p, *text;
	long n = BIO_get_mem_data(bio, &p);

	text = xmemdup0(p, (size_t)n);
	BIO_free(bio);
	return text;
}

/* Certificates as PEM, up to a NULL. */
static inline char *
made_pem(const struct made *const *list)
{
	BIO *bio = BIO_new(BIO_s_mem());

	for (; *list != NULL; list++)
		PEM_write_bio_X509(bio, (*list)->x);
	return made_take(bio);
}

/* A key as PEM; password NULL: in clear. */
static inline char *
made_key(EVP_PKEY *key, const char *password)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (password == NULL)
		PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	else
		PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_256_cbc(),
		    password, (int)strlen(password), NULL, NULL);
	return made_take(bio);
}

#endif
