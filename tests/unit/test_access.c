/* An app's variables: complete, clean, and named when they are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "providers/provider.h"
#include "providers/step.h"
#include "providers/txt.h"

/* Pairs of name and value, NULL at the end. */
static const char *
value_of(void *arg, const char *name)
{
	const char *const *var = arg;

	for (; var[0] != NULL; var += 2)
		if (strcmp(var[0], name) == 0)
			return var[1];
	return NULL;
}

static int
init(struct provider_access *a, const char *provider, const char **vars,
    struct provider_vars *bad, struct err *e)
{
	return provider_access_init(
	    a, provider_get(provider, e), value_of, vars, bad, e);
}

static void
every_missing_variable_is_named(void **state)
{
	const char *vars[] = { NULL };
	struct provider_access a;
	struct provider_vars bad;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(init(&a, "cloudflare", vars, &bad, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_string_equal(e.text,
	    "cloudflare needs DNS_CLOUDFLARE_EMAIL and "
	    "DNS_CLOUDFLARE_API_KEY, which are not set");
	assert_int_equal(bad.n, 2);
	assert_string_equal(bad.name[1], "DNS_CLOUDFLARE_API_KEY");
	provider_access_clear(&a);
}

static void
blank_is_missing_and_blanks_at_the_end_are_cut(void **state)
{
	const char *vars[] = { "DNS_CLOUDFLARE_EMAIL", "a@example.com \r\n",
		"DNS_CLOUDFLARE_API_KEY", " \n", NULL };
	struct provider_access a;
	struct provider_vars bad;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(init(&a, "cloudflare", vars, &bad, &e), -1);
	assert_int_equal(bad.n, 1);
	assert_string_equal(bad.name[0], "DNS_CLOUDFLARE_API_KEY");
	assert_string_equal(a.credential[0], "a@example.com");
	provider_access_clear(&a);
}

static void
one_complete_way_to_sign_in_is_enough(void **state)
{
	const char *vars[] = { "DNS_CLOUDFLARE_EMAIL", "a@example.com",
		"DNS_CLOUDFLARE_API_TOKEN", "token", NULL };
	struct provider_access a;
	struct provider_vars bad;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(init(&a, "cloudflare", vars, &bad, &e), 0);
	assert_int_equal(bad.n, 0);
	provider_access_clear(&a);
}

static void
control_characters_are_refused_without_showing_the_value(void **state)
{
	const char *vars[] = { "DNS_CLOUDFLARE_API_TOKEN", "token\nX-Evil: 1",
		NULL };
	struct provider_access a;
	struct provider_vars bad;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(init(&a, "cloudflare", vars, &bad, &e), -1);
	assert_string_equal(bad.name[0], "DNS_CLOUDFLARE_API_TOKEN");
	assert_null(strstr(e.text, "Evil"));
	provider_access_clear(&a);
}

static void
an_unknown_provider_lists_those_there_are(void **state)
{
	struct err e = { 0 };

	(void)state;
	assert_null(provider_get("cloudfare", &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "cloudfare"));
	for (size_t i = 0; provider_at(i) != NULL; i++)
		assert_non_null(strstr(e.text, provider_at(i)->name));
}

static void
presented_values_mean_the_same(void **state)
{
	static const struct {
		const char *presented, *value;
	} cases[] = {
		{ "V", "V" },
		{ "\"V\"", "V" },
		{ "\"a\" \"b\"", "ab" },
		{ "\"a\"\"b\"", "ab" },
		{ "\"x\\\"y\"", "x\"y" },
		{ "\"x\\\\y\"", "x\\y" },
		{ "\"\\065\"", "A" },
		{ "\"\"", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_true(txt_same(cases[i].presented, cases[i].value));
	assert_false(txt_same("\"V", "V"));
	assert_false(txt_same("\"V\" W", "VW"));
	assert_false(txt_same("\"\\25\"", "\031"));
	assert_false(txt_same("\"\\256\"", ""));
	assert_false(txt_same("v", "V"));
	assert_false(txt_same("V ", "V"));
}

static void
a_long_value_becomes_several_strings(void **state)
{
	char value[512];
	struct buf b;

	(void)state;
	memset(value, 'x', sizeof(value));
	value[511] = '\0';
	value[3] = '"';
	buf_init(&b, 2048);
	assert_int_equal(txt_quote(&b, value), 0);
	assert_int_equal(b.len, 511 + 1 + 2 + 2 * 3);
	assert_true(txt_same(b.p, value));
	buf_clear(&b);
}

/* RFC 1035: "notexample.com" is not below "example.com". */
static void
zones_match_on_label_boundaries(void **state)
{
	(void)state;
	assert_true(step_below("a.example.com", "example.com"));
	assert_true(step_below("example.com", "example.com"));
	assert_false(step_below("notexample.com", "example.com"));
	assert_false(step_below("com", "example.com"));
	assert_false(step_below("example.com", ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_missing_variable_is_named),
		cmocka_unit_test(
		    blank_is_missing_and_blanks_at_the_end_are_cut),
		cmocka_unit_test(one_complete_way_to_sign_in_is_enough),
		cmocka_unit_test(
		    control_characters_are_refused_without_showing_the_value),
		cmocka_unit_test(an_unknown_provider_lists_those_there_are),
		cmocka_unit_test(presented_values_mean_the_same),
		cmocka_unit_test(a_long_value_becomes_several_strings),
		cmocka_unit_test(zones_match_on_label_boundaries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
