#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "providers/gcloud_key.h"

#define MEMBERS                                                                \
	"\"project_id\":\"p\",\"client_email\":\"a@b\",\"private_key\":\"k\"," \
	"\"private_key_id\":\"1\","
#define ACCOUNT "{\"type\":\"service_account\"," MEMBERS

static int
parse(const char *text, struct err *e)
{
	struct gcloud_key k;
	int rc = gcloud_key_parse(&k, text, e);

	if (rc == 0) {
		assert_string_equal(k.project, "p");
		assert_string_equal(k.key_id, "1");
	}
	gcloud_key_clear(&k);
	return rc;
}

/* {"type":"service_account",...,"x":"???>>>"} has + and / in base64. */
static void
every_form_of_base64_and_the_json_itself_are_read(void **state)
{
	static const char *const forms[] = {
		ACCOUNT "\"token_uri\":\"https://oauth2.googleapis.com/"
			"token\"}",
		/* Lines and padding, then the URL form with neither. */
		"eyJ0eXBlIjoic2VydmljZV9hY2NvdW50IiwicHJvamVjdF9pZCI6InAiLCJj"
		"bGllbnRfZW1haWwi\nOiJhQGIiLCJwcml2YXRlX2tleSI6ImsiLCJwcml2YXR"
		"lX2tleV9pZCI6IjEiLCJ0b2tlbl91cmki\r\nOiJodHRwczovL2FjY291bnRz"
		"Lmdvb2dsZS5jb20vbyIsIngiOiI/Pz8+Pj4ifQ==\n",
		"eyJ0eXBlIjoic2VydmljZV9hY2NvdW50IiwicHJvamVjdF9pZCI6InAiLCJj"
		"bGllbnRfZW1haWwiOiJhQGIiLCJwcml2YXRlX2tleSI6ImsiLCJwcml2YXRl"
		"X2tleV9pZCI6IjEiLCJ0b2tlbl91cmkiOiJodHRwczovL2FjY291bnRzLmdv"
		"b2dsZS5jb20vbyIsIngiOiI_Pz8-Pj4ifQ",
	};
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (parse(forms[i], &e) == -1)
			fail_msg("%zu: %s", i, e.text);
}

static void
other_things_are_refused_in_a_sentence(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "@@@", "is not the JSON key file" },
		{ "e30", "is not the JSON key file" },
		{ "{}", "is not the JSON key file" },
		{ "{\"type\":\"authorized_user\"}", "another type" },
		{ ACCOUNT "\"token_uri\":1}", "is not the JSON key file" },
		{ ACCOUNT "\"token_uri\":\"http://oauth2.googleapis.com/\"}",
		    "not Google's" },
		{ ACCOUNT "\"token_uri\":\"https://evilgoogleapis.com/\"}",
		    "not Google's" },
		{ ACCOUNT "\"token_uri\":\"https://x@evil.com/"
			  ".googleapis.com\"}",
		    "not Google's" },
		{ ACCOUNT "\"token_uri\":\"https://x.googleapis.com:1@evil/\"}",
		    "not Google's" },
		{ ACCOUNT "\"token_uri\":\"https://evil?.googleapis.com\"}",
		    "not Google's" },
	};
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(cases[i].text, &e), -1);
		assert_int_equal(e.kind, ERR_CONFIG);
		if (strstr(e.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].text, e.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    every_form_of_base64_and_the_json_itself_are_read),
		cmocka_unit_test(other_things_are_refused_in_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
