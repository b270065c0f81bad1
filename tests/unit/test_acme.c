#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/b64.h"
#include "common/mem.h"
#include "sync/acme.h"
#include "sync/cert.h"

static json_t *
parse(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	return j;
}

/* Let's Encrypt's own directory, shortened, has a member nobody knows. */
static void
a_directory_is_read_and_resources_found_by_name(void **state)
{
	json_t *j =
	    parse("{\"LMkoKG_evME\":\"https://community.letsencrypt.org/t/x\","
		  "\"keyChange\":\"https://ca.test/k\",\"meta\":{"
		  "\"caaIdentities\":[\"letsencrypt.org\"],\"profiles\":{"
		  "\"classic\":\"https://ca.test/c\",\"tlsserver\":\"x\"},"
		  "\"externalAccountRequired\":true,"
		  "\"termsOfService\":\"https://ca.test/tos.pdf\"},"
		  "\"newAccount\":\"https://ca.test/a\","
		  "\"newNonce\":\"https://ca.test/n\","
		  "\"newOrder\":\"https://ca.test/o\",\"revokeCert\":7}");
	struct acme_directory d;
	struct err e;

	(void)state;
	assert_int_equal(acme_directory_parse(&d, j, &e), 0);
	assert_string_equal(
	    acme_directory_url(&d, "newOrder"), "https://ca.test/o");
	assert_string_equal(
	    acme_directory_url(&d, "https://x/1"), "https://x/1");
	assert_null(acme_directory_url(&d, "revokeCert"));
	assert_null(acme_directory_url(&d, "renewalInfo"));
	assert_string_equal(d.terms, "https://ca.test/tos.pdf");
	assert_true(d.eab_required);
	assert_int_equal(d.nprofiles, 2);
	assert_string_equal(d.profile[0], "classic");
	assert_int_equal(acme_profile_check(&d, "tlsserver", &e), 0);
	assert_int_equal(acme_profile_check(&d, NULL, &e), 0);
	assert_int_equal(acme_profile_check(&d, "short", &e), -1);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_string_equal(e.type, "invalidProfile");
	assert_string_equal(e.text,
	    "the CA has no profile \"short\" as the setting profile wants; it "
	    "offers classic, tlsserver");
	acme_directory_clear(&d);
	assert_int_equal(acme_profile_check(&d, "short", &e), -1);
	assert_non_null(strstr(e.text, "it offers none at all"));
	assert_int_equal(acme_profile_check(&d, NULL, &e), 0);
	acme_directory_clear(&d);
	json_decref(j);
}

static void
what_is_no_directory_is_said_to_be_none(void **state)
{
	static const char *const bad[] = { "{}", "[]",
		"{\"newNonce\":\"/n\",\"newAccount\":\"/a\"}",
		("{\"newNonce\":\"/n\",\"newAccount\":\"\","
		 "\"newOrder\":\"/o\"}") };
	struct acme_directory d;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *j = parse(bad[i]);

		assert_int_equal(acme_directory_parse(&d, j, &e), -1);
		assert_int_equal(e.kind, ERR_BUG);
		acme_directory_clear(&d);
		json_decref(j);
	}
	assert_int_equal(acme_directory_parse(&d, NULL, &e), -1);
	assert_string_equal(
	    e.text, "this is not an ACME directory: no newNonce in it");
}

static void
urls_lead_to_the_cas_own_hosts(void **state)
{
	static char host[] = "cdn.ca.test", port[] = "other.test:8443";
	static char *allowed[] = { host, port };
	static const struct conf_list allow = { allowed, 2 };
	static const struct {
		const char *url;
		bool strict, test; /* accepted? */
	} cases[] = {
		{ "https://ca.test/order/1", true, true },
		{ "https://CA.test:443/order/1", true, true },
		{ "https://cdn.ca.test/cert", true, true },
		{ "https://other.test:8443/", true, true },
		{ "https://other.test/", false, true },
		{ "https://ca.test:8443/", false, true },
		{ "https://evil.test/", false, true },
		{ "https://ca.test.evil.test/", false, true },
		{ "http://ca.test/", false, true },
		{ "https://ca.test@evil.test/", false, false },
		{ "https://ca.test:pw@evil.test/", false, false },
		{ "https://ca.test\\@evil.test/", false, false },
		{ "https://ca.test /", false, false },
		{ "https://ca.test/\r\nHost: x", false, false },
		{ "https://ca.test:/", false, false },
		{ "https:///x", false, false },
		{ "https://[::1]:1/x", false, true },
		{ "file:///etc/passwd", false, false },
		{ "ftp://ca.test/", false, false },
		{ "/relative", false, false },
		{ "", false, false },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *home = "https://ca.test/directory";

		assert_int_equal(
		    acme_url_check(cases[i].url, home, &allow, false, &e),
		    cases[i].strict ? 0 : -1);
		assert_int_equal(
		    acme_url_check(cases[i].url, home, &allow, true, &e),
		    cases[i].test ? 0 : -1);
	}
}

static void
a_long_url_is_refused(void **state)
{
	static const struct conf_list none = { NULL, 0 };
	char url[ACME_URL_MAX + 1] = "https://ca.test/";
	struct err e;

	(void)state;
	memset(url + strlen(url), 'a', sizeof(url) - strlen(url) - 1);
	assert_int_equal(
	    acme_url_check(url, "https://ca.test/d", &none, true, &e), -1);
	url[ACME_URL_MAX - 1] = '\0';
	assert_int_equal(
	    acme_url_check(url, "https://ca.test/d", &none, true, &e), 0);
}

/* Every kind is a cure: this table is the promise to the retry policy. */
static void
problems_become_their_cure(void **state)
{
	static const struct {
		int status;
		const char *type;
		enum err_kind kind;
	} cases[] = {
		{ 400, "badNonce", ERR_AGAIN },
		{ 500, "serverInternal", ERR_AGAIN },
		{ 502, "", ERR_AGAIN },
		{ 503, "rateLimited", ERR_LIMITED },
		{ 429, "rateLimited", ERR_LIMITED },
		{ 429, "", ERR_LIMITED },
		{ 403, "unauthorized", ERR_REFUSED },
		{ 403, "caa", ERR_REFUSED },
		{ 400, "dns", ERR_REFUSED },
		{ 400, "connection", ERR_REFUSED },
		{ 400, "tls", ERR_REFUSED },
		{ 400, "incorrectResponse", ERR_REFUSED },
		{ 400, "rejectedIdentifier", ERR_REFUSED },
		{ 400, "unsupportedIdentifier", ERR_REFUSED },
		{ 400, "malformed", ERR_BUG },
		{ 404, "malformed", ERR_BUG },
		{ 400, "badCSR", ERR_BUG },
		{ 400, "accountDoesNotExist", ERR_CONFIG },
		{ 401, "externalAccountRequired", ERR_CONFIG },
		{ 403, "userActionRequired", ERR_CONFIG },
		{ 409, "conflict", ERR_AGAIN },
		{ 403, "orderNotReady", ERR_AGAIN },
		{ 400, "neverHeardOf", ERR_BUG },
		{ 302, "", ERR_BUG },
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *urn =
		    xasprintf("urn:ietf:params:acme:error:%s", cases[i].type);
		struct acme_answer a = { .status = cases[i].status,
			.retry_ms = 1234 };

		a.body = json_pack("{s:s, s:s}", "type", urn, "detail", "so");
		assert_int_equal(acme_problem(&a, &e), -1);
		assert_int_equal(e.kind, cases[i].kind);
		assert_string_equal(e.type, cases[i].type);
		assert_string_equal(e.text, "CA says: so");
		assert_int_equal(e.retry_ms, 1234);
		json_decref(a.body);
		free(urn);
	}
}

static void
a_closed_account_is_the_operators(void **state)
{
	json_t *j = parse("{\"type\":\"urn:ietf:params:acme:error:"
			  "unauthorized\",\"detail\":\"Account is not valid, "
			  "has status \\\"deactivated\\\"\"}");
	struct acme_answer a = { .status = 403, .body = j };
	struct err e;

	(void)state;
	acme_problem(&a, &e);
	assert_int_equal(e.kind, ERR_CONFIG);
	json_decref(j);
	a.body = j =
	    parse("{\"type\":\"urn:ietf:params:acme:error:unauthorized\"}");
	a.account = true;
	acme_problem(&a, &e);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_string_equal(e.text, "CA answered 403 without saying why");
	json_decref(j);
}

static void
the_first_subproblem_says_which_name(void **state)
{
	json_t *j = parse(
	    "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\","
	    "\"detail\":\"Error creating new order\\u0007\",\"subproblems\":["
	    "{\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"},"
	    "\"detail\":\"policy\\nforbids\"},{\"detail\":\"second\"}]}");
	struct acme_answer a = { .status = 400, .body = j };
	struct err e;

	(void)state;
	acme_problem(&a, &e);
	assert_string_equal(e.text, "CA says: Error creating new order\\x07; "
				    "a.test: policy\\x0aforbids");
	json_decref(j);
}

static void
long_details_are_cut_between_characters(void **state)
{
	json_t *j = json_object(), *s;
	struct acme_answer a = { .status = 400, .body = j };
	char text[1001];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	text[1000] = '\0';
	s = json_string(text);
	json_object_set_new(j, "detail", s);
	acme_problem(&a, &e);
	/* Valid UTF-8 to the end: jansson refuses anything else. */
	s = json_string(e.text);
	assert_non_null(s);
	json_decref(s);
	json_decref(j);
}

static json_t *
decoded(json_t *jws, const char *name)
{
	const char *text = json_string_value(json_object_get(jws, name));
	uint8_t bytes[4096];
	ptrdiff_t len = b64url_decode(bytes, text, strlen(text));

	assert_true(len > 0);
	return json_loadb((char *)bytes, (size_t)len, 0, NULL);
}

static void
requests_are_signed_for_their_url_and_nonce(void **state)
{
	char *pem = cert_key_new();
	struct err e;
	struct jose_key *k = jose_key_new(pem, &e);
	json_t *payload = json_pack("{s:s}", "a", "b"), *jws, *header;
	struct buf out;

	(void)state;
	buf_init(&out, ACME_REQUEST_MAX);
	assert_int_equal(acme_request(k, "https://ca/1", "https://ca/acct/9",
			     "n0nce", payload, &out, &e),
	    0);
	jws = parse(out.p);
	header = decoded(jws, "protected");
	assert_string_equal(json_string_value(json_object_get(header, "kid")),
	    "https://ca/acct/9");
	assert_string_equal(
	    json_string_value(json_object_get(header, "url")), "https://ca/1");
	assert_string_equal(
	    json_string_value(json_object_get(header, "nonce")), "n0nce");
	assert_null(json_object_get(header, "jwk"));
	json_decref(header);
	header = decoded(jws, "payload");
	assert_true(json_equal(header, payload));
	json_decref(header);
	json_decref(jws);
	buf_clear(&out);

	/* POST-as-GET: an empty payload, which is not an empty object. */
	assert_int_equal(
	    acme_request(k, "https://ca/1", NULL, "n", NULL, &out, &e), 0);
	jws = parse(out.p);
	assert_string_equal(
	    json_string_value(json_object_get(jws, "payload")), "");
	header = decoded(jws, "protected");
	assert_non_null(json_object_get(header, "jwk"));
	assert_null(json_object_get(header, "kid"));
	json_decref(header);
	json_decref(jws);
	buf_clear(&out);
	json_decref(payload);
	jose_key_free(k);
	mem_wipe_free(pem);
}

static void
a_new_account_may_be_bound_to_an_external_one(void **state)
{
	static char mail[] = "mailto:ops@example.com";
	static char *item[] = { mail };
	static const struct conf_list contact = { item, 1 }, none = { NULL, 0 };
	char *pem = cert_key_new();
	struct err e;
	struct jose_key *k = jose_key_new(pem, &e);
	json_t *p, *jws, *part;

	(void)state;
	p = acme_new_account(k, "https://ca/a", &none, false, "", "", &e);
	assert_int_equal(json_object_size(p), 0);
	json_decref(p);

	p = acme_new_account(
	    k, "https://ca/a", &contact, true, "kid-1", "c2VjcmV0", &e);
	assert_true(json_is_true(json_object_get(p, "termsOfServiceAgreed")));
	assert_int_equal(json_array_size(json_object_get(p, "contact")), 1);
	jws = json_object_get(p, "externalAccountBinding");
	part = decoded(jws, "protected");
	assert_string_equal(
	    json_string_value(json_object_get(part, "kid")), "kid-1");
	assert_string_equal(
	    json_string_value(json_object_get(part, "url")), "https://ca/a");
	assert_string_equal(
	    json_string_value(json_object_get(part, "alg")), "HS256");
	assert_null(json_object_get(part, "nonce"));
	json_decref(part);
	part = decoded(jws, "payload");
	jws = jose_jwk(k);
	assert_true(json_equal(part, jws));
	json_decref(jws);
	json_decref(part);
	json_decref(p);

	assert_null(acme_new_account(
	    k, "https://ca/a", &none, true, "kid-1", "not base64!", &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	jose_key_free(k);
	mem_wipe_free(pem);
}

/* Section 6.5.1: invalid values must be ignored. */
static void
nonces_are_base64url(void **state)
{
	char text[ACME_NONCE_MAX + 1];

	(void)state;
	assert_true(acme_nonce_valid("oFvnlFP1wIhRlYS2jTaXbA-_"));
	assert_false(acme_nonce_valid(""));
	assert_false(acme_nonce_valid("a b"));
	assert_false(acme_nonce_valid("a\"b"));
	assert_false(acme_nonce_valid("aa=="));
	memset(text, 'a', sizeof(text));
	text[ACME_NONCE_MAX] = '\0';
	assert_false(acme_nonce_valid(text));
	text[ACME_NONCE_MAX - 1] = '\0';
	assert_true(acme_nonce_valid(text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_directory_is_read_and_resources_found_by_name),
		cmocka_unit_test(what_is_no_directory_is_said_to_be_none),
		cmocka_unit_test(urls_lead_to_the_cas_own_hosts),
		cmocka_unit_test(a_long_url_is_refused),
		cmocka_unit_test(problems_become_their_cure),
		cmocka_unit_test(a_closed_account_is_the_operators),
		cmocka_unit_test(the_first_subproblem_says_which_name),
		cmocka_unit_test(long_details_are_cut_between_characters),
		cmocka_unit_test(requests_are_signed_for_their_url_and_nonce),
		cmocka_unit_test(a_new_account_may_be_bound_to_an_external_one),
		cmocka_unit_test(nonces_are_base64url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
