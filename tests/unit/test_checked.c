#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sync/checked.h"

static void
what_was_good_is_remembered_for_a_while(void **state)
{
	uint8_t first[CHECKED_LEN], other[CHECKED_LEN];
	char name[32];

	(void)state;
	checked_digest(first, "chain", "key", "a.example");
	assert_false(checked_before(first));
	checked_remember(first);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		checked_digest(other, "chain", "key", name);
		assert_false(checked_before(other));
		checked_remember(other);
	}
	assert_true(checked_before(first));
	for (int i = 100; i < 200; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		checked_digest(other, "chain", "key", name);
		checked_remember(other);
	}
	assert_true(checked_before(other));
	assert_false(checked_before(first));
}

/* What of one part moves into the next is something else. */
static void
each_part_counts(void **state)
{
	static const char *const others[][3] = {
		{ "chainx", "key", "name" },
		{ "chain", "keyx", "name" },
		{ "chain", "key", "namex" },
		{ "chai", "nkey", "name" },
		{ "chain", "ke", "yname" },
		{ "chain", "keyname", "" },
	};
	uint8_t good[CHECKED_LEN], other[CHECKED_LEN];

	(void)state;
	checked_digest(good, "chain", "key", "name");
	checked_remember(good);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		checked_digest(other, others[i][0], others[i][1], others[i][2]);
		assert_false(checked_before(other));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_good_is_remembered_for_a_while),
		cmocka_unit_test(each_part_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
