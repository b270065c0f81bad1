/* What else a certificate is called by: in renewal information, in a chain. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/b64.h"
#include "common/mem.h"
#include "sync/cert.h"

#define OCTETS_MAX 64

/* The first certificate of a chain, or the last; NULL when there is none. */
static X509 *
read_one(const char *pem, bool last)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = NULL, *next;

	while (bio != NULL &&
	       (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		X509_free(x);
		x = next;
		if (!last)
			break;
	}
	BIO_free(bio);
	ERR_clear_error();
	return x;
}

/* The serial number as DER has it: a zero before a first bit that is set. */
static size_t
serial_octets(X509 *x, uint8_t octets[static OCTETS_MAX])
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	uint8_t der[OCTETS_MAX + 4], *p = der;
	int len = i2d_ASN1_INTEGER(serial, NULL);

	/* Tag, one byte of length, the octets. */
	if (len < 3 || len > OCTETS_MAX || i2d_ASN1_INTEGER(serial, &p) != len)
		return 0;
	memcpy(octets, der + 2, (size_t)len - 2);
	return (size_t)len - 2;
}

/* The leaf, parsed already most often; the caller owns it. */
static X509 *
leaf_of(const struct cert *c)
{
	X509 *x;

	if (c->parsed == NULL)
		return read_one(c->chain, false);
	x = sk_X509_value((const STACK_OF(X509) *)c->parsed, 0);
	X509_up_ref(x);
	return x;
}

void
cert_ari_id(const struct cert *c, char *out, size_t size)
{
	X509 *x = leaf_of(c);
	const ASN1_OCTET_STRING *aki;
	uint8_t serial[OCTETS_MAX];
	size_t n, naki, at;

	out[0] = '\0';
	aki = x != NULL ? X509_get0_authority_key_id(x) : NULL;
	n = x != NULL ? serial_octets(x, serial) : 0;
	naki = aki != NULL ? (size_t)ASN1_STRING_length(aki) : 0;
	if (naki > 0 && naki <= OCTETS_MAX && n > 0 &&
	    B64URL_SIZE(naki) + B64URL_SIZE(n) <= size) {
		b64url_encode(out, ASN1_STRING_get0_data(aki), naki);
		at = strlen(out);
		out[at++] = '.';
		b64url_encode(out + at, serial, n);
	}
	X509_free(x);
}

void
cert_names(const struct cert *c, cert_names_fn *fn, void *arg)
{
	X509 *x = leaf_of(c);
	GENERAL_NAMES *list = NULL;

	if (x != NULL)
		list = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(list, i);

		if (gn->type == GEN_DNS)
			fn(arg,
			    (const char *)ASN1_STRING_get0_data(gn->d.dNSName),
			    (size_t)ASN1_STRING_length(gn->d.dNSName));
	}
	GENERAL_NAMES_free(list);
	X509_free(x);
	ERR_clear_error();
}

bool
cert_topmost_by(const char *chain, const char *issuer)
{
	X509 *x = read_one(chain, true);
	X509_NAME *name = x != NULL ? X509_get_issuer_name(x) : NULL;
	unsigned char *utf8 = NULL;
	int at = -1, len = -1;
	bool same;

	if (name != NULL)
		at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at >= 0)
		len = ASN1_STRING_to_UTF8(&utf8,
		    X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	same = len >= 0 && (size_t)len == strlen(issuer) &&
	       memcmp(utf8, issuer, (size_t)len) == 0;
	OPENSSL_free(utf8);
	X509_free(x);
	return same;
}
