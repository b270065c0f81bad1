/* XML-RPC: what is called, and what a response means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "providers/xmlrpc.h"

static void
calls_have_typed_and_escaped_parameters(void **state)
{
	json_t *params = json_pack(
	    "[i,{s:s,s:i}]", 42, "name", "_acme-challenge", "ttl", 300);
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(xmlrpc_put_call(&b, "a.b", "k<&y", params), 0);
	assert_string_equal(b.p,
	    "<?xml version=\"1.0\"?><methodCall><methodName>a.b</methodName>"
	    "<params><param><value><string>k&lt;&amp;y</string></value></param>"
	    "<param><value><int>42</int></value></param>"
	    "<param><value><struct>"
	    "<member><name>name</name><value><string>_acme-challenge</string>"
	    "</value></member>"
	    "<member><name>ttl</name><value><int>300</int></value></member>"
	    "</struct></value></param></params></methodCall>");
	buf_clear(&b);
	json_decref(params);
}

static void
a_call_that_does_not_fit_is_refused_at_every_length(void **state)
{
	json_t *params = json_pack("[i,{s:s}]", 1, "a", "b");
	struct buf whole, b;

	(void)state;
	buf_init(&whole, 4096);
	assert_int_equal(xmlrpc_put_call(&whole, "m", "key", params), 0);
	for (size_t cap = 0; cap < whole.len; cap++) {
		buf_init(&b, cap);
		assert_int_equal(xmlrpc_put_call(&b, "m", "key", params), -1);
		buf_clear(&b);
	}
	buf_clear(&whole);
	json_decref(params);
}

/* Values, and the JSON that they are; NULL: no response. */
static const struct {
	const char *value, *json;
} cases[] = {
	{ "<value><int>7</int></value>", "7" },
	{ "<value><i4>-7</i4></value>", "-7" },
	{ "<value><string>a&lt;b</string></value>", "\"a<b\"" },
	{ "<value>bare</value>", "\"bare\"" },
	{ "<value/>", "\"\"" },
	{ "<value><boolean>1</boolean></value>", "true" },
	{ "<value><boolean>0</boolean></value>", "false" },
	{ "<value><nil/></value>", "null" },
	{ "<value><dateTime.iso8601>20160101T00:00:00</dateTime.iso8601>"
	  "</value>",
	    "\"20160101T00:00:00\"" },
	{ "<value><array><data><value><int>1</int></value>"
	  "<value>b</value></data></array></value>",
	    "[1,\"b\"]" },
	{ "<value><array><data/></array></value>", "[]" },
	{ "<value><struct/></value>", "{}" },
	/* White space between the tags, and a name twice in different structs. */
	{ "<value>\n <struct>\n <member>\n <name>in</name>\n <value><struct>"
	  "<member><name>id</name><value><int>1</int></value></member>"
	  "</struct></value>\n</member>\n<member><name>id</name>"
	  "<value><int>2</int></value></member></struct>\n</value>",
	    "{\"in\":{\"id\":1},\"id\":2}" },
	{ "<value><int>7x</int></value>", NULL },
	{ "<value><int>99999999999</int></value>", NULL },
	{ "", NULL },
};

static void
values_become_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf b;
		bool fault;
		json_t *v;
		char *text = NULL;

		buf_init(&b, 4096);
		buf_putf(&b,
		    "<?xml version='1.0'?>\n<methodResponse>\n<params>\n"
		    "<param>\n%s\n</param></params></methodResponse>\n",
		    cases[i].value);
		v = xmlrpc_response(b.p, b.len, &fault);
		assert_false(fault);
		if (v != NULL)
			text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		if (cases[i].json == NULL)
			assert_null(text);
		else
			assert_string_equal(text, cases[i].json);
		free(text);
		json_decref(v);
		buf_clear(&b);
	}
}

static void
a_fault_is_told_from_a_value(void **state)
{
	static const char text[] =
	    "<methodResponse><fault><value><struct><member>"
	    "<name>faultCode</name><value><int>510042</int></value></member>"
	    "<member><name>faultString</name><value><string>no</string>"
	    "</value></member></struct></value></fault></methodResponse>";
	bool fault;
	json_t *v = xmlrpc_response(text, strlen(text), &fault);

	(void)state;
	assert_true(fault);
	assert_int_equal(
	    json_integer_value(json_object_get(v, "faultCode")), 510042);
	assert_string_equal(
	    json_string_value(json_object_get(v, "faultString")), "no");
	json_decref(v);
}

static void
other_texts_are_no_response(void **state)
{
	static const char *const texts[] = {
		"",
		"<html><p>Maintenance</p></html>",
		"<methodResponse>",
		"<methodResponse/>",
		"<call><params><param><value/></param></params></call>",
	};
	bool fault;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_null(
		    xmlrpc_response(texts[i], strlen(texts[i]), &fault));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_have_typed_and_escaped_parameters),
		cmocka_unit_test(
		    a_call_that_does_not_fit_is_refused_at_every_length),
		cmocka_unit_test(values_become_json),
		cmocka_unit_test(a_fault_is_told_from_a_value),
		cmocka_unit_test(other_texts_are_no_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
