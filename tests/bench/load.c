/*
 * Many domains for a benchmark, as the library's own calls in Redis's protocol
 * on standard output: added, issued, proven, with real certificates sealed by
 * the ring of the configuration.
 *
 *	load CERTFLEET.CONF FIRST COUNT DUE
 *
 * Names are d0.example.com and so on.  DUE of them are due now, the others
 * within their next sixty days.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/redis_keys.h"
#include "common/seal.h"
#include "common/str.h"
#include "sync/bundle.h"
#include "sync/cert.h"

#define DAY_MS (86400LL * 1000)
#define APPS 500
#define ARGS_MAX 256
#define LEAF_PADDING 700 /* what Let's Encrypt's certificates have more */
#define CA_PADDING 500

static const struct conf *conf;
static const struct seal_ring *ring;
static EVP_PKEY *ca_key, *leaf_key;
static X509 *ca;
static char *ca_pem, *leaf_pem;

/* A command being made; text is copied. */
static struct {
	char *text[ARGS_MAX];
	size_t len[ARGS_MAX];
	size_t n;
} cmd;

static void
arg_mem(const void *p, size_t len)
{
	cmd.text[cmd.n] = xmemdup0(p, len);
	cmd.len[cmd.n++] = len;
}

static void
arg(const char *text)
{
	arg_mem(text, strlen(text));
}

static void
arg_int(int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)v);
	arg(text);
}

static void
send(void)
{
	printf("*%zu\r\n", cmd.n);
	for (size_t i = 0; i < cmd.n; i++) {
		printf("$%zu\r\n", cmd.len[i]);
		fwrite(cmd.text[i], 1, cmd.len[i], stdout);
		fputs("\r\n", stdout);
		free(cmd.text[i]);
	}
	cmd.n = 0;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void
key(const char *format, const char *name)
{
	char text[KEY_MAX];

	snprintf(text, sizeof(text), format, conf->redis.prefix, 0, name);
	arg(text);
}

static void
flat_key(const char *format, const char *name)
{
	char text[KEY_MAX];

	snprintf(text, sizeof(text), format, conf->redis.prefix, name);
	arg(text);
}
#pragma GCC diagnostic pop

static void
function(const char *name, int nkeys)
{
	arg("FCALL");
	arg(name);
	arg_int(nkeys);
}

static size_t nfields;

static void
put_field(void *unused, const char *field, const char *value)
{
	(void)unused;
	arg(field);
	arg(value);
	nfields++;
}

/* How many fields there are, then the fields. */
static void
counted_fields(const struct domain *d)
{
	size_t at = cmd.n;
	char text[24];

	arg("");
	nfields = 0;
	domain_each(d, put_field, NULL);
	free(cmd.text[at]);
	snprintf(text, sizeof(text), "%zu", nfields);
	cmd.text[at] = xstrdup(text);
	cmd.len[at] = strlen(text);
}

/* --- certificates ----------------------------------------------------------- */

static void
pad(X509 *x, size_t len)
{
	ASN1_OCTET_STRING *s = ASN1_OCTET_STRING_new();
	uint8_t bytes[LEAF_PADDING] = { 0 };
	ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);
	X509_EXTENSION *e;

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)loop_random(256);
	ASN1_OCTET_STRING_set(s, bytes, (int)len);
	e = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, s);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	ASN1_OBJECT_free(oid);
	ASN1_OCTET_STRING_free(s);
}

static X509 *
make(const char *cn, const char *san, const char *basic, EVP_PKEY *pkey,
    X509 *issuer, size_t padding)
{
	static long serial = 1;
	X509 *x = X509_new();
	X509_EXTENSION *e;

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	X509_gmtime_adj(X509_getm_notAfter(x), 89 * 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(
	    x, X509_get_subject_name(issuer != NULL ? issuer : x));
	X509_set_pubkey(x, pkey);
	e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, basic);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	if (san != NULL) {
		e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	pad(x, padding);
	if (X509_sign(x, ca_key, EVP_sha256()) == 0)
		abort();
	return x;
}

static char *
pem_of(X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p, *text;
	long len;

	PEM_write_bio_X509(bio, x);
	len = BIO_get_mem_data(bio, &p);
	text = xmemdup0(p, (size_t)len);
	BIO_free(bio);
	return text;
}

static EVP_PKEY *
read_key(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return pkey;
}

static void
make_cas(void)
{
	char *pem = cert_key_new();

	ca_key = read_key(pem);
	mem_wipe_free(pem);
	leaf_pem = cert_key_new();
	leaf_key = read_key(leaf_pem);
	ca =
	    make("Load CA", NULL, "critical,CA:TRUE", ca_key, NULL, CA_PADDING);
	ca_pem = pem_of(ca);
}

static void
issue(const char *name, struct cert *cert, struct buf *bundle)
{
	char san[DOMAIN_NAME_MAX + 8];
	struct err e;
	char *leaf, *chain;
	X509 *x;

	snprintf(san, sizeof(san), "DNS:%s", name);
	x = make(name, san, "critical,CA:FALSE", leaf_key, ca, LEAF_PADDING);
	leaf = pem_of(x);
	chain = xasprintf("%s%s", leaf, ca_pem);
	X509_free(x);
	free(leaf);
	if (cert_parse(cert, chain, strlen(chain), &e) == -1 ||
	    bundle_pack(ring, name, cert, leaf_pem, bundle, &e) == -1) {
		fprintf(stderr, "%s: %s\n", name, e.text);
		exit(1);
	}
	free(chain);
}

/* --- one domain --------------------------------------------------------------- */

static void
add(const struct domain *d)
{
	arg("SADD");
	flat_key(KEY_APPS, "");
	arg(d->app);
	send();
	arg("SADD");
	flat_key(KEY_APP, d->app);
	arg(d->name);
	send();
	function("certfleet_add", 5);
	key(KEY_DOMAIN, d->name);
	key(KEY_DUE, NULL);
	key(KEY_EVENTS, NULL);
	key(KEY_REMOVED, NULL);
	key(KEY_TIMELINE, d->name);
	arg(d->name);
	arg("now");
	domain_each(d, put_field, NULL);
	send();
}

static void
commit(const struct domain *d, const struct buf *bundle)
{
	function("certfleet_commit", 8);
	key(KEY_DOMAIN, d->name);
	key(KEY_CERT, d->name);
	key(KEY_ORDER, d->name);
	key(KEY_DUE, NULL);
	key(KEY_INDEX, NULL);
	key(KEY_GEN, NULL);
	key(KEY_EVENTS, NULL);
	key(KEY_TIMELINE, d->name);
	arg_int(1);
	arg(d->name);
	arg(d->sha1);
	arg_int(d->not_after);
	arg_int(d->next_at);
	arg("");
	arg_mem(bundle->p, bundle->len);
	counted_fields(d);
	send();
}

static void
prove(const struct domain *d)
{
	function("certfleet_update", 4);
	key(KEY_DOMAIN, d->name);
	key(KEY_DUE, NULL);
	key(KEY_EVENTS, NULL);
	key(KEY_TIMELINE, d->name);
	arg_int(1);
	arg(d->name);
	arg_int(d->next_at);
	arg("status");
	counted_fields(d);
	send();
}

static void
load(int64_t i, bool due)
{
	struct domain d;
	struct cert cert;
	struct buf bundle;
	int64_t now = loop_wall_ms();

	domain_init(&d);
	buf_init(&bundle, BUNDLE_MAX);
	snprintf(d.name, sizeof(d.name), "d%lld.example.com", (long long)i);
	snprintf(d.app, sizeof(d.app), "app-%lld", (long long)i % APPS);
	snprintf(
	    d.reason, sizeof(d.reason), "its DNS has not been checked yet");
	d.created_at = d.status_at = now;
	add(&d);
	issue(d.name, &cert, &bundle);
	memcpy(d.serial, cert.serial, sizeof(d.serial));
	memcpy(d.sha1, cert.sha1, sizeof(d.sha1));
	memcpy(d.issuer, cert.issuer, sizeof(d.issuer));
	d.not_before = cert.not_before;
	d.not_after = cert.not_after;
	d.status = DOMAIN_CREATING;
	d.next_at = d.renew_at =
	    due ? now : now + DAY_MS + (int64_t)loop_random(58 * 86400) * 1000;
	commit(&d, &bundle);
	d.status = DOMAIN_IN_USE;
	d.version = d.proven = 1;
	d.gen = i + 1;
	snprintf(d.reason, sizeof(d.reason), "served by 1 node");
	prove(&d);
	cert_clear(&cert);
	buf_clear(&bundle);
	domain_clear(&d);
}

int
main(int argc, char **argv)
{
	int64_t first, count, due;
	struct conf *loaded;
	struct err e;

	if (argc != 5 || str_int(argv[2], 0, INT64_MAX, &first) == -1 ||
	    str_int(argv[3], 1, 10000000, &count) == -1 ||
	    str_int(argv[4], 0, count, &due) == -1) {
		fprintf(stderr, "usage: load CONF FIRST COUNT DUE\n");
		return 2;
	}
	conf = loaded = conf_load(argv[1], &e);
	if (conf == NULL ||
	    (ring = seal_ring_load(conf->kek_file, &e)) == NULL) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	make_cas();
	for (int64_t i = 0; i < count; i++)
		load(first + i, i < due);
	return fflush(stdout) == 0 ? 0 : 1;
}
