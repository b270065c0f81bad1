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
#include "common/seal_change.h"

static char dir[] = "/tmp/test-seal-XXXXXX";
static char *path;

static int
begin(void **state)
{
	struct err e;

	(void)state;
	memcpy(strrchr(dir, (char)45), "-XXXXXX", 8);
	if (mkdtemp(dir) == NULL)
		return -1;
	path = xasprintf("%s/kek", dir);
	return seal_ring_create(path, &e);
}

static int
end(void **state)
{
	(void)state;
	unlink(path);
	free(path);
	return rmdir(dir); /* nothing is left beside it */
}

static struct seal_ring *
load(void)
{
	struct err e = { 0 };
	struct seal_ring *ring = seal_ring_load(path, &e);

	if (ring == NULL)
		fail_msg("%s", e.text);
	return ring;
}

static enum seal_state
state_of(const struct seal_ring *ring, uint32_t id)
{
	struct seal_key key[4];
	size_t n = seal_ring_keys(ring, key, 4);

	for (size_t i = 0; i < n; i++)
		if (key[i].id == id)
			return key[i].state;
	fail_msg("there is no key %u", id);
	return SEAL_ACTIVE;
}

static void
a_next_key_opens_and_does_not_seal(void **state)
{
	struct buf before, after, plain;
	struct seal_ring *ring;
	struct err e = { 0 };
	uint32_t id;

	(void)state;
	buf_init(&before, 1024);
	buf_init(&after, 1024);
	buf_init(&plain, 1024);
	assert_int_equal(seal_ring_add(path, false, &id, &e), 0);
	assert_int_equal(id, 2);
	ring = load();
	assert_int_equal(seal_ring_seals(ring), 1);
	assert_int_equal(state_of(ring, 2), SEAL_NEXT);
	assert_int_equal(seal(ring, "t", "n", "", "x", 1, &before, &e), 0);
	assert_int_equal(seal_key_id(before.p, before.len), 1);
	seal_ring_free(ring);

	assert_int_equal(seal_ring_activate(path, 2, &e), 0);
	ring = load();
	assert_int_equal(seal_ring_seals(ring), 2);
	assert_int_equal(state_of(ring, 1), SEAL_RETIRED);
	assert_int_equal(seal(ring, "t", "n", "", "x", 1, &after, &e), 0);
	assert_int_equal(seal_key_id(after.p, after.len), 2);
	/* The key itself has not changed on its way through the file. */
	assert_int_equal(
	    seal_open(ring, "t", "n", "", before.p, before.len, &plain, &e), 0);
	seal_ring_free(ring);
	buf_clear(&before);
	buf_clear(&after);
	buf_clear(&plain);
}

static void
a_key_that_seals_is_not_dropped(void **state)
{
	struct seal_ring *ring;
	struct err e = { 0 };
	uint32_t id;

	(void)state;
	assert_int_equal(seal_ring_drop(path, 1, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_int_equal(seal_ring_drop(path, 9, &e), -1);
	assert_int_equal(seal_ring_add(path, true, &id, &e), 0);
	assert_int_equal(seal_ring_drop(path, 1, &e), 0);
	ring = load();
	assert_int_equal(seal_ring_seals(ring), 2);
	seal_ring_free(ring);
	/* An id is never given twice while its successor is there. */
	assert_int_equal(seal_ring_add(path, false, &id, &e), 0);
	assert_int_equal(id, 3);
}

static void
the_file_keeps_its_mode(void **state)
{
	struct err e = { 0 };
	struct stat s;
	uint32_t id;

	(void)state;
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(seal_ring_add(path, true, &id, &e), 0);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0400);
}

static void
what_is_not_sealed_has_no_key(void **state)
{
	char nonsense[128] = "HCB2";

	(void)state;
	assert_int_equal(seal_key_id(nonsense, sizeof(nonsense)), 0);
	assert_int_equal(seal_key_id("HCB1", 4), 0);
	assert_int_equal(seal_key_id(NULL, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_next_key_opens_and_does_not_seal, begin, end),
		cmocka_unit_test_setup_teardown(
		    a_key_that_seals_is_not_dropped, begin, end),
		cmocka_unit_test_setup_teardown(
		    the_file_keeps_its_mode, begin, end),
		cmocka_unit_test(what_is_not_sealed_has_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
