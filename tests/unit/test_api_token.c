#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/b64.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/api/pass.h"
#include "sync/api/quota.h"
#include "sync/api/token.h"

#define NOW INT64_C(1790000000000)
#define DAY INT64_C(86400000)

/* --- tokens -------------------------------------------------------------------- */

static void
no_two_tokens_are_alike(void **state)
{
	char a[TOKEN_SIZE], b[TOKEN_SIZE];
	char x[TOKEN_HASH_SIZE], y[TOKEN_HASH_SIZE];

	(void)state;
	token_make(a);
	token_make(b);
	assert_true(token_is(a));
	assert_true(token_is(b));
	assert_string_not_equal(a, b);
	token_hash(a, x);
	token_hash(b, y);
	assert_string_not_equal(x, y);
	assert_int_equal(strlen(x), 64);
	/* SHA-256 of "abc", FIPS 180-4. */
	token_hash("abc", x);
	assert_true(str_has_prefix(x, "BA7816BF8F01CFEA"));
}

static void
a_token_has_one_form(void **state)
{
	(void)state;
	assert_true(token_is("cft_AAAAAAAAAAAAAAAAAAAAAAAAAA-"));
	assert_false(token_is("cft_AAAAAAAAAAAAAAAAAAAAAAAAAA="));
	assert_false(token_is("cft_AAAAAAAAAAAAAAAAAAAAAAAAAA"));
	assert_false(token_is("cfx_AAAAAAAAAAAAAAAAAAAAAAAAAAA"));
	assert_false(token_is(""));
}

/* What is asked for; the complaints as text. */
static char *
ask(const char *body, struct token *t)
{
	json_t *o = json_loads(body, 0, NULL), *errors = json_object();
	char *text;
	int rc = token_ask(o, NOW, t, errors);

	assert_int_equal(rc, json_object_size(errors) > 0 ? -1 : 0);
	text = json_dumps(errors, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(errors);
	json_decref(o);
	return text;
}

static void
complains(const char *body, const char *want)
{
	struct token t;
	char *text = ask(body, &t);

	assert_string_equal(text, want);
	free(text);
	token_clear(&t);
}

static void
a_token_is_asked_for_with_a_name(void **state)
{
	(void)state;
	complains("{\"name\":\"ci\"}", "{}");
	complains("{}", "{\"name\":[\"can't be blank\"]}");
	complains("{\"name\":\"a\",\"role\":\"root\"}",
	    "{\"role\":[\"must be read, operate or admin\"]}");
	complains("{\"name\":\"a\",\"role\":null}",
	    "{\"role\":[\"must be read, operate or admin\"]}");
	complains("{\"name\":\"a\",\"days\":-1}",
	    "{\"days\":[\"must be a number from 0 (for ever) to 3650\"]}");
	complains("{\"name\":\"a\",\"days\":\"9\"}",
	    "{\"days\":[\"must be a number from 0 (for ever) to 3650\"]}");
	complains("{\"name\":\"a\",\"app\":\"x\"}",
	    "{\"app\":[\"is no field of a "
	    "token\"]}");
	complains("{\"name\":\"a\\n\"}",
	    "{\"name\":[\"must be letters, digits, spaces and any of "
	    "\\\"._@-\\\", at most 63\"]}");
}

static void
apps_are_a_list_with_something_in_it(void **state)
{
	static const char *const bad[] = { "[]", "\"shop\"", "[1]", "[\"a b\"]",
		"{}", "false" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *body = xasprintf("{\"name\":\"a\",\"apps\":%s}", bad[i]);

		complains(body, "{\"apps\":[\"must be a list of up to 64 names "
				"of apps; without it the token is for all\"]}");
		free(body);
	}
}

static void
by_default_a_token_reads_for_ninety_days(void **state)
{
	struct token t;

	(void)state;
	free(ask("{\"name\":\"ci\"}", &t));
	assert_int_equal(t.role, TOKEN_READ);
	assert_true(t.expires_at == NOW + 90 * DAY);
	assert_false(token_expired(&t, NOW + 90 * DAY - 1));
	assert_true(token_expired(&t, NOW + 90 * DAY));
	assert_true(token_owns(&t, "any"));
	assert_true(token_may(&t, TOKEN_READ));
	assert_false(token_may(&t, TOKEN_OPERATE));
	assert_false(token_may(&t, TOKEN_ADMIN));
	token_clear(&t);
	free(ask("{\"name\":\"ci\",\"days\":0,\"role\":\"admin\"}", &t));
	assert_false(token_expired(&t, INT64_MAX));
	assert_true(token_may(&t, TOKEN_ADMIN));
	assert_true(token_may(&t, TOKEN_READ));
	token_clear(&t);
}

static void
a_record_is_read_as_it_was_written(void **state)
{
	struct token t, u;
	struct err e = { 0 };
	char *record, id[TOKEN_ID_SIZE];
	json_t *shown;

	(void)state;
	free(ask("{\"name\":\"ci\",\"apps\":[\"shop\",\"blog\"],"
		 "\"role\":\"operate\",\"days\":1}",
	    &t));
	token_hash("x", t.hash);
	record = token_pack(&t);
	assert_int_equal(token_unpack(&u, t.hash, record, &e), 0);
	assert_string_equal(u.name, "ci");
	assert_int_equal(u.role, TOKEN_OPERATE);
	assert_true(u.expires_at == NOW + DAY);
	assert_true(token_owns(&u, "blog"));
	assert_false(token_owns(&u, "blo"));
	assert_false(token_owns(&u, "other"));
	token_id(&u, id);
	shown = token_show(&u, NOW);
	assert_string_equal(
	    json_string_value(json_object_get(shown, "id")), id);
	assert_true(json_is_false(json_object_get(shown, "expired")));
	json_decref(shown);
	free(record);
	token_clear(&t);
	token_clear(&u);
}

static void
a_record_that_lacks_something_gives_no_rights(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		/* Without "apps", where null says all. */
		"{\"name\":\"a\",\"role\":\"read\",\"created_at\":1,"
		"\"expires_at\":0}",
		"{\"name\":\"a\",\"role\":\"\",\"apps\":null,\"created_at\":1,"
		"\"expires_at\":0}",
		"{\"name\":\"a\",\"role\":\"read\",\"apps\":[],"
		"\"created_at\":1,\"expires_at\":0}",
		"{\"name\":\"a\",\"role\":\"read\",\"apps\":[7],"
		"\"created_at\":1,\"expires_at\":0}",
		"{\"name\":\"a\",\"role\":\"read\",\"apps\":null,"
		"\"created_at\":1}",
	};
	struct token t;
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(token_unpack(&t, "AB", bad[i], &e), -1);
		assert_int_equal(e.kind, ERR_BUG);
		assert_null(t.apps);
	}
}

/* --- passes -------------------------------------------------------------------- */

static const uint8_t key[PASS_KEY_LEN] = "0123456789abcdef0123456789abcde";
static const uint8_t other[PASS_KEY_LEN] = "1123456789abcdef0123456789abcde";

static void
a_pass_names_its_token_for_an_hour(void **state)
{
	char pass[PASS_SIZE], hash[TOKEN_HASH_SIZE], back[TOKEN_HASH_SIZE];
	struct err e = { 0 };

	(void)state;
	token_hash("x", hash);
	pass_make(key, hash, NOW, pass);
	assert_int_equal(pass_read(key, pass, NOW, back, &e), 0);
	assert_string_equal(back, hash);
	assert_int_equal(pass_read(key, pass, NOW + 3599999, back, &e), 0);
	assert_int_equal(pass_read(key, pass, NOW + 3600000, back, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_int_equal(pass_read(other, pass, NOW, back, &e), -1);
}

/* Every byte counts, and so does where it ends. */
static void
a_pass_that_was_touched_is_none(void **state)
{
	char pass[PASS_SIZE], hash[TOKEN_HASH_SIZE], back[TOKEN_HASH_SIZE];
	struct err e = { 0 };
	size_t len;

	(void)state;
	token_hash("x", hash);
	pass_make(key, hash, NOW, pass);
	len = strlen(pass);
	for (size_t i = 0; i < len; i++) {
		char was = pass[i];

		pass[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(pass_read(key, pass, NOW, back, &e), -1);
		pass[i] = was;
	}
	for (size_t i = 0; i < len; i++) {
		char was = pass[i];

		pass[i] = '\0';
		assert_int_equal(pass_read(key, pass, NOW, back, &e), -1);
		pass[i] = was;
	}
	assert_int_equal(pass_read(key, "..", NOW, back, &e), -1);
	assert_int_equal(pass_read(key, "", NOW, back, &e), -1);
	assert_int_equal(pass_read(key, pass, NOW, back, &e), 0);
}

/* What a browser has is no pass, and a pass is no session. */
static void
a_session_is_renewed_for_half_a_day(void **state)
{
	char text[PASS_SIZE], pass[PASS_SIZE], back[TOKEN_HASH_SIZE];
	int64_t late = NOW + SESSION_MS - 60000;
	struct session s;
	struct err e = { 0 };

	(void)state;
	session_make(key, "AB", NOW, NOW, text);
	assert_int_equal(session_read(key, text, NOW, &s, &e), 0);
	assert_string_equal(s.hash, "AB");
	assert_int_equal(s.begun, NOW);
	assert_int_equal(s.made, NOW);
	assert_int_equal(s.until, NOW + SESSION_MS);
	assert_int_equal(session_read(key, text, NOW + PASS_MS - 1, &s, &e), 0);
	assert_int_equal(session_read(key, text, NOW + PASS_MS, &s, &e), -1);
	assert_int_equal(session_read(other, text, NOW, &s, &e), -1);
	assert_int_equal(pass_read(key, text, NOW, back, &e), -1);
	pass_make(key, "AB", NOW, pass);
	assert_int_equal(session_read(key, pass, NOW, &s, &e), -1);

	session_make(key, "AB", NOW, late, text);
	assert_int_equal(session_read(key, text, late + 59999, &s, &e), 0);
	assert_int_equal(s.begun, NOW);
	assert_int_equal(session_read(key, text, late + 60000, &s, &e), -1);
}

static void
its_header_and_claims_are_those_of_a_jwt(void **state)
{
	char pass[PASS_SIZE], *dot;
	uint8_t text[PASS_SIZE];
	ptrdiff_t n;
	json_t *o;

	(void)state;
	pass_make(key, "AB", NOW, pass);
	dot = strchr(pass, '.');
	n = b64url_decode(text, pass, (size_t)(dot - pass));
	o = json_loadb((char *)text, (size_t)n, 0, NULL);
	assert_string_equal(
	    json_string_value(json_object_get(o, "alg")), "HS256");
	json_decref(o);
	n = b64url_decode(text, dot + 1, strcspn(dot + 1, "."));
	o = json_loadb((char *)text, (size_t)n, 0, NULL);
	assert_int_equal(
	    json_integer_value(json_object_get(o, "exp")), NOW / 1000 + 3600);
	json_decref(o);
}

/* --- pace ---------------------------------------------------------------------- */

static void
a_minute_has_so_many_and_no_more(void **state)
{
	struct quota *p = quota_new(60);

	(void)state;
	for (int i = 0; i < 60; i++)
		assert_true(quota_take(p, "a", NOW) == 0);
	assert_true(quota_take(p, "a", NOW) == 1000);
	assert_true(quota_take(p, "a", NOW + 999) == 1);
	assert_true(quota_take(p, "b", NOW) == 0);
	assert_true(quota_take(p, "a", NOW + 1000) == 0);
	assert_true(quota_take(p, "a", NOW + 1000) == 1000);
	/* A pause fills it again, and not beyond. */
	for (int i = 0; i < 60; i++)
		assert_true(quota_take(p, "a", NOW + 900000) == 0);
	assert_true(quota_take(p, "a", NOW + 900000) > 0);
	quota_free(p);
}

static void
no_limit_is_none(void **state)
{
	struct quota *p = quota_new(0);

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(quota_take(p, "a", NOW) == 0);
	quota_free(p);
}

static void
those_who_left_are_forgotten(void **state)
{
	struct quota *p = quota_new(1);
	char who[32];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		snprintf(who, sizeof(who), "t%d", i);
		assert_true(quota_take(p, who, NOW + i * 60000) == 0);
		assert_true(quota_take(p, who, NOW + i * 60000) > 0);
	}
	quota_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_two_tokens_are_alike),
		cmocka_unit_test(a_token_has_one_form),
		cmocka_unit_test(a_token_is_asked_for_with_a_name),
		cmocka_unit_test(apps_are_a_list_with_something_in_it),
		cmocka_unit_test(by_default_a_token_reads_for_ninety_days),
		cmocka_unit_test(a_record_is_read_as_it_was_written),
		cmocka_unit_test(a_record_that_lacks_something_gives_no_rights),
		cmocka_unit_test(a_pass_names_its_token_for_an_hour),
		cmocka_unit_test(a_pass_that_was_touched_is_none),
		cmocka_unit_test(a_session_is_renewed_for_half_a_day),
		cmocka_unit_test(its_header_and_claims_are_those_of_a_jwt),
		cmocka_unit_test(a_minute_has_so_many_and_no_more),
		cmocka_unit_test(no_limit_is_none),
		cmocka_unit_test(those_who_left_are_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
