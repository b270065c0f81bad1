#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/seal_change.h"
#include "sync/bundle.h"

#define NAME "certfleet.invalid" /* what the placeholder covers */

/* A certificate, its key, a ring, and the bundle made of them. */
static struct {
	char dir[64], path[80];
	struct seal_ring *ring;
	char *pem;
	struct cert cert;
	struct buf bundle;
	int64_t now_ms;
} it;

static int
set_up(void **state)
{
	struct err e;

	(void)state;
	snprintf(it.dir, sizeof(it.dir), "/tmp/test_bundle.XXXXXX");
	assert_non_null(mkdtemp(it.dir));
	snprintf(it.path, sizeof(it.path), "%s/kek", it.dir);
	assert_int_equal(seal_ring_create(it.path, &e), 0);
	assert_non_null(it.ring = seal_ring_load(it.path, &e));
	it.pem = cert_placeholder();
	assert_int_equal(cert_parse(&it.cert, it.pem, strlen(it.pem), &e), 0);
	it.now_ms = it.cert.not_before + 3600 * 1000;
	buf_init(&it.bundle, BUNDLE_MAX);
	assert_int_equal(
	    bundle_pack(it.ring, NAME, &it.cert, it.pem, &it.bundle, &e), 0);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	seal_ring_free(it.ring);
	unlink(it.path);
	rmdir(it.dir);
	mem_wipe_free(it.pem);
	cert_clear(&it.cert);
	buf_clear(&it.bundle);
	return 0;
}

/* Open these bytes under a name; "" when that went well, else the sentence. */
static const char *
open_as(const char *name, const void *bytes, size_t len, int64_t now_ms)
{
	static struct err e;
	struct cert c;
	char *key;

	e = (struct err){ 0 };
	if (bundle_open(it.ring, name, bytes, len, now_ms, &c, &key, &e) ==
	    -1) {
		assert_null(key);
		assert_null(c.chain);
		return e.text;
	}
	assert_string_equal(c.chain, it.cert.chain);
	assert_string_equal(c.sha1, it.cert.sha1);
	assert_string_equal(c.serial, it.cert.serial);
	assert_true(c.not_after == it.cert.not_after);
	assert_string_equal(key, it.pem);
	mem_wipe_free(key);
	cert_clear(&c);
	return e.text;
}

static void
what_was_packed_comes_back(void **state)
{
	(void)state;
	assert_string_equal(
	    open_as(NAME, it.bundle.p, it.bundle.len, it.now_ms), "");
}

static void
the_key_is_not_readable_in_it(void **state)
{
	const char *line = strchr(it.pem, '\n') + 1;

	(void)state;
	assert_null(memmem(it.bundle.p, it.bundle.len, line, 32));
	assert_non_null(
	    memmem(it.bundle.p, it.bundle.len, "-----BEGIN CERT", 15));
}

static void
a_bundle_cannot_be_another_names(void **state)
{
	char *moved = xmemdup0(it.bundle.p, it.bundle.len), *at;

	(void)state;
	assert_string_equal(
	    open_as("a.test", it.bundle.p, it.bundle.len, it.now_ms),
	    "bundle is another domain's");
	/* Even with the name in the map changed: the seal is bound to it. */
	at = memmem(moved, it.bundle.len, NAME, strlen(NAME));
	assert_non_null(at);
	memcpy(at, "certfleet.example", strlen(NAME));
	assert_string_not_equal(
	    open_as("certfleet.example", moved, it.bundle.len, it.now_ms), "");
	free(moved);
}

static void
an_expired_bundle_is_refused(void **state)
{
	(void)state;
	assert_non_null(
	    strstr(open_as(NAME, it.bundle.p, it.bundle.len, it.cert.not_after),
		"expired"));
}

/* The key of one certificate with the chain of another. */
static void
a_key_sealed_for_another_certificate_does_not_open(void **state)
{
	char *other = cert_placeholder();
	struct buf bundle;
	struct cert c;
	struct err e;
	char *at, *with;

	(void)state;
	assert_int_equal(cert_parse(&c, other, strlen(other), &e), 0);
	buf_init(&bundle, BUNDLE_MAX);
	assert_int_equal(
	    bundle_pack(it.ring, NAME, &c, it.pem, &bundle, &e), 0);
	assert_string_equal(
	    open_as(NAME, bundle.p, bundle.len, it.now_ms + 60000),
	    "private key does not match the certificate");
	/* Same lengths: put the other's chain into our bundle. */
	if (strlen(c.chain) == strlen(it.cert.chain)) {
		at = memmem(it.bundle.p, it.bundle.len, it.cert.chain,
		    strlen(it.cert.chain));
		with = c.chain;
		memcpy(at, with, strlen(with));
		assert_string_not_equal(open_as(NAME, it.bundle.p,
					    it.bundle.len, it.now_ms + 60000),
		    "");
	}
	buf_clear(&bundle);
	cert_clear(&c);
	mem_wipe_free(other);
}

static void
every_cut_and_many_changed_bytes_are_refused(void **state)
{
	char *copy = xmemdup0(it.bundle.p, it.bundle.len);

	(void)state;
	for (size_t len = 0; len < it.bundle.len; len++)
		assert_string_not_equal(
		    open_as(NAME, copy, len, it.now_ms), "");
	/* Of a changed byte only what is said twice may go unnoticed. */
	for (size_t i = 0; i < it.bundle.len; i += 3) {
		struct cert c;
		struct err e;
		char *key;

		copy[i] ^= 0x20;
		if (bundle_open(it.ring, NAME, copy, it.bundle.len, it.now_ms,
			&c, &key, &e) == 0) {
			assert_string_equal(c.sha1, it.cert.sha1);
			assert_string_equal(key, it.pem);
			mem_wipe_free(key);
			cert_clear(&c);
		}
		copy[i] ^= 0x20;
	}
	free(copy);
}

/* msgpack-c would allocate 2 to 4 GB for the first two of these. */
static void
bombs_do_not_allocate(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bombs[] = {
		{ "\xdd\x05\x00\x00\x00", 5 },
		{ "\xdf\x05\x00\x00\x00", 5 },
		{ "\xdf\xff\xff\xff\xff", 5 },
		{ "\xc6\xff\xff\xff\xff", 5 },
		{ "\xdb\xff\xff\xff\xff", 5 },
		{ "\xc9\xff\xff\xff\xff\x01", 6 },
		{ "\x81\xa1v\xdd\x05\x00\x00\x00", 8 },
		{ "\xde\xff", 2 },
		{ "\xc0\xc0", 2 },
		{ "", 0 },
	};
	static char deep[BUNDLE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++)
		assert_string_equal(
		    open_as(NAME, bombs[i].bytes, bombs[i].len, it.now_ms),
		    "bundle is damaged: it is not one value");
	memset(deep, '\x91', sizeof(deep));
	deep[BUNDLE_MAX - 1] = '\xc0';
	assert_string_equal(open_as(NAME, deep, BUNDLE_MAX, it.now_ms),
	    "bundle is damaged: it cannot be read");
	assert_string_equal(open_as(NAME, deep, BUNDLE_MAX + 1, it.now_ms),
	    "bundle is damaged: it is not one value");
}

/* A later version adds a field of any type: this one reads past it. */
static void
unknown_fields_are_ignored(void **state)
{
	static const char more[] =
	    "\xa3new\x84\xa1x\x93\x01\xcb\x40\x09\x21\xfb\x54\x44\x2d\x18\xc3"
	    "\xa1y\xd6\x01zzzz\xa1z\xc7\x02\x05zz\xa1w\xd9\x02ww";
	struct buf b;

	(void)state;
	buf_init(&b, BUNDLE_MAX);
	buf_put(&b, "\x8b", 1); /* eleven fields instead of ten */
	buf_put(&b, more, sizeof(more) - 1);
	buf_put(&b, it.bundle.p + 1, it.bundle.len - 1);
	assert_int_equal((uint8_t)it.bundle.p[0], 0x8a);
	assert_string_equal(open_as(NAME, b.p, b.len, it.now_ms), "");
	buf_clear(&b);
}

static void
another_version_and_missing_parts_are_said(void **state)
{
	(void)state;
	assert_string_equal(
	    open_as(NAME, "\xc0", 1, it.now_ms), "bundle is not a map");
	assert_string_equal(open_as(NAME, "\x81\xa1v\x02", 4, it.now_ms),
	    "bundle is of another version; this program knows 1");
	assert_string_equal(open_as(NAME, "\x81\xa1v\x01", 4, it.now_ms),
	    "bundle lacks name, chain or key");
}

static void
what_does_not_fit_is_refused_with_the_numbers(void **state)
{
	struct cert c = it.cert;
	struct buf out;
	struct err e;

	(void)state;
	c.chain = xmalloc(BUNDLE_MAX + 1);
	memset(c.chain, 'a', BUNDLE_MAX);
	c.chain[BUNDLE_MAX] = '\0';
	buf_init(&out, BUNDLE_MAX);
	assert_int_equal(bundle_pack(it.ring, NAME, &c, it.pem, &out, &e), -1);
	assert_non_null(strstr(e.text, "at most 65536"));
	assert_int_equal(out.len, 0);
	buf_clear(&out);
	free(c.chain);
}

/* A second certificate beside the first; and the bundle of both. */
static char *
pack_two(struct buf *out)
{
	char *pem = cert_placeholder();
	struct cert second = { 0 };
	struct err e;

	assert_int_equal(cert_parse(&second, pem, strlen(pem), &e), 0);
	buf_init(out, BUNDLE_MAX);
	assert_int_equal(bundle_pack_two(it.ring, NAME, &it.cert, it.pem,
			     &second, pem, NULL, out, &e),
	    0);
	cert_clear(&second);
	return pem;
}

static void
a_second_certificate_has_its_own_key(void **state)
{
	struct cert c;
	struct buf two;
	char *pem = pack_two(&two), *key;
	struct err e;

	(void)state;
	assert_string_equal(open_as(NAME, two.p, two.len, it.now_ms), "");
	assert_int_equal(bundle_open_second(it.ring, NAME, two.p, two.len,
			     it.now_ms, &c, &key, &e),
	    0);
	assert_string_equal(key, pem);
	assert_string_not_equal(c.sha1, it.cert.sha1);
	assert_int_equal(cert_check(&c, key, NAME, it.now_ms, &e), 0);
	assert_null(memmem(two.p, two.len, strchr(pem, '\n') + 1, 32));
	mem_wipe_free(key);
	cert_clear(&c);
	mem_wipe_free(pem);
	buf_clear(&two);
}

static void
there_need_not_be_a_second_certificate(void **state)
{
	char *key = it.pem;
	struct cert c;
	struct err e;

	(void)state;
	assert_int_equal(bundle_open_second(it.ring, NAME, it.bundle.p,
			     it.bundle.len, it.now_ms, &c, &key, &e),
	    0);
	assert_null(key);
	assert_null(c.chain);
}

static void
a_second_certificate_is_checked_like_the_first(void **state)
{
	struct cert c;
	struct buf two;
	char *pem = pack_two(&two), *key, *at;
	struct err e;

	(void)state;
	assert_int_equal(bundle_open_second(it.ring, NAME, two.p, two.len,
			     it.now_ms + 400LL * 366 * 86400000, &c, &key, &e),
	    -1);
	assert_null(key);
	/* Its sealed key, damaged; then no key at all. */
	two.p[two.len - 1] ^= 1;
	assert_int_equal(bundle_open_second(it.ring, NAME, two.p, two.len,
			     it.now_ms, &c, &key, &e),
	    -1);
	assert_string_equal(open_as(NAME, two.p, two.len, it.now_ms), "");
	at = memmem(two.p, two.len, "key2", 4);
	assert_non_null(at);
	at[3] = '3';
	assert_non_null(strstr(
	    open_as(NAME, two.p, two.len, it.now_ms), "belong together"));
	mem_wipe_free(pem);
	buf_clear(&two);
}

static void
what_its_record_was_is_told(void **state)
{
	const struct bundle_about told = { "shop", "https://ca.example/dir",
		1764000000000, true, false, true };
	struct bundle_about about;
	struct buf out;
	struct err e;

	(void)state;
	buf_init(&out, BUNDLE_MAX);
	assert_int_equal(bundle_pack_two(it.ring, NAME, &it.cert, it.pem, NULL,
			     NULL, &told, &out, &e),
	    0);
	assert_string_equal(open_as(NAME, out.p, out.len, it.now_ms), "");
	assert_int_equal(bundle_about(&about, out.p, out.len, &e), 0);
	assert_string_equal(about.app, told.app);
	assert_string_equal(about.ca, told.ca);
	assert_int_equal(about.created_at, told.created_at);
	assert_true(about.custom && !about.letsencrypt && about.canonical);
	assert_int_equal(bundle_about(&about, out.p, out.len - 1, &e), -1);
	buf_clear(&out);
}

static void
a_bundle_of_before_tells_nothing_of_its_record(void **state)
{
	struct bundle_about about;
	struct err e;

	(void)state;
	assert_int_equal(
	    bundle_about(&about, it.bundle.p, it.bundle.len, &e), 0);
	assert_string_equal(about.app, "");
	assert_true(about.letsencrypt && !about.custom && !about.canonical);
}

static void
an_app_that_cannot_be_is_none(void **state)
{
	const struct bundle_about told = { .app = "a b" };
	struct bundle_about about;
	struct buf out;
	struct err e;

	(void)state;
	buf_init(&out, BUNDLE_MAX);
	assert_int_equal(bundle_pack_two(it.ring, NAME, &it.cert, it.pem, NULL,
			     NULL, &told, &out, &e),
	    0);
	assert_int_equal(bundle_about(&about, out.p, out.len, &e), 0);
	assert_string_equal(about.app, "");
	buf_clear(&out);
}

#define with_bundle(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static void
sealed_by_a_newer_key_it_is_the_same(void **state)
{
	const struct bundle_about told = { "shop", "https://ca.example/dir", 5,
		.canonical = true };
	struct bundle_about about;
	struct buf old, new;
	struct err e;
	uint32_t id;

	(void)state;
	buf_init(&old, BUNDLE_MAX);
	buf_init(&new, BUNDLE_MAX);
	assert_int_equal(bundle_pack_two(it.ring, NAME, &it.cert, it.pem, NULL,
			     NULL, &told, &old, &e),
	    0);
	assert_int_equal(bundle_key_id(old.p, old.len), 1);
	assert_int_equal(seal_ring_add(it.path, true, &id, &e), 0);
	seal_ring_free(it.ring);
	assert_non_null(it.ring = seal_ring_load(it.path, &e));
	assert_int_equal(
	    bundle_reseal(it.ring, NAME, old.p, old.len, &new, &e), 0);
	assert_int_equal(bundle_key_id(new.p, new.len), 2);
	assert_string_equal(open_as(NAME, new.p, new.len, it.now_ms), "");
	assert_int_equal(bundle_about(&about, new.p, new.len, &e), 0);
	assert_string_equal(about.app, told.app);
	assert_string_equal(about.ca, told.ca);
	assert_int_equal(about.created_at, 5);
	assert_true(about.canonical && !about.letsencrypt && !about.custom);
	assert_int_equal(bundle_key_id("x", 1), 0);
	buf_clear(&old);
	buf_clear(&new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_bundle(what_was_packed_comes_back),
		with_bundle(the_key_is_not_readable_in_it),
		with_bundle(sealed_by_a_newer_key_it_is_the_same),
		with_bundle(a_bundle_cannot_be_another_names),
		with_bundle(an_expired_bundle_is_refused),
		with_bundle(a_key_sealed_for_another_certificate_does_not_open),
		with_bundle(every_cut_and_many_changed_bytes_are_refused),
		with_bundle(bombs_do_not_allocate),
		with_bundle(unknown_fields_are_ignored),
		with_bundle(another_version_and_missing_parts_are_said),
		with_bundle(what_does_not_fit_is_refused_with_the_numbers),
		with_bundle(a_second_certificate_has_its_own_key),
		with_bundle(there_need_not_be_a_second_certificate),
		with_bundle(a_second_certificate_is_checked_like_the_first),
		with_bundle(what_its_record_was_is_told),
		with_bundle(a_bundle_of_before_tells_nothing_of_its_record),
		with_bundle(an_app_that_cannot_be_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
