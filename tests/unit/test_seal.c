#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/seal.h"

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_B "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
#define OLD "1 2026-01-31T12:00:00Z active " KEY_A "\n"
#define NEW "2 2026-06-30T12:00:00.500Z active " KEY_B "\n"
#define PLAIN "-----BEGIN PRIVATE KEY-----"

static char dir[] = "/tmp/certfleet-seal-XXXXXX";
static char *ring_path;

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	ring_path = xasprintf("%s/kek", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	unlink(ring_path);
	free(ring_path);
	return rmdir(dir);
}

static void
write_ring(const char *text, mode_t mode)
{
	FILE *f;

	unlink(ring_path);
	f = fopen(ring_path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(ring_path, mode);
}

static struct seal_ring *
ring_of(const char *text)
{
	struct err e;
	struct seal_ring *ring;

	write_ring(text, 0600);
	ring = seal_ring_load(ring_path, &e);
	if (ring == NULL)
		fail_msg("%s", e.text);
	return ring;
}

static void
seal_plain(const struct seal_ring *ring, struct buf *out)
{
	struct err e;

	buf_init(out, 4096);
	assert_int_equal(seal(ring, "bundle", "shop.test", "AB12", PLAIN,
			     strlen(PLAIN), out, &e),
	    0);
	assert_int_equal(out->len, strlen(PLAIN) + SEAL_OVERHEAD);
}

static int
open_as(const struct seal_ring *ring, const char *type, const char *name,
    const char *bind, const struct buf *sealed, struct err *e)
{
	struct buf plain;
	int rc;

	buf_init(&plain, 4096);
	rc = seal_open(
	    ring, type, name, bind, sealed->p, sealed->len, &plain, e);
	if (rc == 0)
		assert_string_equal(plain.p, PLAIN);
	else
		assert_int_equal(plain.len, 0);
	buf_wipe(&plain);
	return rc;
}

static void
what_was_sealed_can_be_opened(void **state)
{
	struct seal_ring *ring = ring_of(OLD);
	struct buf sealed, empty;
	struct err e;

	(void)state;
	seal_plain(ring, &sealed);
	assert_memory_equal(sealed.p, "HCB1\1\0\0\0\0\1", 10);
	assert_null(memmem(sealed.p, sealed.len, "PRIVATE", strlen("PRIVATE")));
	assert_int_equal(
	    open_as(ring, "bundle", "shop.test", "AB12", &sealed, &e), 0);
	buf_clear(&sealed);

	buf_init(&empty, 4096);
	buf_init(&sealed, 4096);
	assert_int_equal(
	    seal(ring, "account", "ca", "", "", 0, &sealed, &e), 0);
	assert_int_equal(sealed.len, SEAL_OVERHEAD);
	assert_int_equal(seal_open(ring, "account", "ca", "", sealed.p,
			     sealed.len, &empty, &e),
	    0);
	assert_int_equal(empty.len, 0);
	buf_clear(&sealed);
	seal_ring_free(ring);
}

static void
the_same_secret_is_never_sealed_alike(void **state)
{
	struct seal_ring *ring = ring_of(OLD);
	struct buf a, b;

	(void)state;
	seal_plain(ring, &a);
	seal_plain(ring, &b);
	assert_memory_not_equal(a.p + 10, b.p + 10, 44);
	buf_clear(&a);
	buf_clear(&b);
	seal_ring_free(ring);
}

static void
a_change_of_any_bit_is_noticed(void **state)
{
	struct seal_ring *ring = ring_of(OLD);
	struct buf sealed;
	struct err e;

	(void)state;
	seal_plain(ring, &sealed);
	for (size_t i = 0; i < sealed.len * 8; i++) {
		sealed.p[i / 8] ^= (char)(1 << i % 8);
		assert_int_equal(
		    open_as(ring, "bundle", "shop.test", "AB12", &sealed, &e),
		    -1);
		/* Another key's id is the operator's business. */
		assert_int_equal(
		    e.kind, i / 8 >= 6 && i / 8 < 10 ? ERR_CONFIG : ERR_BUG);
		sealed.p[i / 8] ^= (char)(1 << i % 8);
	}
	for (size_t len = sealed.len; len > 0; sealed.len = --len)
		if (len < strlen(PLAIN) + SEAL_OVERHEAD)
			assert_int_equal(open_as(ring, "bundle", "shop.test",
					     "AB12", &sealed, &e),
			    -1);
	buf_clear(&sealed);
	seal_ring_free(ring);
}

static void
a_secret_cannot_be_moved(void **state)
{
	struct seal_ring *ring = ring_of(OLD);
	struct buf sealed;
	struct err e;

	(void)state;
	seal_plain(ring, &sealed);
	assert_int_equal(
	    open_as(ring, "csrkey", "shop.test", "AB12", &sealed, &e), -1);
	assert_int_equal(
	    open_as(ring, "bundle", "evil.test", "AB12", &sealed, &e), -1);
	assert_int_equal(
	    open_as(ring, "bundle", "shop.test", "AB13", &sealed, &e), -1);
	/* The border between two of them is part of what is covered. */
	assert_int_equal(
	    open_as(ring, "bundle", "shop.testA", "B12", &sealed, &e), -1);
	assert_int_equal(
	    open_as(ring, "bundle/shop.test", "", "AB12", &sealed, &e), -1);
	buf_clear(&sealed);
	seal_ring_free(ring);
}

static void
the_newest_active_key_seals_and_a_retired_one_opens(void **state)
{
	struct seal_ring *ring = ring_of(OLD);
	struct buf old, new;
	struct err e;

	(void)state;
	seal_plain(ring, &old);
	seal_ring_free(ring);

	ring = ring_of(
	    "# rotated\n\n" NEW "1 2026-01-31T12:00:00Z retired " KEY_A "\n");
	seal_plain(ring, &new);
	assert_int_equal(new.p[9], 2);
	assert_int_equal(
	    open_as(ring, "bundle", "shop.test", "AB12", &old, &e), 0);
	assert_int_equal(
	    open_as(ring, "bundle", "shop.test", "AB12", &new, &e), 0);
	seal_ring_free(ring);

	ring = ring_of(NEW OLD);
	buf_clear(&new);
	seal_plain(ring, &new);
	assert_int_equal(new.p[9], 2);
	seal_ring_free(ring);

	ring = ring_of(NEW);
	assert_int_equal(
	    open_as(ring, "bundle", "shop.test", "AB12", &old, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_string_equal(e.text,
	    "the bundle of shop.test is sealed with key 1, which is not in "
	    "the key ring");
	seal_ring_free(ring);
	buf_clear(&old);
	buf_clear(&new);
}

static void
too_much_is_not_sealed(void **state)
{
	struct seal_ring *ring = ring_of(OLD);
	char *plain = xcalloc(1, SEAL_PLAIN_MAX + 1);
	struct buf out;
	struct err e;

	(void)state;
	buf_init(&out, SEAL_PLAIN_MAX * 2);
	assert_int_equal(
	    seal(ring, "t", "n", "", plain, SEAL_PLAIN_MAX + 1, &out, &e), -1);
	assert_int_equal(e.kind, ERR_BUG);
	assert_int_equal(
	    seal(ring, "t", "n", "", plain, SEAL_PLAIN_MAX, &out, &e), 0);
	buf_clear(&out);
	buf_init(&out, SEAL_OVERHEAD);
	assert_int_equal(seal(ring, "t", "n", "", plain, 1, &out, &e), -1);
	assert_int_equal(out.len, 0);
	buf_clear(&out);
	free(plain);
	seal_ring_free(ring);
}

static const struct {
	const char *text;
	int line; /* 0: of the file */
} bad_rings[] = {
	{ "", 0 },
	{ "# only a comment\n", 0 },
	{ "1 2026-01-31T12:00:00Z retired " KEY_A "\n", 0 },
	{ OLD "1 2026-01-31T12:00:00Z retired " KEY_B "\n", 2 },
	{ "0 2026-01-31T12:00:00Z active " KEY_A "\n", 1 },
	{ "4294967296 2026-01-31T12:00:00Z active " KEY_A "\n", 1 },
	{ "1 2026-01-31 active " KEY_A "\n", 1 },
	{ "1 2026-01-31T12:00:00+01:00 active " KEY_A "\n", 1 },
	{ "1 2026-01-31T12:00:00Z new " KEY_A "\n", 1 },
	{ "1 2026-01-31T12:00:00Z active AAAA\n", 1 },
	{ "1 2026-01-31T12:00:00Z active " KEY_A KEY_A "\n", 1 },
	{ "1 2026-01-31T12:00:00Z active\n", 1 },
	{ "\n1 2026-01-31T12:00:00Z active " KEY_A " x\n", 2 },
	{ "1  2026-01-31T12:00:00Z active " KEY_A "\n", 1 },
};

static void
a_ring_that_is_not_one_is_refused_by_line(void **state)
{
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_rings) / sizeof(bad_rings[0]); i++) {
		char *where =
		    bad_rings[i].line > 0
			? xasprintf("%s:%d: ", ring_path, bad_rings[i].line)
			: xasprintf("%s: ", ring_path);

		write_ring(bad_rings[i].text, 0600);
		if (seal_ring_load(ring_path, &e) != NULL)
			fail_msg("accepted: %s", bad_rings[i].text);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_memory_equal(e.text, where, strlen(where));
		assert_null(strstr(e.text, KEY_A));
		free(where);
	}
}

static void
a_ring_that_others_may_read_is_refused(void **state)
{
	struct err e;
	char *link = xasprintf("%s/link", dir);

	(void)state;
	write_ring(OLD, 0640);
	assert_null(seal_ring_load(ring_path, &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "chmod 0600"));

	write_ring(OLD, 0600);
	assert_int_equal(symlink(ring_path, link), 0);
	assert_null(seal_ring_load(link, &e));
	unlink(link);
	free(link);
	assert_null(seal_ring_load(dir, &e));
}

static void
a_new_ring_works_and_replaces_none(void **state)
{
	struct seal_ring *ring;
	struct buf sealed;
	struct stat st;
	struct err e;

	(void)state;
	unlink(ring_path);
	assert_int_equal(seal_ring_create(ring_path, &e), 0);
	assert_int_equal(stat(ring_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_nlink, 1);
	ring = seal_ring_load(ring_path, &e);
	assert_non_null(ring);
	seal_plain(ring, &sealed);
	assert_int_equal(seal_ring_create(ring_path, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	seal_ring_free(ring);
	ring = seal_ring_load(ring_path, &e);
	assert_non_null(ring);
	assert_int_equal(
	    open_as(ring, "bundle", "shop.test", "AB12", &sealed, &e), 0);
	seal_ring_free(ring);
	buf_clear(&sealed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_can_be_opened),
		cmocka_unit_test(the_same_secret_is_never_sealed_alike),
		cmocka_unit_test(a_change_of_any_bit_is_noticed),
		cmocka_unit_test(a_secret_cannot_be_moved),
		cmocka_unit_test(
		    the_newest_active_key_seals_and_a_retired_one_opens),
		cmocka_unit_test(too_much_is_not_sealed),
		cmocka_unit_test(a_ring_that_is_not_one_is_refused_by_line),
		cmocka_unit_test(a_ring_that_others_may_read_is_refused),
		cmocka_unit_test(a_new_ring_works_and_replaces_none),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
