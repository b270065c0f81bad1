#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/memory.h"

#define THUMBPRINT "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
#define LEN 30

static const struct memory_conf conf = { .asked_max = 3,
	.found_max = 4,
	.none_ttl_ms = 1000,
	.secret = { 0x243f6a8885a308d3, 0x13198a2e03707344 } };

/* The nth token; a ring of them, so that a call may name several. */
static const char *
token(int n)
{
	static char ring[4][LEN + 1];
	static int at;
	char *s = ring[at++ % 4];

	snprintf(s, LEN + 1, "token-%024d", n);
	return s;
}

static const char *
keyauth(int n)
{
	static char s[LEN + 1 + THUMBPRINT_LEN + 1];

	snprintf(s, sizeof(s), "%s." THUMBPRINT, token(n));
	return s;
}

static struct memory_entry *
find(struct memory *m, int n, int64_t now)
{
	return memory_find(m, token(n), LEN, now);
}

static void
what_is_put_is_found_for_an_hour(void **state)
{
	struct memory m;
	struct memory_entry *e;

	(void)state;
	memory_init(&m, &conf);
	assert_null(find(&m, 1, 0));
	memory_put(&m, token(1), LEN, keyauth(1), 5);
	e = find(&m, 1, 5 + MEMORY_FOUND_MS - 1);
	assert_non_null(e);
	assert_int_equal(e->state, MEMORY_FOUND);
	assert_memory_equal(e->text, keyauth(1), memory_keyauth_len(e));
	assert_null(find(&m, 2, 5));
	assert_null(find(&m, 1, 5 + MEMORY_FOUND_MS));
	assert_int_equal(m.n[MEMORY_FOUND], 0);
	memory_clear(&m);
}

/* A token is not a prefix of another. */
static void
tokens_of_other_lengths_are_others(void **state)
{
	struct memory m;

	(void)state;
	memory_init(&m, &conf);
	memory_put(&m, token(1), LEN, keyauth(1), 0);
	for (size_t len = TOKEN_MIN; len < LEN; len++)
		assert_null(memory_find(&m, token(1), len, 0));
	memory_clear(&m);
}

static void
the_oldest_makes_room(void **state)
{
	struct memory m;

	(void)state;
	memory_init(&m, &conf);
	for (int i = 0; i < 10; i++)
		memory_put(&m, token(i), LEN, keyauth(i), i);
	assert_int_equal(m.n[MEMORY_FOUND], 4);
	for (int i = 0; i < 10; i++)
		assert_int_equal(find(&m, i, 10) != NULL, i >= 6);
	memory_clear(&m);
}

static void
too_many_questions_are_refused(void **state)
{
	struct memory m;

	(void)state;
	memory_init(&m, &conf);
	for (int i = 0; i < 3; i++)
		assert_non_null(memory_ask(&m, token(i), LEN));
	assert_null(memory_ask(&m, token(3), LEN));
	memory_drop(&m, find(&m, 1, 0));
	assert_non_null(memory_ask(&m, token(3), LEN));
	memory_clear(&m);
}

static void
an_answer_changes_the_entry_in_place(void **state)
{
	struct memory m;
	struct memory_entry *e, *none;

	(void)state;
	memory_init(&m, &conf);
	e = memory_ask(&m, token(1), LEN);
	none = memory_ask(&m, token(2), LEN);
	assert_ptr_equal(find(&m, 1, 1 << 30), e); /* it does not expire */
	memory_set(&m, e, keyauth(1), 0);
	memory_set(&m, none, NULL, 0);
	assert_int_equal(m.n[MEMORY_ASKED], 0);
	assert_ptr_equal(find(&m, 1, 0), e);
	assert_int_equal(e->state, MEMORY_FOUND);
	assert_int_equal(find(&m, 2, 999)->state, MEMORY_NONE);
	assert_null(find(&m, 2, 1000));
	/* Published after all. */
	none = memory_ask(&m, token(2), LEN);
	memory_set(&m, none, NULL, 0);
	memory_set(&m, none, keyauth(2), 1);
	assert_int_equal(find(&m, 2, 1)->state, MEMORY_FOUND);
	assert_int_equal(m.n[MEMORY_NONE], 0);
	memory_clear(&m);
}

/* What strangers ask for never pushes a challenge out. */
static void
a_flood_of_unknown_tokens_leaves_challenges_alone(void **state)
{
	struct memory m;

	(void)state;
	memory_init(&m, &conf);
	for (int i = 0; i < 4; i++)
		memory_put(&m, token(i), LEN, keyauth(i), 0);
	for (int i = 100; i < 20000; i++)
		memory_set(&m, memory_ask(&m, token(i), LEN), NULL, 0);
	assert_int_equal(m.n[MEMORY_NONE], MEMORY_NONE_MAX);
	for (int i = 0; i < 4; i++)
		assert_int_equal(find(&m, i, 0)->state, MEMORY_FOUND);
	memory_drop_none(&m);
	assert_int_equal(m.n[MEMORY_NONE], 0);
	assert_null(find(&m, 19999, 0));
	assert_non_null(find(&m, 3, 0));
	memory_clear(&m);
}

static void
overdue_entries_leave_when_others_come(void **state)
{
	struct memory m;

	(void)state;
	memory_init(&m, &conf);
	for (int i = 0; i < 100; i++)
		memory_set(&m, memory_ask(&m, token(i), LEN), NULL, i);
	memory_set(&m, memory_ask(&m, token(100), LEN), NULL, 1050);
	assert_int_equal(m.n[MEMORY_NONE], 50); /* 51 to 99, and the new one */
	memory_clear(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_found_for_an_hour),
		cmocka_unit_test(tokens_of_other_lengths_are_others),
		cmocka_unit_test(the_oldest_makes_room),
		cmocka_unit_test(too_many_questions_are_refused),
		cmocka_unit_test(an_answer_changes_the_entry_in_place),
		cmocka_unit_test(
		    a_flood_of_unknown_tokens_leaves_challenges_alone),
		cmocka_unit_test(overdue_entries_leave_when_others_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
