#include "common/crypto.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>

#define QUICK_SINCE 0x30200000UL /* decoders are found once, and kept */
#define KEPT_MAX 16

/*
 * A provider that is OpenSSL's default one, less what it could do besides.  It
 * counts all: to find one reader of keys is to walk over every cipher.  Of what
 * is not listed all is kept; form is a part of its properties.
 */
static OSSL_PROVIDER *whole;
static struct list {
	int operation;
	const char *form, *names[KEPT_MAX];
	OSSL_ALGORITHM kept[KEPT_MAX + 1];
} lists[] = {
	{ OSSL_OP_DECODER, "structure=SubjectPublicKeyInfo",
	    { "EC", "RSA", "RSA-PSS", "ED25519", "ED448", "DER" }, { { 0 } } },
	{ OSSL_OP_KEYMGMT, "",
	    { "EC", "RSA", "RSA-PSS", "ED25519", "ED448", "X25519", "DH",
		"HKDF", "TLS1-PRF", "HMAC" },
	    { { 0 } } },
	{ OSSL_OP_DIGEST, "",
	    { "MD5", "MD5-SHA1", "SHA1", "SHA2-224", "SHA2-256", "SHA2-384",
		"SHA2-512", "SHA3-256", "SHA3-384", "SHA3-512", "SHAKE-256" },
	    { { 0 } } },
	{ OSSL_OP_CIPHER, "",
	    { "AES-128-GCM", "AES-256-GCM", "AES-128-CBC", "AES-256-CBC",
		"ChaCha20-Poly1305", "AES-256-CTR" },
	    { { 0 } } },
	{ OSSL_OP_MAC, "", { "HMAC" }, { { 0 } } },
	{ OSSL_OP_KDF, "", { "HKDF", "TLS13-KDF", "TLS1-PRF" }, { { 0 } } },
	{ OSSL_OP_ENCODER, "", { NULL }, { { 0 } } },
	{ OSSL_OP_STORE, "", { NULL }, { { 0 } } },
};
#define NLISTS (sizeof(lists) / sizeof(lists[0]))

static const OSSL_ALGORITHM *
query(void *ctx, int operation, int *no_cache)
{
	(void)ctx;
	for (size_t i = 0; i < NLISTS; i++)
		if (lists[i].operation == operation) {
			*no_cache = 0;
			return lists[i].kept;
		}
	return OSSL_PROVIDER_query_operation(whole, operation, no_cache);
}

/* The groups that TLS can use. */
static int
capabilities(void *ctx, const char *which, OSSL_CALLBACK *fn, void *arg)
{
	(void)ctx;
	return OSSL_PROVIDER_get_capabilities(whole, which, fn, arg);
}

static void
teardown(void *ctx)
{
	(void)ctx; /* it is the whole one's */
}

static const OSSL_DISPATCH dispatch[] = {
	{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
	{ OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities },
	{ OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown },
	{ 0, NULL },
};

static int
begin(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **out, void **ctx)
{
	(void)handle, (void)in;
	*out = dispatch;
	*ctx = OSSL_PROVIDER_get0_provider_ctx(whole);
	return 1;
}

/* By the first of "EC:id-ecPublicKey:1.2.840.10045.2.1". */
static bool
is_kept(const struct list *l, const OSSL_ALGORITHM *a)
{
	size_t len = strcspn(a->algorithm_names, ":");

	if (strstr(a->property_definition, l->form) == NULL)
		return false;
	for (size_t i = 0; i < KEPT_MAX && l->names[i] != NULL; i++)
		if (strlen(l->names[i]) == len &&
		    strncmp(l->names[i], a->algorithm_names, len) == 0)
			return true;
	return false;
}

static void
fill(struct list *l)
{
	const OSSL_ALGORITHM *a;
	int no_cache;
	size_t n = 0;

	a = OSSL_PROVIDER_query_operation(whole, l->operation, &no_cache);
	for (; a != NULL && a->algorithm_names != NULL && n < KEPT_MAX; a++)
		if (is_kept(l, a))
			l->kept[n++] = *a;
}

static OSSL_LIB_CTX *
make(void)
{
	OSSL_LIB_CTX *ctx;

	whole = OSSL_PROVIDER_load(NULL, "default");
	if (whole == NULL)
		return NULL;
	for (size_t i = 0; i < NLISTS; i++)
		fill(&lists[i]);
	ctx = OSSL_LIB_CTX_new();
	if (ctx != NULL &&
	    (OSSL_PROVIDER_add_builtin(ctx, "certificates", begin) != 1 ||
		OSSL_PROVIDER_load(ctx, "certificates") == NULL)) {
		OSSL_LIB_CTX_free(ctx);
		ctx = NULL;
	}
	ERR_clear_error();
	return ctx;
}

OSSL_LIB_CTX *
crypto_context(void)
{
	static OSSL_LIB_CTX *ctx;
	static bool made;

	if (!made && OpenSSL_version_num() < QUICK_SINCE)
		ctx = make();
	made = true;
	return ctx;
}
