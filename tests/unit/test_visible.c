#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/visible.h"

static char good[] = "GOOD", also[] = "ALSO";
static char *wanted[] = { good, also };

#define NAME "_acme-challenge.shop.example"
#define SILENT "does not answer"
#define LONG_MS VISIBLE_SILENT_MS

/*
 * A server as "host address values"; a value of "-" stands for none, "!" for
 * silence, "!!" for a long one, "?" for no route, "#" for REFUSED.
 */
static struct authority_server
server(const char *text)
{
	struct authority_server s = { .result = RESOLVE_OK };
	char value[3][64];
	int n;

	n = sscanf(text, "%255s %45s %63s %63s %63s", s.host, s.address,
	    value[0], value[1], value[2]);
	assert_in_range(n, 3, 5);
	if (strcmp(value[0], "-") == 0) {
		s.result = RESOLVE_NONE;
		return s;
	}
	if (value[0][0] == '!' || value[0][0] == '?' || value[0][0] == '#') {
		s.result = RESOLVE_FAIL;
		s.silent = value[0][0] == '!';
		s.no_route = value[0][0] == '?';
		s.silent_ms = value[0][1] == '!' ? LONG_MS : LONG_MS - 1;
		snprintf(s.error, sizeof(s.error), "%s",
		    value[0][0] == '#' ? "refuses (REFUSED)" : SILENT);
		return s;
	}
	for (int i = 0; i < n - 2; i++)
		snprintf(
		    s.value[s.nvalues++], sizeof(s.value[0]), "%s", value[i]);
	return s;
}

struct story {
	const char *servers[5];
	const char *why; /* NULL: visible */
};

static void
tell(const struct story *s, size_t n)
{
	static struct authority_server all[5];
	struct authority_answer a = { .fqdn = NAME,
		.name = NAME,
		.zone = "shop.example",
		.server = all };
	char why[256];

	while (a.nservers < 5 && s->servers[a.nservers] != NULL) {
		all[a.nservers] = server(s->servers[a.nservers]);
		a.nservers++;
	}
	assert_int_equal(
	    visible(&a, wanted, n, why, sizeof(why)), s->why == NULL);
	assert_string_equal(why, s->why != NULL ? s->why : "");
}

static void
tell_all(const struct story *stories, size_t n, size_t values)
{
	for (size_t i = 0; i < n; i++)
		tell(&stories[i], values);
}

#define TELL(stories) tell_all(stories, sizeof(stories) / sizeof(stories[0]), 1)
#define TELL_OF_TWO(stories) \
	tell_all(stories, sizeof(stories) / sizeof(stories[0]), 2)

static void
every_server_has_to_show_it(void **state)
{
	static const struct story stories[] = {
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 GOOD" }, NULL },
		{ { "a 192.0.2.1 OTHER GOOD", "b 192.0.2.2 GOOD" }, NULL },
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 -" },
		    "b (192.0.2.2) does not have it yet" },
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 OTHER" },
		    "b (192.0.2.2) does not have it yet" },
		{ { "a 192.0.2.1 -", "b 192.0.2.2 GOOD", "c 192.0.2.3 -" },
		    "a (192.0.2.1) and 1 more do not have it yet" },
		{ { "a 192.0.2.1 GOOD", "a 2001:db8::1 -" },
		    "a (2001:db8::1) does not have it yet" },
	};

	(void)state;
	TELL(stories);
}

static void
what_is_there_instead_is_told(void **state)
{
	static const struct story stories[] = {
		{ { "a 192.0.2.1 -", "b 192.0.2.2 -" },
		    "there is no TXT record at " NAME " yet" },
		{ { "a 192.0.2.1 OTHER", "b 192.0.2.2 OTHER" },
		    "found OTHER at " NAME ", expected GOOD" },
		{ { "a 192.0.2.1 -", "b 192.0.2.2 OTHER MORE" },
		    "found OTHER and 1 more at " NAME ", expected GOOD" },
		{ { "a 192.0.2.1 good", "b 192.0.2.2 -" },
		    "found good at " NAME ", expected GOOD" },
		{ { "a 192.0.2.1 \"GOOD\"" },
		    "found \"GOOD\" at " NAME ", expected GOOD" },
		{ { "a 192.0.2.1 X\x1b[2J" },
		    "found X\\x1b[2J at " NAME ", expected GOOD" },
		{ { "a 192.0.2.1 -", "b 192.0.2.2 !" },
		    "there is no TXT record at " NAME " yet" },
	};

	(void)state;
	TELL(stories);
}

static void
a_server_that_does_not_answer_counts(void **state)
{
	static const struct story stories[] = {
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 !" },
		    "b (192.0.2.2) does not answer" },
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 #" },
		    "b (192.0.2.2) refuses (REFUSED)" },
		{ { "a 192.0.2.1 !", "b 192.0.2.2 !" },
		    "a (192.0.2.1) does not answer" },
		/* Its other address does, and IPv6 is often broken. */
		{ { "a 192.0.2.1 GOOD", "a 2001:db8::1 !" }, NULL },
		{ { "a 192.0.2.1 -", "a 2001:db8::1 !", "b 192.0.2.2 GOOD" },
		    "a (192.0.2.1) does not have it yet" },
		{ { "a 192.0.2.1 GOOD", "a 2001:db8::1 #" },
		    "a (2001:db8::1) refuses (REFUSED)" },
	};

	(void)state;
	TELL(stories);
}

static void
a_server_without_a_route_does_not(void **state)
{
	static const struct story stories[] = {
		{ { "a 192.0.2.1 GOOD", "b 2001:db8::1 ?" }, NULL },
		{ { "a 192.0.2.1 -", "b 2001:db8::1 ?" },
		    "there is no TXT record at " NAME " yet" },
		{ { "a 2001:db8::1 ?", "b 2001:db8::2 ?" },
		    "no name server of shop.example can be reached from here" },
	};

	(void)state;
	TELL(stories);
}

static void
a_server_gone_for_good_is_passed_over_by_half(void **state)
{
	static const struct story stories[] = {
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 !!" }, NULL },
		{ { "a 192.0.2.1 GOOD", "a 2001:db8::1 GOOD", "b 192.0.2.2 !!",
		      "b 2001:db8::2 !!" },
		    NULL },
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 !!", "c 192.0.2.3 !!" },
		    "b (192.0.2.2) does not answer" },
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 !!", "c 192.0.2.3 -",
		      "d 192.0.2.4 GOOD" },
		    "c (192.0.2.3) does not have it yet" },
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 !!", "c 192.0.2.3 !",
		      "d 192.0.2.4 GOOD" },
		    "c (192.0.2.3) does not answer" },
		{ { "a 192.0.2.1 -", "b 192.0.2.2 !!" },
		    "there is no TXT record at " NAME " yet" },
		{ { "a 192.0.2.1 !!" }, "a (192.0.2.1) does not answer" },
	};

	(void)state;
	TELL(stories);
}

/* A base and its wildcard: who has made one must not put the other over it. */
static void
two_values_have_to_be_there_at_once(void **state)
{
	static const struct story stories[] = {
		{ { "a 192.0.2.1 GOOD ALSO", "b 192.0.2.2 ALSO GOOD" }, NULL },
		{ { "a 192.0.2.1 GOOD", "b 192.0.2.2 GOOD" },
		    NAME " also needs the value ALSO, beside GOOD" },
		{ { "a 192.0.2.1 ALSO", "b 192.0.2.2 ALSO" },
		    NAME " also needs the value GOOD, beside ALSO" },
		{ { "a 192.0.2.1 GOOD ALSO", "b 192.0.2.2 ALSO" },
		    "b (192.0.2.2) does not have it yet" },
		{ { "a 192.0.2.1 ALSO OTHER", "b 192.0.2.2 -" },
		    "found OTHER and 1 more at " NAME ", expected GOOD" },
	};

	(void)state;
	TELL_OF_TWO(stories);
}

static void
servers_that_are_not_known_are_told_as_they_are(void **state)
{
	struct authority_answer a = { .result = RESOLVE_FAIL,
		.error = "no zone in DNS has shop.example" };
	char why[256];

	(void)state;
	assert_int_equal(visible(&a, wanted, 1, why, sizeof(why)), 0);
	assert_string_equal(why, a.error);
}

static void
where_a_cname_leads_is_told(void **state)
{
	static struct authority_server s = { .result = RESOLVE_NONE };
	struct authority_answer a = { .fqdn = NAME,
		.name = "token.acme.test",
		.server = &s,
		.nservers = 1 };
	char why[256];

	(void)state;
	assert_int_equal(visible(&a, wanted, 1, why, sizeof(why)), 0);
	assert_string_equal(why, "there is no TXT record at token.acme.test "
				 "yet, where " NAME " leads");
}

static void
long_names_and_values_lose_their_middle(void **state)
{
	static struct authority_server s;
	struct authority_answer a = { .server = &s, .nservers = 1 };
	char why[256];

	(void)state;
	memset(a.name, 'n', 253);
	memset(s.value[0], 'v', 255);
	s.nvalues = 1;
	assert_int_equal(visible(&a, wanted, 1, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "v...v"));
	assert_non_null(strstr(why, "n...n"));
	assert_non_null(strstr(why, ", expected GOOD"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_server_has_to_show_it),
		cmocka_unit_test(what_is_there_instead_is_told),
		cmocka_unit_test(a_server_that_does_not_answer_counts),
		cmocka_unit_test(a_server_without_a_route_does_not),
		cmocka_unit_test(a_server_gone_for_good_is_passed_over_by_half),
		cmocka_unit_test(two_values_have_to_be_there_at_once),
		cmocka_unit_test(
		    servers_that_are_not_known_are_told_as_they_are),
		cmocka_unit_test(where_a_cname_leads_is_told),
		cmocka_unit_test(long_names_and_values_lose_their_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
