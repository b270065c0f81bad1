/* What we make ourselves: signing requests and the placeholder. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/b64.h"
#include "common/crypto.h"
#include "common/mem.h"
#include "sync/cert.h"
#include "sync/key.h"

#define CSR_DER_MAX (16 * 1024)
#define PLACEHOLDER_NAME "certfleet default certificate"
#define PLACEHOLDER_DAYS 3650

char *
cert_key_new(void)
{
	return key_new(KEY_ECDSA_P256);
}

/* subjectAltName as OpenSSL holds it. */
static GENERAL_NAMES *
alt_names(const char *const *names, size_t nnames)
{
	GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *gn;
	ASN1_IA5STRING *s;

	for (size_t i = 0; i < nnames; i++) {
		gn = GENERAL_NAME_new();
		s = ASN1_IA5STRING_new();
		if (gn == NULL || s == NULL ||
		    ASN1_STRING_set(s, names[i], -1) != 1)
			abort();
		GENERAL_NAME_set0_value(gn, GEN_DNS, s);
		if (sk_GENERAL_NAME_push(list, gn) == 0)
			abort();
	}
	return list;
}

/*
 * X509_REQ_set_pubkey() encodes the key and decodes it again, each by looking
 * for somebody who can; of an elliptic curve's key the parts are known.
 */
static int
csr_key(X509_REQ *req, EVP_PKEY *pkey)
{
	uint8_t point[256], *copy;
	char group[64];
	size_t len;

	if (!EVP_PKEY_is_a(pkey, "EC") ||
	    EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1 ||
	    EVP_PKEY_get_octet_string_param(
		pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) != 1)
		return X509_REQ_set_pubkey(req, pkey);
	copy = OPENSSL_memdup(point, len);
	if (copy != NULL &&
	    X509_PUBKEY_set0_param(X509_REQ_get_X509_PUBKEY(req),
		OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
		OBJ_txt2obj(group, 0), copy, (int)len) == 1)
		return 1;
	OPENSSL_free(copy);
	return 0;
}

static int
csr_fill(X509_REQ *req, EVP_PKEY *pkey, const char *const *names, size_t nnames)
{
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	GENERAL_NAMES *list = alt_names(names, nnames);
	int ok;

	ok = X509V3_add1_i2d(&extensions, NID_subject_alt_name, list, 0, 0) ==
	         1 &&
	     X509_REQ_add_extensions(req, extensions) == 1 &&
	     X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1 &&
	     csr_key(req, pkey) == 1 &&
	     X509_REQ_sign(req, pkey, EVP_sha256()) > 0;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	GENERAL_NAMES_free(list);
	return ok ? 0 : -1;
}

int
cert_csr(const char *key_pem, const char *const *names, size_t nnames,
    char **csr, struct err *e)
{
	EVP_PKEY *pkey = key_read(key_pem, e);
	X509_REQ *req;
	uint8_t *der = NULL;
	int len = -1;

	*csr = NULL;
	if (pkey == NULL)
		return -1;
	req = X509_REQ_new_ex(crypto_context(), NULL);
	if (req != NULL && nnames > 0 &&
	    csr_fill(req, pkey, names, nnames) == 0)
		len = i2d_X509_REQ(req, &der);
	X509_REQ_free(req);
	EVP_PKEY_free(pkey);
	if (len <= 0 || len > CSR_DER_MAX) {
		OPENSSL_free(der);
		return err_set(
		    e, ERR_BUG, "certificate signing request was not made");
	}
	*csr = xmalloc(B64URL_SIZE((size_t)len));
	b64url_encode(*csr, der, (size_t)len);
	OPENSSL_free(der);
	return 0;
}

static int
placeholder_fill(X509 *x, EVP_PKEY *pkey)
{
	X509_NAME *name = X509_get_subject_name(x);
	ASN1_INTEGER *serial = X509_get_serialNumber(x);
	uint64_t number = 0;
	static const char *const san[] = { "certfleet.invalid" };
	GENERAL_NAMES *list = alt_names(san, 1);
	int ok;

	if (RAND_bytes((uint8_t *)&number, sizeof(number)) != 1)
		abort();
	ok = X509_set_version(x, X509_VERSION_3) == 1 &&
	     ASN1_INTEGER_set_uint64(serial, number >> 1 | 1) == 1 &&
	     X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
	     X509_time_adj_ex(
		 X509_getm_notAfter(x), PLACEHOLDER_DAYS, 0, NULL) != NULL &&
	     X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		 (const unsigned char *)PLACEHOLDER_NAME, -1, -1, 0) == 1 &&
	     X509_set_issuer_name(x, name) == 1 &&
	     X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, 0) == 1 &&
	     X509_set_pubkey(x, pkey) == 1 &&
	     X509_sign(x, pkey, EVP_sha256()) > 0;
	GENERAL_NAMES_free(list);
	return ok ? 0 : -1;
}

char *
cert_placeholder(void)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *key, *text = NULL, *pem;
	long len;

	if (pkey == NULL || x == NULL || bio == NULL ||
	    placeholder_fill(x, pkey) == -1 || PEM_write_bio_X509(bio, x) != 1)
		abort();
	key = key_write(pkey);
	len = BIO_get_mem_data(bio, &text);
	pem = xasprintf("%s%.*s", key, (int)len, text);
	mem_wipe_free(key);
	BIO_free(bio);
	X509_free(x);
	EVP_PKEY_free(pkey);
	return pem;
}
