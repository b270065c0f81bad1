#include "sync/cert.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/checked.h"
#include "sync/key.h"
#include "sync/pem.h"

#define PEM_MAX (256 * 1024)
#define DER_MAX (32 * 1024) /* of one that is read the quick way */
#define KEY_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define BASE64_CHARS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
#define GRACE_MS (3600 * 1000) /* our clock may be this late */
#define KEPT 32                /* certificates that stay parsed */

void
cert_clear(struct cert *c)
{
	sk_X509_pop_free(c->parsed, X509_free);
	free(c->chain);
	*c = (struct cert){ 0 };
}

/*
 * To parse a certificate is to find decoders again (see sync/key.c).  The
 * few that issue all others come again and again, and a new one twice in a row:
 * for the leader, then for its own node.  So the newest are kept, by their DER.
 */
static X509 *
parsed_get(const uint8_t *der, long len)
{
	static struct {
		X509 *x;
		uint8_t *der;
		long len;
		uint64_t used;
	} kept[KEPT], *it, *oldest;
	static uint64_t now;
	const uint8_t *p = der;
	X509 *x;

	oldest = kept;
	now++;
	for (it = kept; it < kept + KEPT; it++) {
		if (it->len == len && memcmp(it->der, der, (size_t)len) == 0) {
			it->used = now;
			X509_up_ref(it->x);
			return it->x;
		}
		if (it->used < oldest->used)
			oldest = it;
	}
	x = X509_new_ex(crypto_context(), NULL);
	if (x == NULL)
		abort();
	if (d2i_X509(&x, &p, len) == NULL) {
		X509_free(x);
		return NULL;
	}
	X509_free(oldest->x);
	free(oldest->der);
	oldest->x = x;
	oldest->der = (uint8_t *)xmemdup0(der, (size_t)len);
	oldest->len = len;
	oldest->used = now;
	X509_up_ref(x);
	return x;
}

/* The next certificate of a PEM; NULL: there is none, or it is damaged. */
static X509 *
chain_next(BIO *bio)
{
	unsigned char *der = NULL;
	X509 *x;
	long len;

	if (PEM_bytes_read_bio(&der, &len, NULL, PEM_STRING_X509, bio,
		key_no_passphrase, NULL) != 1)
		return NULL;
	x = parsed_get(der, len);
	OPENSSL_free(der);
	return x;
}

/* A chain in the usual form; false: OpenSSL is to look at it. */
static bool
chain_plain(STACK_OF(X509) * chain, const char *pem, size_t len)
{
	uint8_t *der = xmalloc(DER_MAX);
	X509 *x = NULL;
	ptrdiff_t n;

	while (!pem_at_end(pem, len) && sk_X509_num(chain) <= CERT_CHAIN_MAX) {
		n = pem_take(&pem, &len, der, DER_MAX);
		x = n > 0 ? parsed_get(der, (long)n) : NULL;
		if (x == NULL || sk_X509_push(chain, x) == 0)
			break;
	}
	free(der);
	return x != NULL && pem_at_end(pem, len) &&
	       sk_X509_num(chain) <= CERT_CHAIN_MAX;
}

static void
chain_empty(STACK_OF(X509) * chain)
{
	while (sk_X509_num(chain) > 0)
		X509_free(sk_X509_pop(chain));
}

/*
 * Read a PEM chain; NULL when it is none, too long, or a certificate in it is
 * damaged.  What OpenSSL leaves in its error queue would be taken for an error
 * of the next TLS connection, so it is emptied.
 */
static STACK_OF(X509) * chain_read(const char *pem, size_t len, struct err *e)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	unsigned long why = 0;
	BIO *bio;
	X509 *x;

	ERR_clear_error();
	if (len <= PEM_MAX && chain_plain(chain, pem, len))
		return chain;
	chain_empty(chain);
	ERR_clear_error();
	bio = BIO_new_mem_buf(pem, len <= PEM_MAX ? (int)len : 0);
	while (bio != NULL && sk_X509_num(chain) <= CERT_CHAIN_MAX) {
		x = chain_next(bio);
		if (x == NULL || sk_X509_push(chain, x) == 0) {
			why = ERR_peek_last_error();
			break;
		}
	}
	BIO_free(bio);
	ERR_clear_error();
	if (sk_X509_num(chain) > CERT_CHAIN_MAX)
		err_set(e, ERR_BUG,
		    "chain has more than %d certificates; at most %d are "
		    "accepted",
		    CERT_CHAIN_MAX, CERT_CHAIN_MAX);
	else if (ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		err_set(e, ERR_BUG, "certificate %d of the chain is damaged",
		    sk_X509_num(chain) + 1);
	else if (sk_X509_num(chain) == 0)
		err_set(e, ERR_BUG, "there is no PEM certificate in it");
	else
		return chain;
	sk_X509_pop_free(chain, X509_free);
	return NULL;
}

static char *
chain_write(STACK_OF(X509) * chain)
{
	uint8_t *der;
	struct buf pem;
	int len;

	buf_init(&pem, 2 * PEM_MAX);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		der = NULL;
		len = i2d_X509(sk_X509_value(chain, i), &der);
		if (len <= 0)
			abort();
		pem_put(&pem, der, (size_t)len);
		OPENSSL_free(der);
	}
	return buf_take(&pem);
}

static int
time_ms(const ASN1_TIME *t, int64_t *ms)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return -1;
	*ms = (int64_t)timegm(&tm) * 1000;
	return 0;
}

/* The issuer's common name, or its organization when it has none. */
static void
take_issuer(struct cert *c, X509 *leaf)
{
	X509_NAME *name = X509_get_issuer_name(leaf);
	unsigned char *utf8 = NULL;
	int at, len;

	at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at < 0)
		at = X509_NAME_get_index_by_NID(name, NID_organizationName, -1);
	if (at < 0)
		return;
	len = ASN1_STRING_to_UTF8(
	    &utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (len > 0)
		str_printable(c->issuer, sizeof(c->issuer), (const char *)utf8,
		    (size_t)len);
	OPENSSL_free(utf8);
}

static int
take_leaf(struct cert *c, X509 *leaf, struct err *e)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	int n = ASN1_STRING_length(serial);

	/* RFC 5280 section 4.1.2.2: at most 20 octets. */
	if (n <= 0 || (size_t)n * 2 >= sizeof(c->serial))
		return err_set(e, ERR_BUG,
		    "serial number has %d bytes; at most 20 are allowed", n);
	str_hex(c->serial, ASN1_STRING_get0_data(serial), (size_t)n);
	if (X509_digest(leaf, EVP_sha1(), hash, &len) != 1 ||
	    (size_t)len * 2 >= sizeof(c->sha1))
		return err_set(e, ERR_BUG, "certificate has no fingerprint");
	str_hex(c->sha1, hash, len);
	if (time_ms(X509_get0_notBefore(leaf), &c->not_before) == -1 ||
	    time_ms(X509_get0_notAfter(leaf), &c->not_after) == -1)
		return err_set(e, ERR_BUG, "certificate has no usable dates");
	take_issuer(c, leaf);
	return 0;
}

int
cert_parse(struct cert *c, const char *pem, size_t len, struct err *e)
{
	STACK_OF(X509) *chain = chain_read(pem, len, e);
	int rc;

	*c = (struct cert){ 0 };
	if (chain == NULL)
		return -1;
	rc = take_leaf(c, sk_X509_value(chain, 0), e);
	if (rc == 0) {
		c->length = (size_t)sk_X509_num(chain);
		c->chain = chain_write(chain);
		c->parsed = chain;
	} else {
		sk_X509_pop_free(chain, X509_free);
		cert_clear(c);
	}
	return rc;
}

/* X509_check_host() says what covers a host; a wildcard must be there itself. */
static int
covers(X509 *leaf, const char *name)
{
	GENERAL_NAMES *list;
	int found = 0;

	if (!str_has_prefix(name, "*."))
		return X509_check_host(leaf, name, strlen(name),
			   X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
			       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
			   NULL) == 1;
	list = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
		const GENERAL_NAME *gn = sk_GENERAL_NAME_value(list, i);
		const ASN1_STRING *s;

		if (gn->type != GEN_DNS)
			continue;
		s = gn->d.dNSName;
		if ((size_t)ASN1_STRING_length(s) == strlen(name) &&
		    strncasecmp((const char *)ASN1_STRING_get0_data(s), name,
			strlen(name)) == 0)
			found = 1;
	}
	GENERAL_NAMES_free(list);
	return found;
}

/* Each certificate signed by the next; the last may be a root or not. */
static int
check_chain(STACK_OF(X509) * chain, struct err *e)
{
	for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
		X509 *x = sk_X509_value(chain, i);
		X509 *issuer = sk_X509_value(chain, i + 1);

		if (X509_check_issued(issuer, x) != X509_V_OK)
			return err_set(e, ERR_BUG,
			    "certificate %d of the chain is not issued by the "
			    "one behind it",
			    i + 1);
		if (X509_check_ca(issuer) == 0)
			return err_set(e, ERR_BUG,
			    "certificate %d of the chain is no CA's", i + 2);
		if (X509_verify(x, X509_get0_pubkey(issuer)) != 1)
			return err_set(e, ERR_BUG,
			    "certificate %d of the chain is not signed by the "
			    "one behind it",
			    i + 1);
	}
	return 0;
}

static int
check_dates(const struct cert *c, int64_t now_ms, struct err *e)
{
	char at[STR_TIME_MAX];

	if (c->not_after <= c->not_before)
		return err_set(e, ERR_BUG, "certificate ends before it begins");
	if (now_ms == CERT_ANY_TIME)
		return 0;
	if (now_ms < c->not_before - GRACE_MS)
		return err_set(e, ERR_BUG, "certificate is not valid before %s",
		    str_time(at, c->not_before));
	if (now_ms >= c->not_after)
		return err_set(e, ERR_BUG, "certificate expired at %s",
		    str_time(at, c->not_after));
	return 0;
}

/* The usual case, without reading the key: a P-256 key with this very point. */
static bool
same_point(X509 *leaf, const char *key_pem)
{
	const ASN1_OBJECT *kind, *curve;
	uint8_t point[KEY_P256_POINT];
	const uint8_t *its;
	const void *value;
	X509_ALGOR *algorithm;
	ASN1_OBJECT *object;
	int len, type;

	if (X509_get0_pubkey(leaf) == NULL ||
	    X509_PUBKEY_get0_param(&object, &its, &len, &algorithm,
		X509_get_X509_PUBKEY(leaf)) != 1)
		return false;
	X509_ALGOR_get0(&kind, &type, &value, algorithm);
	curve = type == V_ASN1_OBJECT ? value : NULL;
	return OBJ_obj2nid(kind) == NID_X9_62_id_ecPublicKey && curve != NULL &&
	       OBJ_obj2nid(curve) == NID_X9_62_prime256v1 &&
	       len == KEY_P256_POINT && key_p256_point(key_pem, point) &&
	       memcmp(its, point, KEY_P256_POINT) == 0;
}

static int
check_key(X509 *leaf, const char *key_pem, struct err *e)
{
	EVP_PKEY *pkey;
	int matches;

	if (same_point(leaf, key_pem))
		return 0;
	pkey = key_read(key_pem, e);
	if (pkey == NULL)
		return -1;
	matches = X509_check_private_key(leaf, pkey);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	if (matches == 1)
		return 0;
	return err_set(
	    e, ERR_BUG, "private key does not match the certificate");
}

static int
check_leaf(X509 *leaf, const char *key_pem, const char *name, struct err *e)
{
	if (check_key(leaf, key_pem, e) == -1)
		return -1;
	if (X509_check_ca(leaf) == 1)
		return err_set(
		    e, ERR_BUG, "certificate is a CA's, not one for a server");
	if (!covers(leaf, name))
		return err_set(
		    e, ERR_BUG, "certificate does not cover %s", name);
	return 0;
}

int
cert_check(const struct cert *c, const char *key_pem, const char *name,
    int64_t now_ms, struct err *e)
{
	STACK_OF(X509) *chain = c->parsed;
	uint8_t digest[CHECKED_LEN];

	checked_digest(digest, c->chain, key_pem, name);
	if (!checked_before(digest)) {
		if (check_leaf(sk_X509_value(chain, 0), key_pem, name, e) ==
			-1 ||
		    check_chain(chain, e) == -1) {
			ERR_clear_error();
			return -1;
		}
		checked_remember(digest);
		ERR_clear_error();
	}
	return check_dates(c, now_ms, e);
}

bool
cert_covers(const struct cert *c, const char *name)
{
	struct err e;
	STACK_OF(X509) *chain = chain_read(c->chain, strlen(c->chain), &e);
	bool so = chain != NULL && covers(sk_X509_value(chain, 0), name);

	sk_X509_pop_free(chain, X509_free);
	return so;
}

/* Exactly what key_write() writes: one block, nothing in it but base64. */
static bool
key_is_plain(const char *pem)
{
	const char *end = strstr(pem, "-----END PRIVATE KEY-----\n");
	size_t head = strlen(KEY_BEGIN), line;

	if (end == NULL || !str_has_prefix(pem, KEY_BEGIN) ||
	    strcmp(strchr(end, '\n'), "\n") != 0)
		return false;
	for (pem += head; pem < end; pem += line + 1) {
		line = strspn(pem, BASE64_CHARS);
		if (line == 0 || line > 64 || pem[line] != '\n')
			return false;
	}
	return true;
}

/* The key is written anew too: not a byte of the file is anyone else's. */
char *
cert_pem(const struct cert *c, const char *key_pem)
{
	struct err e;
	EVP_PKEY *pkey;
	char *key, *pem;

	if (key_is_plain(key_pem))
		return xasprintf("%s%s", key_pem, c->chain);
	pkey = key_read(key_pem, &e);

	if (pkey == NULL)
		abort(); /* cert_check() has read it */
	key = key_write(pkey);
	EVP_PKEY_free(pkey);
	pem = xasprintf("%s%s", key, c->chain);
	mem_wipe_free(key);
	return pem;
}
