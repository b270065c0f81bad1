#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "providers/xml.h"

static struct xml_node *
parse(const char *s)
{
	return xml_parse(s, strlen(s));
}

static void
text_is_joined_and_decoded(void **state)
{
	struct xml_node *root =
	    parse("<?xml version=\"1.0\"?>\n<!-- x --><r:a xmlns:r='u>v'>"
		  "<b c=\">\">&quot;V&quot;</b ><b>x<![CDATA[<&]]>y</b>"
		  "<d/><b>&#65;&#xe4;&#x1F600;&amp;amp;</b></r:a>\n");
	const struct xml_node *b;

	(void)state;
	assert_non_null(root);
	assert_string_equal(root->name, "a");
	b = xml_child(root, "b");
	assert_string_equal(b->text.p, "\"V\"");
	b = xml_next(b);
	assert_string_equal(b->text.p, "x<&y");
	b = xml_next(b);
	assert_string_equal(b->text.p, "A\xc3\xa4\xf0\x9f\x98\x80&amp;");
	assert_null(xml_next(b));
	assert_string_equal(xml_text(root, "d"), "");
	assert_string_equal(xml_text(root, "e"), "");
	assert_null(xml_child(xml_child(root, "e"), "f"));
	xml_free(root);
}

static void
what_is_not_well_formed_is_refused(void **state)
{
	static const char *const bad[] = { "", "x", "<a>", "<a></b>", "</a>",
		"<a/><b/>", "<a></a>x", "<a>&nope;</a>", "<a>&amp</a>",
		"<a>&#0;</a>", "<a>&#xd800;</a>", "<a>&#1114112;</a>",
		"<a>&#99999999999;</a>", "<a>&#x;</a>", "<a", "<a b='", "<>",
		"<a:></a:>", "<a><![CDATA[x</a>", "<!-- <a/>", "<a <b>></a>",
		"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i]) != NULL)
			fail_msg("accepted %s", bad[i]);
}

static void
depth_and_size_are_bounded(void **state)
{
	struct xml_node *root;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	for (int i = 0; i <= XML_DEPTH_MAX; i++)
		buf_puts(&b, "<a>");
	for (int i = 0; i <= XML_DEPTH_MAX; i++)
		buf_puts(&b, "</a>");
	assert_null(xml_parse(b.p, b.len));
	root = xml_parse(b.p + 3, b.len - 7);
	assert_non_null(root);
	xml_free(root);
	buf_clear(&b);
	buf_puts(&b, "<a>");
	for (int i = 0; i < XML_NODES_MAX; i++)
		buf_puts(&b, "<b/>");
	buf_puts(&b, "</a>");
	assert_null(xml_parse(b.p, b.len));
	buf_clear(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_joined_and_decoded),
		cmocka_unit_test(what_is_not_well_formed_is_refused),
		cmocka_unit_test(depth_and_size_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
