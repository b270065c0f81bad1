#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/domain.h"
#include "sync/gens.h"

static void
what_is_written_is_read_again(void **state)
{
	static const char *const texts[] = { "0", "12", "12,4,9",
		"9223372036854775807,0" };
	char text[GENS_TEXT_MAX];
	struct gens g;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(gens_parse(&g, texts[i]), 0);
		gens_format(&g, text);
		assert_string_equal(text, texts[i]);
	}
	g.n = GENS_MAX;
	for (int i = 0; i < GENS_MAX; i++)
		g.gen[i] = INT64_MAX - i;
	gens_format(&g, text);
	assert_int_equal(gens_parse(&g, text), 0);
	assert_int_equal(g.n, GENS_MAX);
	assert_true(g.gen[GENS_MAX - 1] == INT64_MAX - GENS_MAX + 1);
}

static void
nonsense_says_nothing(void **state)
{
	static const char *const texts[] = { "", ",", "1,", ",1", "1,,2", "-1",
		"1, 2", "x", "9223372036854775808",
		"1000000000000000000000000000000000" };
	char many[3 * GENS_MAX];
	struct gens g;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(gens_parse(&g, texts[i]), -1);
		assert_false(gens_reached(&g, "www.example.com", 0));
	}
	for (int i = 0; i <= GENS_MAX; i++)
		memcpy(many + 2 * i, "1,", 3);
	many[2 * GENS_MAX + 1] = '\0';
	assert_int_equal(gens_parse(&g, many), -1);
}

static void
a_domain_is_compared_with_its_own_partition(void **state)
{
	struct gens g = { .n = 4 };
	const char *name = "www.example.com";
	int p = domain_partition(name, 4);

	(void)state;
	for (int i = 0; i < 4; i++)
		g.gen[i] = i == p ? 5 : 9;
	assert_true(gens_reached(&g, name, 5));
	assert_false(gens_reached(&g, name, 6));
}

static void
the_higher_of_two_is_kept(void **state)
{
	struct gens g = { 2, { 3, 8 } };
	const struct gens by = { 2, { 5, 1 } }, other = { 1, { 1 } };

	(void)state;
	gens_raise(&g, &by);
	assert_true(g.gen[0] == 5 && g.gen[1] == 8);
	assert_true(gens_sum(&g) == 13);
	assert_false(gens_equal(&g, &by));
	gens_raise(&g, &other);
	assert_true(gens_equal(&g, &other));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(nonsense_says_nothing),
		cmocka_unit_test(a_domain_is_compared_with_its_own_partition),
		cmocka_unit_test(the_higher_of_two_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
