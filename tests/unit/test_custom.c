#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/loop.h"
#include "sync/custom.h"
#include "tests/unit/made.h"

#define NAME "www.shop.example"
#define SAN "DNS:" NAME
#define AIA "caIssuers;URI:http://ca.example/inter.der"

/* root -> inter -> leaf, and what does not belong. */
static struct made root, inter, other, leaf;

static int
make_all(void **state)
{
	(void)state;
	root = made_cert((struct make){ .cn = "root", .ca = 1 });
	inter =
	    made_cert((struct make){ .cn = "inter", .ca = 1, .issuer = &root });
	other =
	    made_cert((struct make){ .cn = "other", .ca = 1, .issuer = &root });
	leaf = made_cert((struct make){ .cn = NAME,
	    .san = SAN ", DNS:*.cdn.example",
	    .issuer = &inter,
	    .aia = AIA,
	    .eku = "serverAuth" });
	return 0;
}

static int
clear_all(void **state)
{
	(void)state;
	made_clear(&root);
	made_clear(&inter);
	made_clear(&other);
	made_clear(&leaf);
	return 0;
}

static char said[4096];

static void
note(void *arg, const char *field, const char *sentence)
{
	size_t at = strlen(said);

	(void)arg;
	snprintf(said + at, sizeof(said) - at, "%s %s\n", field, sentence);
}

static int
upload(struct custom *c, const char *cert, const char *key, const char *name,
    int bufsize)
{
	struct custom_rules rules = { name, bufsize, loop_wall_ms() };

	said[0] = '\0';
	return custom_read(c, cert, key, &rules, note, NULL);
}

/* Upload these with the key of first; returns what was said, "" if taken. */
#define CHAIN(...) ((const struct made *const[]){ __VA_ARGS__, NULL })
static const char *
try_key(struct custom *c, const struct made *const *list, EVP_PKEY *key)
{
	char *cert = made_pem(list), *pem = made_key(key, NULL);
	int rc = upload(c, cert, pem, NAME, 16384);

	assert_int_equal(rc, said[0] == '\0' ? 0 : -1);
	free(cert);
	free(pem);
	return said;
}

/* The same, where only the sentence matters. */
static void
refused(const struct made *const *list, EVP_PKEY *key, const char *why)
{
	struct custom c;

	if (strstr(try_key(&c, list, key), why) == NULL)
		fail_msg("\"%s\" is not in: %s", why, said);
	custom_clear(&c);
}

static void
a_good_chain_is_taken_and_described(void **state)
{
	struct custom c;

	(void)state;
	assert_string_equal(try_key(&c, CHAIN(&leaf, &inter), leaf.key), "");
	assert_int_equal(c.cert.length, 2);
	assert_string_equal(c.subject, "/CN=" NAME);
	assert_string_equal(c.key, "EC private key - 256 bits");
	assert_string_equal(c.cert.issuer, "inter");
	assert_string_equal(c.note, "");
	assert_non_null(strstr(c.key_pem, "BEGIN PRIVATE KEY"));
	custom_clear(&c);
	custom_clear(&c);
}

/* Whatever order they came in, and given twice or not: the chain is one. */
static void
a_chain_in_disorder_is_put_in_order(void **state)
{
	struct custom c, again;

	(void)state;
	assert_string_equal(
	    try_key(&c, CHAIN(&leaf, &inter, &root), leaf.key), "");
	assert_string_equal(
	    try_key(
		&again, CHAIN(&root, &inter, &root, &leaf, &inter), leaf.key),
	    "");
	assert_int_equal(again.cert.length, 3);
	assert_string_equal(c.cert.chain, again.cert.chain);
	custom_clear(&c);
	custom_clear(&again);
}

static void
what_does_not_belong_is_named(void **state)
{
	(void)state;
	refused(CHAIN(&leaf, &other, &inter), leaf.key,
	    "tlscert certificate 2 (other) does not belong to the chain");
	refused(CHAIN(&leaf, &root), leaf.key,
	    "(root) does not belong to the chain; after it comes that of "
	    "inter");
}

static void
the_key_must_be_that_of_a_certificate(void **state)
{
	(void)state;
	refused(CHAIN(&leaf, &inter), other.key,
	    "tlskey matches no certificate in tlscert; it must be the key "
	    "of " NAME);
}

static void
a_public_cas_leaf_alone_is_incomplete(void **state)
{
	struct made bare = made_cert(
	    (struct make){ .cn = NAME, .san = SAN, .issuer = &inter });
	struct made self = made_cert((struct make){ .cn = NAME, .san = SAN });
	struct custom c;

	(void)state;
	refused(CHAIN(&leaf), leaf.key,
	    "the intermediate certificate of inter is missing; append it "
	    "(http://ca.example/inter.der");
	assert_string_equal(try_key(&c, CHAIN(&bare), bare.key), "");
	assert_non_null(
	    strstr(c.note, "without the certificate of its issuer"));
	custom_clear(&c);
	assert_string_equal(try_key(&c, CHAIN(&self), self.key), "");
	assert_non_null(strstr(c.note, "self-signed"));
	custom_clear(&c);
	made_clear(&bare);
	made_clear(&self);
}

static void
names_and_uses_must_be_right(void **state)
{
	struct made foreign = made_cert((struct make){ .cn = NAME,
	    .san = "DNS:a.example, DNS:b.example",
	    .issuer = &inter });
	struct made nameless =
	    made_cert((struct make){ .cn = NAME, .issuer = &inter });
	struct made client = made_cert((struct make){
	    .cn = NAME, .san = SAN, .issuer = &inter, .eku = "clientAuth" });
	struct made ca = made_cert(
	    (struct make){ .cn = NAME, .san = SAN, .issuer = &inter, .ca = 1 });

	(void)state;
	refused(CHAIN(&foreign, &inter), foreign.key,
	    "does not cover " NAME "; it covers a.example, b.example");
	refused(CHAIN(&nameless, &inter), nameless.key, "no subjectAltName");
	refused(CHAIN(&client, &inter), client.key, "lacks serverAuth");
	refused(CHAIN(&ca, &inter), ca.key, "is a CA's, not a server's");
	made_clear(&foreign);
	made_clear(&nameless);
	made_clear(&client);
	made_clear(&ca);
}

static void
dates_must_be_right_all_along_the_chain(void **state)
{
	struct made old = made_cert((struct make){ .cn = NAME,
	    .san = SAN,
	    .issuer = &inter,
	    .from_days = -9,
	    .to_days = -1 });
	struct made early = made_cert((struct make){ .cn = NAME,
	    .san = SAN,
	    .issuer = &inter,
	    .from_days = 2,
	    .to_days = 9 });
	struct made dead = made_cert((struct make){ .cn = "dead",
	    .ca = 1,
	    .issuer = &root,
	    .from_days = -9,
	    .to_days = -1 });
	struct made below =
	    made_cert((struct make){ .cn = NAME, .san = SAN, .issuer = &dead });

	(void)state;
	refused(CHAIN(&old, &inter), old.key,
	    "the certificate of " NAME " expired at ");
	refused(CHAIN(&early, &inter), early.key,
	    "the certificate of " NAME " is not valid before ");
	refused(CHAIN(&below, &dead), below.key,
	    "the certificate of dead expired at ");
	made_clear(&old);
	made_clear(&early);
	made_clear(&dead);
	made_clear(&below);
}

static void
keys_are_those_that_browsers_take(void **state)
{
	static const struct {
		const char *type;
		unsigned int bits; /* of RSA */
		const char *curve, *why;
	} cases[] = {
		{ "RSA", 2048, NULL, NULL },
		{ "RSA", 1024, NULL, "RSA key of 1024 bits" },
		{ "EC", 0, "P-384", NULL },
		{ "EC", 0, "P-521", NULL },
		{ "EC", 0, "secp256k1", "on the curve secp256k1" },
		{ "ED25519", 0, NULL, "type ED25519, which browsers do not" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EVP_PKEY *key =
		    cases[i].bits > 0 ? EVP_RSA_gen(cases[i].bits)
		    : cases[i].curve != NULL
			? EVP_EC_gen(cases[i].curve)
			: EVP_PKEY_Q_keygen(NULL, NULL, cases[i].type);
		struct made x = made_cert((struct make){ .cn = NAME,
		    .san = SAN,
		    .issuer = &inter,
		    .stolen_key = key });
		struct custom c;

		if (cases[i].why != NULL) {
			refused(CHAIN(&x, &inter), key, cases[i].why);
		} else {
			assert_string_equal(
			    try_key(&c, CHAIN(&x, &inter), key), "");
			custom_clear(&c);
		}
		made_clear(&x);
	}
}

static void
sha1_is_no_signature(void **state)
{
	struct made x = made_cert((struct make){
	    .cn = NAME, .san = SAN, .issuer = &inter, .md = EVP_sha1() });

	(void)state;
	refused(CHAIN(&x, &inter), x.key, "no longer safe (ecdsa-with-SHA1)");
	made_clear(&x);
}

static void
what_is_no_pem_is_told_apart(void **state)
{
	char *cert = made_pem(CHAIN(&leaf, &inter)), *cut;
	char *key = made_key(leaf.key, NULL);
	char *sealed = made_key(leaf.key, "secret");
	const struct {
		const char *cert, *key, *why;
	} cases[] = {
		{ "hello", key, "tlscert has no certificate in it" },
		{ cert, "hello", "tlskey has no private key in it" },
		{ cert, sealed, "openssl pkey -in key.pem -out plain.pem" },
		{ key, key, "tlscert has no certificate in it" },
		{ cert, cert, "tlskey has no private key in it" },
		{ cert,
		    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE "
		    "KEY-----\n",
		    "tlskey is damaged" },
	};
	struct custom c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
		    upload(&c, cases[i].cert, cases[i].key, NAME, 16384), -1);
		if (strstr(said, cases[i].why) == NULL)
			fail_msg("\"%s\" is not in: %s", cases[i].why, said);
		custom_clear(&c);
	}
	cut = xmemdup0(cert, strlen(cert) - 300);
	assert_int_equal(upload(&c, cut, key, NAME, 16384), -1);
	assert_non_null(strstr(said, "certificate 2 in it is damaged"));
	custom_clear(&c);
	free(cut);
	free(cert);
	free(key);
	free(sealed);
}

/* As operators keep it: one file with everything, the key first or last. */
static void
one_file_with_all_is_understood(void **state)
{
	char *cert = made_pem(CHAIN(&leaf, &inter));
	char *key = made_key(leaf.key, NULL);
	char *first = xasprintf("%s%s", key, cert);
	char *last = xasprintf("%s%s", cert, key);
	struct custom c;

	(void)state;
	assert_int_equal(upload(&c, first, first, NULL, 16384), 0);
	custom_clear(&c);
	assert_int_equal(upload(&c, last, last, NULL, 16384), 0);
	custom_clear(&c);
	free(first);
	free(last);
	free(cert);
	free(key);
}

static void
too_much_for_haproxy_is_told_in_numbers(void **state)
{
	char *cert = made_pem(CHAIN(&leaf, &inter));
	char *key = made_key(leaf.key, NULL);
	struct custom c;

	(void)state;
	assert_int_equal(upload(&c, cert, key, NAME, 1536), -1);
	assert_non_null(strstr(said, "whose buffers have 1536 here"));
	custom_clear(&c);
	free(cert);
	free(key);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_chain_is_taken_and_described),
		cmocka_unit_test(a_chain_in_disorder_is_put_in_order),
		cmocka_unit_test(what_does_not_belong_is_named),
		cmocka_unit_test(the_key_must_be_that_of_a_certificate),
		cmocka_unit_test(a_public_cas_leaf_alone_is_incomplete),
		cmocka_unit_test(names_and_uses_must_be_right),
		cmocka_unit_test(dates_must_be_right_all_along_the_chain),
		cmocka_unit_test(keys_are_those_that_browsers_take),
		cmocka_unit_test(sha1_is_no_signature),
		cmocka_unit_test(what_is_no_pem_is_told_apart),
		cmocka_unit_test(one_file_with_all_is_understood),
		cmocka_unit_test(too_much_for_haproxy_is_told_in_numbers),
	};

	return cmocka_run_group_tests(tests, make_all, clear_all);
}
