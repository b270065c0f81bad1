#include "sync/custom.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/mem.h"
#include "common/str.h"
#include "haproxy/command.h"
#include "haproxy/files.h"
#include "sync/key.h"

#define PEM_MAX (128 * 1024)
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define SECURITY_BITS_MIN 112 /* of a signature; SHA-1 has fewer */
/* What HAProxy's command needs around a PEM. */
#define PUSH_OVERHEAD (COMMAND_MARGIN + FILES_PATH_MAX + 32)
#define NAMES_MAX 200 /* bytes of names shown in a sentence */
#define SENTENCE_MAX 512

/* One upload being read. */
struct reading {
	struct custom *out;
	const struct custom_rules *rules;
	custom_fault_fn *fn;
	void *arg;
	STACK_OF(X509) * given; /* as uploaded, without doubles */
	STACK_OF(X509) * chain; /* in order, borrowed from given */
	EVP_PKEY *key;
	int faults;
};

static void fault(struct reading *, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
fault(struct reading *r, const char *field, const char *fmt, ...)
{
	char text[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->faults++;
	r->fn(r->arg, field, text);
}

void
custom_clear(struct custom *c)
{
	cert_clear(&c->cert);
	mem_wipe_free(c->key_pem);
	*c = (struct custom){ 0 };
}

/* The subject's common name, or what there is instead, for a sentence. */
static const char *
name_of(X509_NAME *name, char out[static 128])
{
	char line[256];

	if (X509_NAME_get_text_by_NID(
		name, NID_commonName, line, sizeof(line)) <= 0 &&
	    X509_NAME_oneline(name, line, sizeof(line)) == NULL)
		line[0] = '\0';
	return str_printable(out, 128, line, strlen(line));
}

/* --- the certificates ------------------------------------------------------------ */

static bool
is_there(STACK_OF(X509) * list, const X509 *x)
{
	for (int i = 0; i < sk_X509_num(list); i++)
		if (X509_cmp(sk_X509_value(list, i), x) == 0)
			return true;
	return false;
}

static void
put(STACK_OF(X509) * list, X509 *x)
{
	if (sk_X509_push(list, x) == 0)
		abort();
}

/* Why reading ended: at the end, or at what is damaged. */
static void
take_certificates(struct reading *r, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)strnlen(pem, PEM_MAX));
	unsigned long why;
	X509 *x;

	if (bio == NULL)
		abort();
	ERR_clear_error();
	while (sk_X509_num(r->given) <= CERT_CHAIN_MAX &&
	       (x = PEM_read_bio_X509(bio, NULL, key_no_passphrase, NULL)) !=
		   NULL) {
		if (is_there(r->given, x))
			X509_free(x);
		else
			put(r->given, x);
	}
	why = ERR_peek_last_error();
	BIO_free(bio);
	ERR_clear_error();
	if (sk_X509_num(r->given) > CERT_CHAIN_MAX)
		fault(r, "tlscert", "has more than %d certificates",
		    CERT_CHAIN_MAX);
	else if (why != 0 && ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		fault(r, "tlscert", "certificate %d in it is damaged",
		    sk_X509_num(r->given) + 1);
	else if (sk_X509_num(r->given) == 0)
		fault(r, "tlscert",
		    "has no certificate in it; it should be PEM, "
		    "\"-----BEGIN CERTIFICATE-----\" and what follows");
}

/* --- the key --------------------------------------------------------------------- */

static bool
is_encrypted(const char *pem)
{
	return strstr(pem, "BEGIN ENCRYPTED PRIVATE KEY") != NULL ||
	       strstr(pem, "Proc-Type: 4,ENCRYPTED") != NULL;
}

static void
check_ec(struct reading *r)
{
	char group[64] = "";
	int nid;

	EVP_PKEY_get_utf8_string_param(
	    r->key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL);
	nid = OBJ_txt2nid(group);
	if (nid != NID_X9_62_prime256v1 && nid != NID_secp384r1 &&
	    nid != NID_secp521r1)
		fault(r, "tlskey",
		    "is on the curve %s, which browsers do not know; make one "
		    "on P-256: openssl ecparam -genkey -name prime256v1",
		    group[0] != '\0' ? group : "of its own");
}

static void
check_key(struct reading *r)
{
	int bits = EVP_PKEY_get_bits(r->key);
	const char *type = EVP_PKEY_get0_type_name(r->key);

	if (EVP_PKEY_is_a(r->key, "EC")) {
		check_ec(r);
		type = "EC";
	} else if (!EVP_PKEY_is_a(r->key, "RSA")) {
		fault(r, "tlskey",
		    "is a key of type %s, which browsers do not accept from "
		    "servers; use ECDSA P-256 or RSA",
		    type != NULL ? type : "unknown");
	} else if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
		fault(r, "tlskey",
		    "is an RSA key of %d bits; it must have %d to %d", bits,
		    RSA_BITS_MIN, RSA_BITS_MAX);
	}
	snprintf(r->out->key, sizeof(r->out->key),
	    "%.16s private key - %d bits", type != NULL ? type : "", bits);
}

static void
take_key(struct reading *r, const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)strnlen(pem, PEM_MAX));

	if (bio == NULL)
		abort();
	r->key = PEM_read_bio_PrivateKey(bio, NULL, key_no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (r->key != NULL)
		check_key(r);
	else if (is_encrypted(pem))
		fault(r, "tlskey",
		    "is encrypted; give it without a pass phrase: openssl "
		    "pkey -in key.pem -out plain.pem");
	else if (strstr(pem, "PRIVATE KEY-----") != NULL)
		fault(r, "tlskey", "is damaged");
	else
		fault(r, "tlskey",
		    "has no private key in it; it should be PEM, "
		    "\"-----BEGIN PRIVATE KEY-----\" and what follows");
}

/* Plain PKCS #8, whatever it was: not a byte of the upload is passed on. */
static void
write_key(struct reading *r)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long len;

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(
			       bio, r->key, NULL, NULL, 0, NULL, NULL) != 1)
		abort();
	len = BIO_get_mem_data(bio, &p);
	r->out->key_pem = xmemdup0(p, (size_t)len);
	mem_wipe(p, (size_t)len);
	BIO_free(bio);
}

/* --- the order --------------------------------------------------------------------- */

static X509 *
find_leaf(struct reading *r)
{
	X509 *found = NULL;

	for (int i = 0; i < sk_X509_num(r->given) && found == NULL; i++)
		if (X509_check_private_key(
			sk_X509_value(r->given, i), r->key) == 1)
			found = sk_X509_value(r->given, i);
	ERR_clear_error();
	return found;
}

static bool
signed_by(X509 *x, X509 *issuer)
{
	bool so = X509_check_issued(issuer, x) == X509_V_OK &&
	          X509_verify(x, X509_get0_pubkey(issuer)) == 1;

	ERR_clear_error();
	return so;
}

static bool
is_self_signed(X509 *x)
{
	return signed_by(x, x);
}

/* The one that signed x and is not in the chain yet. */
static X509 *
find_issuer(const struct reading *r, X509 *x)
{
	for (int i = 0; i < sk_X509_num(r->given); i++) {
		X509 *issuer = sk_X509_value(r->given, i);

		if (!is_there(r->chain, issuer) && signed_by(x, issuer))
			return issuer;
	}
	return NULL;
}

static void
put_in_order(struct reading *r)
{
	char name[128], last[128];
	X509 *x = find_leaf(r);

	if (x == NULL) {
		fault(r, "tlskey",
		    "matches no certificate in tlscert; it must be the key of "
		    "%s",
		    name_of(X509_get_subject_name(sk_X509_value(r->given, 0)),
			name));
		return;
	}
	for (; x != NULL; x = find_issuer(r, x))
		put(r->chain, x);
	x = sk_X509_value(r->chain, sk_X509_num(r->chain) - 1);
	name_of(X509_get_issuer_name(x), last);
	for (int i = 0; i < sk_X509_num(r->given); i++) {
		x = sk_X509_value(r->given, i);
		if (is_there(r->chain, x))
			continue;
		fault(r, "tlscert",
		    "certificate %d (%s) does not belong to the chain; after "
		    "it comes that of %s",
		    i + 1, name_of(X509_get_subject_name(x), name), last);
	}
}

/* --- what may be wrong with a chain in order ------------------------------------------- */

static int64_t
ms_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static void
check_one(struct reading *r, X509 *x)
{
	int64_t from = ms_of(X509_get0_notBefore(x));
	int64_t to = ms_of(X509_get0_notAfter(x)), now = r->rules->now_ms;
	char name[128], at[STR_TIME_MAX];
	int bits = 0;

	name_of(X509_get_subject_name(x), name);
	if (now >= to)
		fault(r, "tlscert", "the certificate of %s expired at %s", name,
		    str_time(at, to));
	else if (now < from)
		fault(r, "tlscert",
		    "the certificate of %s is not valid before %s", name,
		    str_time(at, from));
	/* A root's own signature is not looked at by anybody. */
	if (X509_get_signature_info(x, NULL, NULL, &bits, NULL) == 1 &&
	    bits < SECURITY_BITS_MIN && !is_self_signed(x))
		fault(r, "tlscert",
		    "the certificate of %s is signed in a way that is no "
		    "longer safe (%s)",
		    name, OBJ_nid2ln(X509_get_signature_nid(x)));
}

/* The names that a certificate is for, "a, b", as many as fit. */
static void
list_names(X509 *leaf, char *out, size_t size)
{
	GENERAL_NAMES *list =
	    X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	char one[128];
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(list, i);

		if (gn->type != GEN_DNS)
			continue;
		str_printable(one, sizeof(one),
		    (const char *)ASN1_STRING_get0_data(gn->d.dNSName),
		    (size_t)ASN1_STRING_length(gn->d.dNSName));
		if (at + strlen(one) + 8 > size) {
			snprintf(out + at, size - at, ", ...");
			break;
		}
		at += (size_t)snprintf(
		    out + at, size - at, "%s%s", at > 0 ? ", " : "", one);
	}
	GENERAL_NAMES_free(list);
}

/* Where the issuer's certificate is, as the leaf says; "" when it does not. */
static void
issuer_url(X509 *leaf, char *out, size_t size)
{
	AUTHORITY_INFO_ACCESS *list =
	    X509_get_ext_d2i(leaf, NID_info_access, NULL, NULL);

	out[0] = '\0';
	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(list); i++) {
		const ACCESS_DESCRIPTION *d =
		    sk_ACCESS_DESCRIPTION_value(list, i);
		const ASN1_IA5STRING *url;

		if (OBJ_obj2nid(d->method) != NID_ad_ca_issuers ||
		    d->location->type != GEN_URI)
			continue;
		url = d->location->d.uniformResourceIdentifier;
		str_printable(out, size,
		    (const char *)ASN1_STRING_get0_data(url),
		    (size_t)ASN1_STRING_length(url));
		break;
	}
	AUTHORITY_INFO_ACCESS_free(list);
}

static void
check_complete(struct reading *r, X509 *leaf)
{
	X509 *last = sk_X509_value(r->chain, sk_X509_num(r->chain) - 1);
	char issuer[128], url[200];

	name_of(X509_get_issuer_name(last), issuer);
	issuer_url(leaf, url, sizeof(url));
	r->out->self_signed = is_self_signed(leaf);
	if (r->out->self_signed)
		snprintf(r->out->note, sizeof(r->out->note),
		    "it is self-signed: browsers will warn");
	else if (last == leaf && url[0] != '\0')
		fault(r, "tlscert",
		    "the intermediate certificate of %s is missing; append it "
		    "(%s, converted to PEM)",
		    issuer, url);
	else if (last == leaf)
		snprintf(r->out->note, sizeof(r->out->note),
		    "it comes without the certificate of its issuer, %s: "
		    "clients must know that one",
		    issuer);
}

static void
check_leaf(struct reading *r, X509 *leaf)
{
	const char *name = r->rules->name;
	char names[NAMES_MAX], issuer[128];
	uint32_t usage = X509_get_extended_key_usage(leaf);

	if (X509_check_ca(leaf) == 1)
		fault(r, "tlscert",
		    "the certificate of %s is a CA's, not a server's; make it "
		    "with \"basicConstraints = CA:FALSE\"",
		    name_of(X509_get_subject_name(leaf), issuer));
	if (usage != UINT32_MAX && (usage & XKU_SSL_SERVER) == 0)
		fault(r, "tlscert",
		    "the certificate is not for servers: its extended key "
		    "usage lacks serverAuth");
	if (name == NULL || cert_covers(&r->out->cert, name))
		return;
	list_names(leaf, names, sizeof(names));
	if (names[0] != '\0')
		fault(r, "tlscert", "does not cover %s; it covers %s", name,
		    names);
	else
		fault(r, "tlscert",
		    "does not cover %s: it has no subjectAltName, which is "
		    "where clients look for names",
		    name);
}

static void
check_size(struct reading *r)
{
	size_t need = strlen(r->out->key_pem) + strlen(r->out->cert.chain) +
	              PUSH_OVERHEAD;

	if (need > (size_t)r->rules->bufsize)
		fault(r, "tlscert",
		    "certificates and key need %zu bytes in HAProxy, whose "
		    "buffers have %d here; leave out what clients have "
		    "themselves (the root), or use an ECDSA key, or ask the "
		    "operator to raise tune.bufsize",
		    need, r->rules->bufsize);
}

/* Write the chain anew and read it as every other certificate is read. */
static void
write_chain(struct reading *r)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct err e = { 0 };
	char *p = NULL;
	long len;

	if (bio == NULL)
		abort();
	for (int i = 0; i < sk_X509_num(r->chain); i++)
		if (PEM_write_bio_X509(bio, sk_X509_value(r->chain, i)) != 1)
			abort();
	len = BIO_get_mem_data(bio, &p);
	if (cert_parse(&r->out->cert, p, (size_t)len, &e) == -1)
		fault(r, "tlscert", "cannot be used: %s", e.text);
	BIO_free(bio);
}

static void
check(struct reading *r)
{
	X509 *leaf = sk_X509_value(r->chain, 0);
	char subject[256];
	struct err e = { 0 };

	write_key(r);
	write_chain(r);
	if (r->faults > 0)
		return;
	if (X509_NAME_oneline(
		X509_get_subject_name(leaf), subject, sizeof(subject)) == NULL)
		subject[0] = '\0';
	str_printable(
	    r->out->subject, sizeof(r->out->subject), subject, strlen(subject));
	for (int i = 0; i < sk_X509_num(r->chain); i++)
		check_one(r, sk_X509_value(r->chain, i));
	check_leaf(r, leaf);
	check_complete(r, leaf);
	check_size(r);
	/* The nodes ask this before they serve it: so it is asked here. */
	if (r->faults == 0 && r->rules->name != NULL &&
	    cert_check(&r->out->cert, r->out->key_pem, r->rules->name,
		r->rules->now_ms, &e) == -1)
		fault(r, "tlscert", "cannot be served: %s", e.text);
}

int
custom_read(struct custom *out, const char *cert_pem, const char *key_pem,
    const struct custom_rules *rules, custom_fault_fn *fn, void *arg)
{
	struct reading r = { .out = out,
		.rules = rules,
		.fn = fn,
		.arg = arg,
		.given = sk_X509_new_null(),
		.chain = sk_X509_new_null() };

	*out = (struct custom){ 0 };
	take_certificates(&r, cert_pem);
	take_key(&r, key_pem);
	if (r.faults == 0)
		put_in_order(&r);
	if (r.faults == 0)
		check(&r);
	sk_X509_free(r.chain);
	sk_X509_pop_free(r.given, X509_free);
	EVP_PKEY_free(r.key);
	ERR_clear_error();
	return r.faults > 0 ? -1 : 0;
}
