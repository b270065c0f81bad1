#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/txt.h"

static void
an_entry_is_read_as_it_was_written(void **state)
{
	char sealed[] = "c2VhbGVk";
	struct txt t = { .domain = "*.shop.example",
		.app = "shop",
		.provider = "ovh",
		.fqdn = "_acme-challenge.shop.example",
		.value = "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ",
		.zone = "shop.example",
		.record_id = "5212",
		.at = 1780000000000,
		.sealed = sealed };
	struct txt back;
	struct err e = { 0 };
	char *text = txt_write(&t), key[TXT_KEY_MAX];

	(void)state;
	assert_int_equal(txt_read(&back, text, &e), 0);
	assert_string_equal(back.sealed, sealed);
	txt_clear(&back);
	back.sealed = sealed;
	assert_memory_equal(&back, &t, sizeof(t));
	free(text);
	txt_key(&t, key);
	assert_string_equal(key, "_acme-challenge.shop.example "
				 "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ");
}

static void
what_is_not_ours_is_refused(void **state)
{
	static const char *const bad[] = { "", "{}", "[]", "not JSON",
		"{\"domain\":\"a.test\",\"app\":\"a\",\"provider\":\"\","
		"\"fqdn\":\"x\",\"value\":\"\",\"zone\":\"\",\"zone_id\":\"\","
		"\"record_id\":\"\",\"at\":1}",
		"{\"domain\":\"a.test\",\"app\":\"a\",\"provider\":"
		"\"a-name-that-is-too-long\",\"fqdn\":\"x\",\"value\":\"v\","
		"\"zone\":\"\",\"zone_id\":\"\",\"record_id\":\"\",\"at\":1}" };
	struct err e = { 0 };
	struct txt t;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(txt_read(&t, bad[i], &e), -1);
	assert_int_equal(e.kind, ERR_BUG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_read_as_it_was_written),
		cmocka_unit_test(what_is_not_ours_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
