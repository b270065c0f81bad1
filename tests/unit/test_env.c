#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "sync/env.h"

static struct env env;
static struct err e;

static int
set_up(void **state)
{
	(void)state;
	env_init(&env);
	memset(&e, 0, sizeof(e));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	env_clear(&env);
	return 0;
}

static void
put(const char *name, const char *value)
{
	if (env_put(&env, name, value, &e) == -1)
		fail_msg("%s", e.text);
}

static void
refused(const char *name, const char *value, const char *sentence)
{
	assert_int_equal(env_put(&env, name, value, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_string_equal(e.text, sentence);
}

static void
variables_are_kept_in_order_and_replaced(void **state)
{
	(void)state;
	put("DNS_PROVIDER", "ovh");
	put("DNS_OVH_ENDPOINT", "ovh-eu");
	put("DNS_AZURE_TENANT_ID", "t");
	put("DNS_OVH_ENDPOINT", "ovh-ca");
	assert_int_equal(env.n, 3);
	assert_string_equal(env.variable[0].name, "DNS_AZURE_TENANT_ID");
	assert_string_equal(env.variable[1].name, "DNS_OVH_ENDPOINT");
	assert_string_equal(env_get(&env, "DNS_OVH_ENDPOINT"), "ovh-ca");
	assert_true(env_remove(&env, "DNS_OVH_ENDPOINT"));
	assert_false(env_remove(&env, "DNS_OVH_ENDPOINT"));
	assert_null(env_get(&env, "DNS_OVH_ENDPOINT"));
	assert_string_equal(env_get(&env, "DNS_PROVIDER"), "ovh");
	assert_int_equal(env.n, 2);
}

static void
a_slip_is_told_and_no_value(void **state)
{
	(void)state;
	refused("DNS_OVH_APPLICATION_KEYS", "s3cret",
	    "DNS_OVH_APPLICATION_KEYS is no variable of a DNS provider; did "
	    "you mean DNS_OVH_APPLICATION_KEY?");
	refused("DNS_PROVIDR", "ovh",
	    "DNS_PROVIDR is no variable of a DNS provider; did you mean "
	    "DNS_PROVIDER?");
	refused(
	    "PATH\n", "s3cret", "PATH\\x0a is no variable of a DNS provider");
	refused("DNS_PROVIDER", " \n",
	    "DNS_PROVIDER is empty; unset it to be without it");
	assert_int_equal(env.n, 0);
}

static void
a_value_has_a_length(void **state)
{
	char *value = xcalloc(1, ENV_VALUE_MAX + 2);

	(void)state;
	memset(value, 'x', ENV_VALUE_MAX + 1);
	refused("DNS_GCLOUD_JSON_KEYS", value,
	    "DNS_GCLOUD_JSON_KEYS has more than 16384 characters");
	value[ENV_VALUE_MAX] = '\0';
	put("DNS_GCLOUD_JSON_KEYS", value);
	free(value);
}

static void
only_what_says_where_is_plain(void **state)
{
	(void)state;
	assert_true(env_plain("DNS_PROVIDER"));
	assert_true(env_plain("DNS_OVH_ENDPOINT"));
	assert_false(env_plain("DNS_OVH_APPLICATION_SECRET"));
	assert_false(env_plain("DNS_GCLOUD_JSON_KEYS"));
	assert_false(env_plain("SOMETHING"));
}

static void
what_is_packed_is_unpacked(void **state)
{
	struct buf text;
	struct env again;

	(void)state;
	put("DNS_PROVIDER", "gcloud");
	put("DNS_GCLOUD_JSON_KEYS", "{\n\"a\": 1}\n");
	buf_init(&text, ENV_MAX);
	env_init(&again);
	assert_int_equal(env_pack(&env, &text, &e), 0);
	assert_int_equal(env_unpack(&again, text.p, text.len, &e), 0);
	assert_int_equal(again.n, 2);
	assert_string_equal(
	    env_get(&again, "DNS_GCLOUD_JSON_KEYS"), "{\n\"a\": 1}\n");
	env_clear(&again);
	assert_int_equal(env_unpack(&again, text.p, text.len - 1, &e), -1);
	assert_int_equal(e.kind, ERR_BUG);
	env_clear(&again);
	assert_int_equal(env_unpack(&again, "A\0", 2, &e), -1);
	env_clear(&again);
	buf_wipe(&text);
}

static void
without_a_provider_nothing_must_be_complete(void **state)
{
	struct provider_access a;
	struct provider_vars bad;

	(void)state;
	put("DNS_OVH_APPLICATION_KEY", "k");
	assert_int_equal(env_access(&env, &a, &bad, &e), 0);
	provider_access_clear(&a);
}

static void
what_is_missing_is_named_in_one_sentence(void **state)
{
	struct provider_access a;
	struct provider_vars bad;

	(void)state;
	put("DNS_PROVIDER", "ovh");
	put("DNS_OVH_ENDPOINT", "ovh-eu");
	put("DNS_OVH_APPLICATION_KEY", "k");
	assert_int_equal(env_access(&env, &a, &bad, &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_string_equal(e.text,
	    "ovh needs DNS_OVH_APPLICATION_SECRET and DNS_OVH_CONSUMER_KEY, "
	    "which are not set");
	assert_int_equal(bad.n, 2);
	provider_access_clear(&a);
}

static void
a_provider_is_known_by_its_name_or_another(void **state)
{
	struct provider_access a;
	struct provider_vars bad;

	(void)state;
	put("DNS_PROVIDER", "gandipat\n"); /* as a file has it */
	put("DNS_GANDI_PERSONAL_ACCESS_TOKEN", "t");
	assert_int_equal(env_access(&env, &a, &bad, &e), 1);
	assert_string_equal(a.provider->name, "gandiv5");
	assert_true(env_concerns(a.provider, "DNS_PROVIDER"));
	assert_true(
	    env_concerns(a.provider, "DNS_GANDI_PERSONAL_ACCESS_TOKEN"));
	assert_false(env_concerns(a.provider, "DNS_OVH_ENDPOINT"));
	provider_access_clear(&a);
	put("DNS_PROVIDER", "bind");
	assert_int_equal(env_access(&env, &a, &bad, &e), -1);
	assert_string_equal(e.text,
	    "DNS_PROVIDER is \"bind\"; it can be one of azure, cloudflare, "
	    "dnsimple, gandi, gandiv5, gcloud, godaddy, ovh, route53");
	assert_int_equal(bad.n, 1);
	assert_string_equal(bad.name[0], "DNS_PROVIDER");
	provider_access_clear(&a);
}

static void
a_sentence_names_variables(void **state)
{
	const char *names[PROVIDER_SETTINGS_MAX], *provider;

	(void)state;
	assert_int_equal(env_named("ovh does not accept the credentials in "
				   "DNS_OVH_APPLICATION_KEY, DNS_OVH_NOTHING, "
				   "DNS_OVH_CONSUMER_KEY: DNS is down",
			     names, &provider),
	    2);
	assert_string_equal(names[0], "DNS_OVH_APPLICATION_KEY");
	assert_string_equal(names[1], "DNS_OVH_CONSUMER_KEY");
	assert_string_equal(provider, "ovh");
	assert_int_equal(
	    env_named("DNS_PROVIDER is \"x\"", names, &provider), 1);
	assert_null(provider);
	assert_int_equal(env_named("", names, &provider), 0);
	assert_int_equal(env_named("no D", names, &provider), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(variables_are_kept_in_order_and_replaced),
		TEST(a_slip_is_told_and_no_value),
		TEST(a_sentence_names_variables),
		TEST(a_value_has_a_length),
		TEST(only_what_says_where_is_plain),
		TEST(what_is_packed_is_unpacked),
		TEST(without_a_provider_nothing_must_be_complete),
		TEST(what_is_missing_is_named_in_one_sentence),
		TEST(a_provider_is_known_by_its_name_or_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
