#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "sync/webhook_event.h"

#define CF "ssl.custom_hostname_certificate."

/* Fields of an event, up to the first NULL. */
static struct store_event
made(const char *const *field)
{
	struct store_event e = { "1764000000000-3", field, 0 };

	while (field[2 * e.nfields] != NULL)
		e.nfields++;
	return e;
}

#define EVENT(...)                  \
	made((const char *const[]){ \
	    "name", "www.shop.test", __VA_ARGS__, NULL })

static void
event_has_cloudflares_name_where_there_is_one(void **state)
{
	const struct {
		struct store_event event;
		const char *name, *status;
	} cases[] = {
		{ EVENT("type", "issued", "version", "1"),
		    CF "issuance.succeeded", "pending_deployment" },
		{ EVENT("type", "issued", "spare", "1"),
		    CF "issuance.succeeded", "pending_deployment" },
		{ EVENT("type", "issued", "version", "2"),
		    CF "renewal.succeeded", "pending_deployment" },
		{ EVENT("type", "failed", "status", "creating"),
		    CF "issuance.failed", "pending_issuance" },
		{ EVENT("type", "failed", "status", "in_use"),
		    CF "renewal.failed", "active" },
		{ EVENT("type", "status", "status", "in_use", "proven", "1"),
		    CF "deployment.succeeded", "active" },
		{ EVENT("type", "not_served", "status", "creating"),
		    CF "deployment.failed", "pending_deployment" },
		{ EVENT("type", "status", "status", "pending_dns"),
		    CF "validation.failed", "pending_validation" },
		{ EVENT("type", "status", "status", "action_required"),
		    CF "validation.failed", "pending_validation" },
		{ EVENT("type", "removed"), CF "deletion.succeeded",
		    "deleted" },
		/* It is served, but not newly so. */
		{ EVENT("type", "status", "status", "in_use"),
		    "certfleet.domain.status", NULL },
		{ EVENT("type", "imported", "version", "1"),
		    "certfleet.domain.imported", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char name[WEBHOOK_NAME_MAX];
		const char *status = "none";

		assert_true(webhook_name(&cases[i].event, name, &status));
		assert_string_equal(name, cases[i].name);
		if (cases[i].status == NULL)
			assert_null(status);
		else
			assert_string_equal(status, cases[i].status);
	}
}

static void
event_of_no_domain_has_none(void **state)
{
	struct store_event e =
	    made((const char *const[]){ "type", "rollover", NULL });
	char name[WEBHOOK_NAME_MAX];
	const char *status;

	(void)state;
	assert_false(webhook_name(&e, name, &status));
}

static void
filter_takes_names_and_beginnings(void **state)
{
	char *names[] = { (char[]){ CF "deployment.*" },
		(char[]){ CF "issuance.failed" } };
	struct conf_list list = { names, 2 }, none = { NULL, 0 };

	(void)state;
	assert_true(webhook_wanted(&list, CF "deployment.succeeded"));
	assert_true(webhook_wanted(&list, CF "issuance.failed"));
	assert_false(webhook_wanted(&list, CF "issuance.failed.twice"));
	assert_false(webhook_wanted(&list, CF "issuance.succeeded"));
	assert_true(webhook_wanted(&none, "certfleet.domain.added"));
}

/* The example that Standard Webhooks' own libraries are tested with. */
static void
signature_is_that_of_standard_webhooks(void **state)
{
	char sig[WEBHOOK_SIGNATURE_MAX];
	struct err e;

	(void)state;
	assert_int_equal(webhook_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			     "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
			     "{\"test\": 2432232314}", sig, &e),
	    0);
	assert_string_equal(
	    sig, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void
secret_must_be_one(void **state)
{
	const char *const bad[] = { "", "short", "whsec_", "whsec_YWJj",
		"whsec_not base64 at all, is it?" };
	char sig[WEBHOOK_SIGNATURE_MAX], much[WEBHOOK_KEY_MAX + 2];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(webhook_sign(bad[i], "x", 1, "", sig, &e), -1);
	memset(much, 'k', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	assert_int_equal(webhook_sign(much, "x", 1, "", sig, &e), -1);
	much[WEBHOOK_KEY_MAX] = '\0';
	assert_int_equal(webhook_sign(much, "x", 1, "", sig, &e), 0);
}

static void
body_says_what_the_stream_does(void **state)
{
	struct store_event e = EVENT("type", "removed", "gen", "7");
	char *text = webhook_body(&e, "p0-1764000000000-3",
	    CF "deletion.succeeded", "deleted", "shop", 1764000000000);
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *data;

	(void)state;
	assert_non_null(o);
	data = json_object_get(o, "data");
	assert_string_equal(
	    json_string_value(json_object_get(data, "hostname")),
	    "www.shop.test");
	assert_string_equal(
	    json_string_value(json_object_get(data, "app")), "shop");
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(data, "certfleet"), "gen")),
	    7);
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(data, "ssl"), "expires_on")),
	    "2025-11-24T16:00:00.000Z");
	assert_string_equal(json_string_value(json_object_get(o, "timestamp")),
	    "2025-11-24T16:00:00.000Z");
	json_decref(o);
	free(text);
	assert_true(webhook_at(e.id) == 1764000000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(event_has_cloudflares_name_where_there_is_one),
		cmocka_unit_test(event_of_no_domain_has_none),
		cmocka_unit_test(filter_takes_names_and_beginnings),
		cmocka_unit_test(signature_is_that_of_standard_webhooks),
		cmocka_unit_test(secret_must_be_one),
		cmocka_unit_test(body_says_what_the_stream_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
