#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/api/site.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char console[] = "console.example.com", six[] = "[2001:db8::1]:8443";
static char *hosts[] = { console, six };
static char url[] = "https://certs.example.com:8443/api";
static struct conf conf = { .api = { .url = url,
				.hosts = { .item = hosts, .n = 2 } } };

static void
loopback_and_what_an_operator_names_are_ours(void **state)
{
	static const char *const ours[] = { "127.0.0.1", "127.0.0.1:8405",
		"127.9.9.9:1", "localhost", "LOCALHOST:8405", "[::1]",
		"[::1]:8405", "certs.example.com:8443",
		"Certs.Example.Com:8443", "console.example.com",
		"[2001:db8::1]:8443" };
	static const char *const others[] = { "", ":8405", "evil.example",
		"128.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example",
		"127.0.0.1:8405:evil", "127.0.0.1:x", "[::1", "[::1]x",
		"[::2]:8405", "certs.example.com", "certs.example.com:8444",
		"console.example.com:8443", "evil.example/127.0.0.1",
		"user@localhost", "0177.0.0.1", "2130706433", "0.0.0.0" };

	(void)state;
	for (size_t i = 0; i < COUNT(ours); i++)
		if (!site_host(&conf, ours[i]))
			fail_msg("%s is not ours", ours[i]);
	for (size_t i = 0; i < COUNT(others); i++)
		if (site_host(&conf, others[i]))
			fail_msg("%s is ours", others[i]);
}

static void
without_settings_only_loopback_is_ours(void **state)
{
	static char none[] = "";
	const struct conf plain = { .api = { .url = none } };

	(void)state;
	assert_true(site_host(&plain, "localhost:8405"));
	assert_false(site_host(&plain, "certs.example.com:8443"));
	assert_false(site_host(&plain, ""));
	assert_false(site_https(&plain, "localhost:8405"));
	assert_true(site_https(&conf, "certs.example.com:8443"));
	assert_false(site_https(&conf, "localhost:8405"));
}

static void
an_origin_is_that_site_and_no_other(void **state)
{
	static const struct {
		const char *origin, *host;
		bool https, same;
	} cases[] = {
		{ "http://localhost:8405", "localhost:8405", false, true },
		{ "https://localhost:8405", "localhost:8405", false, true },
		{ "https://a.test", "a.test", true, true },
		{ "http://a.test", "a.test", true, false },
		{ "https://a.test:1", "a.test", true, false },
		{ "https://a.test/", "a.test", true, false },
		{ "https://a.test.evil", "a.test", true, false },
		{ "https://evil/https://a.test", "a.test", true, false },
		{ "ftp://a.test", "a.test", false, false },
		{ "null", "a.test", false, false },
		{ "", "", false, false },
		{ "a.test", "a.test", false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (site_origin(cases[i].origin, cases[i].host,
			cases[i].https) != cases[i].same)
			fail_msg("%s at %s", cases[i].origin, cases[i].host);
}

static void
a_cookie_is_found_by_its_whole_name(void **state)
{
	static const struct {
		const char *header, *value; /* NULL: there is none */
	} cases[] = {
		{ "certfleet=x", "x" },
		{ "a=b; certfleet=x.y-z; c=d", "x.y-z" },
		{ "certfleet=x; certfleet=y", "x" },
		{ "certfleet=", "" },
		{ "", NULL },
		{ "certfleet", NULL },
		{ "xcertfleet=x", NULL },
		{ "certfleets=x", NULL },
		{ "a=certfleet=x", NULL },
		{ "certfleet=0123456789", NULL }, /* does not fit */
		{ ";; ;", NULL },
	};
	char out[8];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool found =
		    site_cookie(cases[i].header, "certfleet", out, sizeof(out));

		if (found != (cases[i].value != NULL))
			fail_msg("\"%s\"", cases[i].header);
		if (found)
			assert_string_equal(out, cases[i].value);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loopback_and_what_an_operator_names_are_ours),
		cmocka_unit_test(without_settings_only_loopback_is_ours),
		cmocka_unit_test(an_origin_is_that_site_and_no_other),
		cmocka_unit_test(a_cookie_is_found_by_its_whole_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
