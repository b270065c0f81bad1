#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/b64.h"
#include "common/mem.h"
#include "common/seal_change.h"
#include "sync/sealed.h"

#define CA "https://ca.example/dir"

/* A ring of before, and the same with a newer key. */
static struct {
	char dir[64], path[80];
	struct seal_ring *old, *ring;
} it;

static int
set_up(void **state)
{
	struct err e;
	uint32_t id;

	(void)state;
	snprintf(it.dir, sizeof(it.dir), "/tmp/test_sealed.XXXXXX");
	assert_non_null(mkdtemp(it.dir));
	snprintf(it.path, sizeof(it.path), "%s/kek", it.dir);
	assert_int_equal(seal_ring_create(it.path, &e), 0);
	assert_non_null(it.old = seal_ring_load(it.path, &e));
	assert_int_equal(seal_ring_add(it.path, true, &id, &e), 0);
	assert_non_null(it.ring = seal_ring_load(it.path, &e));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	seal_ring_free(it.old);
	seal_ring_free(it.ring);
	unlink(it.path);
	rmdir(it.dir);
	return 0;
}

/* Sealed by the old key as type and name, then again as kind and called. */
static int
again(enum sealed kind, const char *called, const char *type, const char *name,
    struct buf *out)
{
	struct buf sealed;
	struct err e;
	int rc;

	buf_init(&sealed, 1024);
	buf_init(out, SEALED_MAX_LEN);
	assert_int_equal(
	    seal(it.old, type, name, "", "secret", 6, &sealed, &e), 0);
	assert_int_equal(sealed_key_id(kind, sealed.p, sealed.len), 1);
	rc = sealed_again(it.ring, kind, called, sealed.p, sealed.len, out, &e);
	buf_clear(&sealed);
	return rc;
}

static void
each_kind_is_sealed_as_what_it_is(void **state)
{
	static const struct {
		enum sealed kind;
		const char *called, *type, *name;
	} kinds[] = {
		{ SEALED_ORDER_KEY, "a.test", "csrkey", "a.test" },
		{ SEALED_ENV, "shop", "env", "shop" },
		{ SEALED_ROLLOVER, "", "account", "rollover" },
		{ SEALED_TOKEN_KEY, "", "tokens", "passes" },
	};
	struct buf new, plain;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		assert_int_equal(again(kinds[i].kind, kinds[i].called,
				     kinds[i].type, kinds[i].name, &new),
		    0);
		assert_int_equal(
		    sealed_key_id(kinds[i].kind, new.p, new.len), 2);
		buf_init(&plain, 64);
		assert_int_equal(
		    seal_open(it.ring, kinds[i].type, kinds[i].name, "", new.p,
			new.len, &plain, &e),
		    0);
		assert_string_equal(plain.p, "secret");
		buf_wipe(&plain);
		buf_clear(&new);
	}
}

static void
what_is_another_names_is_not_sealed_for_it(void **state)
{
	struct buf new;

	(void)state;
	assert_int_equal(again(SEALED_ENV, "shop", "env", "another", &new), -1);
	assert_int_equal(new.len, 0);
	buf_clear(&new);
	assert_int_equal(
	    again(SEALED_ORDER_KEY, "a.test", "env", "a.test", &new), -1);
	buf_clear(&new);
}

static void
of_an_account_only_the_key_changes(void **state)
{
	struct buf sealed, new;
	struct err e;
	char b64[1024], *text;
	json_t *account;

	(void)state;
	buf_init(&sealed, 1024);
	buf_init(&new, SEALED_MAX_LEN);
	assert_int_equal(
	    seal(it.old, "account", CA, "", "secret", 6, &sealed, &e), 0);
	b64_encode(b64, sealed.p, sealed.len);
	text = xasprintf("{\"directory\":\"%s\",\"url\":\"%s/1\",\"key\":"
			 "\"%s\",\"other\":7}",
	    CA, CA, b64);
	assert_int_equal(sealed_key_id(SEALED_ACCOUNT, text, strlen(text)), 1);
	assert_int_equal(sealed_again(it.ring, SEALED_ACCOUNT, CA, text,
			     strlen(text), &new, &e),
	    0);
	assert_int_equal(sealed_key_id(SEALED_ACCOUNT, new.p, new.len), 2);
	account = json_loadb(new.p, new.len, 0, NULL);
	assert_string_equal(
	    json_string_value(json_object_get(account, "url")), CA "/1");
	assert_int_equal(
	    json_integer_value(json_object_get(account, "other")), 7);
	json_decref(account);
	free(text);
	buf_clear(&sealed);
	buf_clear(&new);
}

static void
nonsense_has_no_key_and_stays(void **state)
{
	static const char *const texts[] = { "", "{}", "{\"key\":7}",
		"{\"key\":\"!\"}", "[" };
	struct buf new;
	struct err e;

	(void)state;
	buf_init(&new, SEALED_MAX_LEN);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (int kind = 0; kind < SEALED_KINDS; kind++) {
			size_t len = strlen(texts[i]);

			assert_int_equal(
			    sealed_key_id((enum sealed)kind, texts[i], len), 0);
			assert_int_equal(
			    sealed_again(it.ring, (enum sealed)kind, "a.test",
				texts[i], len, &new, &e),
			    -1);
		}
	assert_int_equal(new.len, 0);
	buf_clear(&new);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_sealed_as_what_it_is),
		cmocka_unit_test(what_is_another_names_is_not_sealed_for_it),
		cmocka_unit_test(of_an_account_only_the_key_changes),
		cmocka_unit_test(nonsense_has_no_key_and_stays),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
