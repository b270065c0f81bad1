#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/canary.h"

#define NOW INT64_C(1700000000000)
#define SHA "0123456789ABCDEF0123456789ABCDEF01234567"
#define NAME "www.example.com"
#define TRIAL NAME "=" SHA "=1699999999000="

static const struct canary_rules rules = { .name = NAME,
	.favoured = "",
	.limit_ms = 30000,
	.look_ms = 5000,
	.now = NOW };

static struct store_node
node(const char *id)
{
	struct store_node n = { .live = true };

	snprintf(n.id, sizeof(n.id), "%s", id);
	snprintf(n.haproxy, sizeof(n.haproxy), "2.6.12");
	return n;
}

static void
say(struct store_node *n, const char *trials)
{
	snprintf(n->trials, sizeof(n->trials), "%s", trials);
}

static struct store_staged
staged(const char *at, const char *tried)
{
	return (struct store_staged){ .sha1 = SHA,
		.node = at,
		.why = "",
		.tried = tried,
		.since = NOW - 1000 };
}

static void
the_first_that_lives_by_its_id_is_asked(void **state)
{
	struct store_node n[] = { node("c"), node("b"), node("a"), node("0") };
	struct store_staged s = staged("", "");
	struct canary_rules favour = rules;
	struct canary_next next;

	(void)state;
	n[2].live = false;
	n[3].haproxy[0] = '\0';
	assert_int_equal(canary_judge(&rules, &s, n, 4, &next), CANARY_ASK);
	assert_string_equal(next.node, "b");
	favour.favoured = "c";
	assert_int_equal(canary_judge(&favour, &s, n, 4, &next), CANARY_ASK);
	assert_string_equal(next.node, "c");
	favour.favoured = "a"; /* it is away */
	assert_int_equal(canary_judge(&favour, &s, n, 4, &next), CANARY_ASK);
	assert_string_equal(next.node, "b");
}

static void
its_word_counts_for_this_trial_only(void **state)
{
	struct store_node n[] = { node("a"), node("b") };
	struct store_staged s = staged("a", "");
	struct canary_next next;

	(void)state;
	assert_int_equal(canary_judge(&rules, &s, n, 2, &next), CANARY_WAIT);
	assert_true(next.at == NOW + 5000);
	say(&n[0], "x.example=" SHA "=5=; " TRIAL);
	assert_int_equal(canary_judge(&rules, &s, n, 2, &next), CANARY_PROMOTE);
	say(&n[0], TRIAL "HAProxy says no; x.example=" SHA "=5=");
	assert_int_equal(canary_judge(&rules, &s, n, 2, &next), CANARY_STOP);
	assert_string_equal(next.why, "HAProxy says no");
	assert_string_equal(next.node, "a");
	s.since--; /* asked again since */
	assert_int_equal(canary_judge(&rules, &s, n, 2, &next), CANARY_WAIT);
	s.since++;
	n[1].trials[0] = '\0';
	say(&n[1], TRIAL);
	s.node = "b";
	assert_int_equal(canary_judge(&rules, &s, n, 2, &next), CANARY_PROMOTE);
}

static void
one_that_dies_or_is_slow_is_followed_by_another(void **state)
{
	struct store_node n[] = { node("a"), node("b") };
	struct store_staged s = staged("a", "");
	struct canary_next next;

	(void)state;
	n[0].live = false;
	assert_int_equal(canary_judge(&rules, &s, n, 2, &next), CANARY_ASK);
	assert_string_equal(next.node, "b");
	assert_string_equal(next.tried, "a");
	n[0].live = true;
	s.since = NOW - 30000;
	assert_int_equal(canary_judge(&rules, &s, n, 2, &next), CANARY_ASK);
	assert_string_equal(next.node, "b");
	s = staged("b", "a");
	s.since = NOW - 30000;
	assert_int_equal(canary_judge(&rules, &s, n, 2, &next), CANARY_STOP);
	assert_non_null(strstr(next.why, "a,b"));
	assert_string_equal(next.tried, "");
	/* It is gone for good: not even its heartbeat is there. */
	s = staged("c", "");
	assert_int_equal(canary_judge(&rules, &s, n, 2, &next), CANARY_ASK);
	assert_string_equal(next.tried, "c");
}

static void
where_nobody_can_prove_it_nobody_has_to(void **state)
{
	struct store_node n[] = { node("a") };
	struct store_staged s = staged("", "");
	struct canary_next next;

	(void)state;
	n[0].haproxy[0] = '\0';
	assert_int_equal(canary_judge(&rules, &s, n, 1, &next), CANARY_PROMOTE);
	n[0].live = false;
	assert_int_equal(canary_judge(&rules, &s, n, 1, &next), CANARY_WAIT);
	assert_int_equal(canary_judge(&rules, &s, n, 0, &next), CANARY_WAIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_lives_by_its_id_is_asked),
		cmocka_unit_test(its_word_counts_for_this_trial_only),
		cmocka_unit_test(
		    one_that_dies_or_is_slow_is_followed_by_another),
		cmocka_unit_test(where_nobody_can_prove_it_nobody_has_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
