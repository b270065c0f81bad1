#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "sync/cli/cli.h"
#include "sync/cli/show.h"

#define NOW INT64_C(1780000000000) /* 2026-05-28T20:26:40Z */

/* JSON with ' for ". */
static json_t *
json(const char *quoted)
{
	char *text = xstrdup(quoted);
	json_t *o;

	for (char *p = text; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	o = json_loads(text, JSON_DECODE_ANY, NULL);
	assert_non_null(o);
	free(text);
	return o;
}

static void
expect(void (*fn)(const struct show *, const json_t *, struct buf *),
    const char *answer, const char *want)
{
	struct show s = { NOW, false };
	json_t *o = json(answer);
	struct buf out;

	buf_init(&out, 1 << 20);
	fn(&s, o, &out);
	assert_string_equal(out.p, want);
	buf_clear(&out);
	json_decref(o);
}

static void
limits_are_a_line_each(void **state)
{
	(void)state;
	expect(show_limits,
	    "{'limits':["
	    "{'limit':'orders','of':null,'max':300,'used':12,'left':288,"
	    "'window_s':10800,'next_free_at':null,'blocked_until':null},"
	    "{'limit':'domain','of':'shop.example','max':50,'used':50,'left':0,"
	    "'window_s':604800,'next_free_at':'2026-05-29T10:00:00.001Z',"
	    "'blocked_until':'2026-05-29T10:00:00.001Z'},"
	    "{'limit':'set','of':'www.shop.example','max':null,'used':0,"
	    "'left':null,'window_s':604800,'next_free_at':null,"
	    "'blocked_until':null}]}",
	    "Limit         Of                Used       In any  Next free"
	    "             The CA says\n"
	    "Orders        our account       12 of 300  3 h     now\n"
	    "Certificates  shop.example      50 of 50   7 days  "
	    "2026-05-29 10:01 UTC  wait\n"
	    "Same names    www.shop.example  no limit   7 days  now\n");
}

static void
a_plan_says_when_and_why_and_what_is_wrong(void **state)
{
	(void)state;
	expect(show_plan,
	    "{'plan':["
	    "{'name':'a.shop.example','registered_domain':'shop.example',"
	    "'at':'2026-05-28T20:26:40.000Z','now':true,'waits_for':null},"
	    "{'name':'b.shop.example','registered_domain':'shop.example',"
	    "'at':'2026-06-04T20:26:40.001Z','now':false,"
	    "'waits_for':'domain'},"
	    "{'name':'x\\u001b[31m','error':'is no name'}]}",
	    "Domain          Certificate  At                    Waits for\n"
	    "a.shop.example  now\n"
	    "b.shop.example  in 7 days    2026-06-04 20:27 UTC  certificates "
	    "of shop.example\n"
	    "x\\x1b[31m                                          is no name\n"
	    "\n3 names: 1 now, 1 later, the last at 2026-06-04 20:27 UTC, 1 "
	    "not\n");
	expect(show_plan, "{'plan':[]}", "no names\n");
}

static void
what_is_missing_breaks_nothing(void **state)
{
	(void)state;
	expect(show_plan, "{}", "no names\n");
	expect(show_plan, "{'plan':[{'now':true}]}",
	    "Certificate\n"
	    "now\n"
	    "\n1 name: 1 now\n");
	expect(show_limits, "{'limits':[{}]}",
	    "Used      In any  Next free\n"
	    "no limit  0 s     now\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_a_line_each),
		cmocka_unit_test(a_plan_says_when_and_why_and_what_is_wrong),
		cmocka_unit_test(what_is_missing_breaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
