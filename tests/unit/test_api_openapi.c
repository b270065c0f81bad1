/* The routes of the binary and the description that is served are the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/str.h"
#include "sync/api/openapi.h"
#include "sync/api/routes.h"

static json_t *doc;

static int
load(void **state)
{
	json_error_t why;

	(void)state;
	doc = json_loadb(
	    openapi_json, openapi_size(), JSON_REJECT_DUPLICATES, &why);
	if (doc == NULL)
		print_error("line %d: %s\n", why.line, why.text);
	return doc != NULL ? 0 : -1;
}

static int
unload(void **state)
{
	(void)state;
	json_decref(doc);
	return 0;
}

/* "/v1/apps/:app" as "/v1/apps/{app}". */
static void
braces(const char *pattern, char *out, size_t size)
{
	size_t n = 0;
	bool open = false;

	for (; n + 3 < size; pattern++) {
		if (open && (*pattern == '/' || *pattern == '\0')) {
			out[n++] = '}';
			open = false;
		}
		if (*pattern == '\0')
			break;
		if (*pattern == ':') {
			out[n++] = '{';
			open = true;
		} else {
			out[n++] = *pattern;
		}
	}
	out[n] = '\0';
}

static json_t *
operation(const struct route *r)
{
	char path[128], method[16];
	size_t i;

	braces(r->pattern, path, sizeof(path));
	str_copy(method, sizeof(method), route_method(r->method), NULL);
	for (i = 0; method[i] != '\0'; i++)
		method[i] = (char)(method[i] | 0x20);
	return json_object_get(
	    json_object_get(json_object_get(doc, "paths"), path), method);
}

static void
every_route_is_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < nroutes; i++)
		if (operation(&routes[i]) == NULL)
			fail_msg("%s %s is not in openapi.json",
			    route_method(routes[i].method), routes[i].pattern);
}

static void
nothing_else_is_described(void **state)
{
	const char *path, *method;
	json_t *item, *op;
	size_t n = 0;

	(void)state;
	json_object_foreach (json_object_get(doc, "paths"), path, item)
		json_object_foreach (item, method, op)
			n += json_object_get(op, "responses") != NULL;
	assert_int_equal(n, nroutes);
}

static void
who_may_ask_is_described_as_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < nroutes; i++) {
		const struct route *r = &routes[i];
		json_t *op = operation(r);
		const char *said =
		    json_string_value(json_object_get(op, "description"));
		char want[32];

		snprintf(
		    want, sizeof(want), "Role: %s.", token_role_name(r->role));
		if (r->role == TOKEN_NONE)
			assert_true(
			    json_is_array(json_object_get(op, "security")));
		else if (said == NULL || !str_has_prefix(said, want))
			fail_msg("%s %s: not \"%s\"", route_method(r->method),
			    r->pattern, want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_is_described),
		cmocka_unit_test(nothing_else_is_described),
		cmocka_unit_test(who_may_ask_is_described_as_it_is),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
