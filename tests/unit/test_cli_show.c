#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "sync/cli/cli.h"
#include "sync/cli/grid.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

#define NOW INT64_C(1780000000000) /* 2026-05-28T20:26:40Z */
#define SECOND INT64_C(1000)
#define DAY (86400 * SECOND)

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
spans_have_the_unit_people_would_take(void **state)
{
	static const struct {
		int64_t ms;
		const char *want;
	} cases[] = { { -5, "0 s" }, { 999, "0 s" }, { 41 * SECOND, "41 s" },
		{ 119 * SECOND, "119 s" }, { 120 * SECOND, "2 min" },
		{ 7199 * SECOND, "119 min" }, { 7200 * SECOND, "2 h" },
		{ 2 * DAY - 1, "47 h" }, { 61 * DAY, "61 days" } };
	char out[TEXT_SPAN_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(text_span(out, cases[i].ms), cases[i].want);
	assert_string_equal(text_when(out, NOW + 41500, NOW), "in 41 s");
	assert_string_equal(text_when(out, NOW - 3 * DAY, NOW), "3 days ago");
	assert_string_equal(text_when(out, NOW, NOW), "now");
	text_when(out, INT64_MAX, 0);
	assert_true(strlen(out) < TEXT_SPAN_MAX);
}

static void
times_are_read_and_nonsense_is_none(void **state)
{
	static const char *const bad[] = { "", "2026", "2026-13-01T00:00:00Z",
		"2026-00-01T00:00:00Z", "x026-01-01T00:00:00Z",
		"2026-01-01 00:00:00Z", "----------------------" };

	(void)state;
	assert_true(text_time("2026-05-28T20:26:40.000Z") == NOW);
	assert_true(text_time("2026-05-28T20:26:40.123Z") == NOW + 123);
	assert_true(text_time("2026-05-28T20:26:40Z") == NOW);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(text_time(bad[i]) == 0);
}

static void
a_path_holds_whatever_a_name_holds(void **state)
{
	struct buf path;

	(void)state;
	cli_domain_path(&path, "/d/", "a b/../\n?#%*.\xc3\xa4~");
	assert_string_equal(path.p, "/d/a%20b%2F..%2F%0A%3F%23%25%2A.%C3%A4~");
	buf_clear(&path);
}

static void
columns_are_as_wide_as_characters_and_empty_ones_are_left_out(void **state)
{
	static const char *const head[] = { "A", "Bb", "C", "D" };
	struct grid g;
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	grid_init(&g, 4, head);
	grid_put(&g, xstrdup("\xc3\xa4\xc3\xb6"), COLOUR_NONE);
	grid_put(&g, xstrdup("1"), COLOUR_GREEN);
	grid_put(&g, xstrdup(""), COLOUR_NONE);
	grid_put(&g, xstrdup("x"), COLOUR_NONE);
	grid_put(&g, xstrdup("123"), COLOUR_NONE);
	grid_put(&g, xstrdup(""), COLOUR_NONE);
	grid_put(&g, xstrdup(""), COLOUR_NONE);
	grid_put(&g, xstrdup("yz"), COLOUR_NONE);
	grid_print(&g, false, &out);
	assert_string_equal(out.p, "A    Bb  D\n"
				   "\xc3\xa4\xc3\xb6   1   x\n"
				   "123      yz\n");
	buf_clear(&out);
	grid_print(&g, true, &out);
	assert_non_null(strstr(out.p, "\033[32m1\033[0m   x"));
	buf_clear(&out);
	grid_clear(&g);
}

static void
domains_are_a_table_of_status_certificate_and_next(void **state)
{
	struct show s = { NOW, false };
	json_t *list =
	    json("[{'name':'a.x.example','app':'x','status':'in_use','label':'"
		 "In use',"
		 "'reason':'served','not_after':'2026-07-28T20:26:40.000Z',"
		 "'renew_at':'2026-07-01T20:26:40.000Z'},"
		 "{'name':'b.x.example','app':'x','status':'pending_dns',"
		 "'label':'Pending DNS','reason':'points to 192.0.2.1',"
		 "'next_at':'2026-05-28T20:27:21.500Z','not_after':null},"
		 "{'name':'c.x.example','app':'x','status':'action_required',"
		 "'label':'Action required','action':'add TXT x'},"
		 "{'name':'d.x.example','app':'x','status':'creating',"
		 "'label':'Creating','not_after':'2026-05-01T00:00:00.000Z'},"
		 "{'name':'e.x.example','app':'x','status':'newer'}]");
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	show_domains(&s, list, &out);
	assert_string_equal(out.p,
	    "Domain       App  Status           Certificate           "
	    "Next                                        Manual Action\n"
	    "a.x.example  x    In use           2026-07-28 (61 days)  "
	    "renewed in 34 days\n"
	    "b.x.example  x    Pending DNS                            "
	    "checked again in 41 s: points to 192.0.2.1\n"
	    "c.x.example  x    Action required                        "
	    "being checked                               add TXT x\n"
	    "d.x.example  x    Creating         2026-05-01 (expired)  "
	    "being ordered\n"
	    "e.x.example  x    newer\n");
	buf_clear(&out);
	json_decref(list);
	list = json("[]");
	show_domains(&s, list, &out);
	assert_string_equal(out.p, "no domains\n");
	buf_clear(&out);
	json_decref(list);
}

static void
why_tells_state_reason_next_and_who_serves(void **state)
{
	struct show s = { NOW, false };
	json_t *d =
	    json("{'name':'a.x.example','app':'x','status':'creating',"
		 "'label':'Creating','status_at':'2026-05-28T20:25:40.000Z',"
		 "'reason':'the CA refused','last_error':'caa','attempts':2,"
		 "'next_at':'2026-05-28T20:27:21.000Z',"
		 "'serial':'0A','issuer':'Fake CA','version':3,"
		 "'not_before':'2026-05-01T00:00:00.000Z',"
		 "'not_after':'2026-07-28T20:26:40.000Z',"
		 "'why':{'reason':'the CA refused','next':'tried again at ...',"
		 "'next_at':'2026-05-28T20:27:21.000Z'},"
		 "'nodes':[{'id':'n1','live':true,'serving':true},"
		 "{'id':'n2','live':true,'serving':false,'error':'too large'},"
		 "{'id':'n3','live':false,'serving':null}],"
		 "'timeline':[{'at':'2026-05-28T20:25:40.000Z','type':'failed',"
		 "'status':'creating','reason':'the CA refused'},"
		 "{'at':'2026-05-28T20:25:00.000Z','type':'status',"
		 "'status':'pending_dns'}]}");
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	show_why(&s, d, &out);
	assert_string_equal(out.p,
	    "a.x.example (app x)\n"
	    "State        Creating since 2026-05-28T20:25:40.000Z (60 s ago)\n"
	    "Reason       the CA refused\n"
	    "Next         tried again in 41 s (2026-05-28T20:27:21.000Z)\n"
	    "Last error   caa\n"
	    "Attempts     2 failed since the last success\n"
	    "Certificate  serial 0A by Fake CA, version 3\n"
	    "             valid from 2026-05-01T00:00:00.000Z to "
	    "2026-07-28T20:26:40.000Z (61 days left)\n"
	    "Nodes        n1 serves it\n"
	    "             n2 does not serve it: too large\n"
	    "             n3 is not known to serve it, and is away\n"
	    "History      60 s ago: failed, the CA refused\n"
	    "             100 s ago: pending_dns\n");
	buf_clear(&out);
	json_decref(d);
}

static void
why_tells_how_long_a_record_to_make_is_good(void **state)
{
	struct show s = { NOW, false };
	json_t *d = json("{'name':'*.x.example','app':'x',"
			 "'status':'action_required','label':'Action required',"
			 "'action':'_acme-challenge.x.example 120 TXT v',"
			 "'acme_dns_until':'2026-06-02T20:26:40.000Z'}");
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	show_why(&s, d, &out);
	assert_non_null(
	    strstr(out.p, "Action       _acme-challenge.x.example 120 TXT v\n"
			  "             the CA wants another value after "
			  "2026-06-02T20:26:40.000Z (in 5 days)\n"));
	buf_clear(&out);
	json_decref(d);
}

static void
what_comes_from_outside_cannot_move_the_cursor(void **state)
{
	struct show s = { NOW, false };
	json_t *list = json("[{'name':'a\\u001b[2J','app':'x\\ny',"
			    "'status':'pending_dns','label':'\\u009b1m',"
			    "'reason':'\\u202egnp','action':'\\u007f'}]");
	json_t *event = json("{'id':'1-1','type':'\\u001b]0;x\\u0007',"
			     "'\\u001bkey':'a\\u001bb c','n':3}");
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	show_domains(&s, list, &out);
	show_event(&s, event, &out);
	for (size_t i = 0; i < out.len; i++)
		assert_false(
		    (unsigned char)out.p[i] < 0x20 && out.p[i] != '\n');
	assert_null(strstr(out.p, "\xe2\x80\xae"));
	assert_null(strstr(out.p, "\xc2\x9b"));
	assert_null(strchr(out.p, 0x7f));
	assert_non_null(strstr(out.p, "a\\x1b[2J"));
	buf_clear(&out);
	json_decref(list);
	json_decref(event);
}

static void
an_event_is_a_line(void **state)
{
	struct show s = { NOW, false };
	json_t *event = json("{'id':'1780000000000-1','type':'issued',"
			     "'name':'a.x.example','version':3,"
			     "'reason':'all \\\"is\\\" well','sha1':'00'}");
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	show_event(&s, event, &out);
	assert_string_equal(out.p,
	    "2026-05-28T20:26:40.000Z  issued    a.x.example version=3 "
	    "reason=\"all \\\"is\\\" well\" sha1=00\n");
	buf_clear(&out);
	json_decref(event);
}

static void
status_says_what_is_known_and_what_is_not(void **state)
{
	struct show s = { NOW, false };
	json_t *o = json("{'version':'0.1.0','node':'n1','leader':{'node':'n1',"
			 "'self':true,'epoch':7},'redis':{'up':true},"
			 "'haproxies':{'total':2,'up':1},"
			 "'nodes':{'total':1,'live':1},"
			 "'domains':{'total':3,'in_use':2,'creating':1}}");
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	show_status(&s, o, &out);
	assert_string_equal(out.p, "Node      n1, certfleet-sync 0.1.0\n"
				   "Leader    n1 (this node), epoch 7\n"
				   "Redis     up\n"
				   "HAProxy   1 of 2 up\n"
				   "Nodes     1 of 1 live\n"
				   "Domains   3: 1 Creating, 2 In use\n");
	buf_clear(&out);
	json_decref(o);
	o = json("{'redis':{'up':false},'domains':null,'error':'Redis: away'}");
	show_status(&s, o, &out);
	assert_string_equal(out.p, "Node      , certfleet-sync \n"
				   "Leader    none\n"
				   "Redis     does not answer\n"
				   "HAProxy   not known\n"
				   "Nodes     not known\n"
				   "Domains   not known\n"
				   "Error     Redis: away\n");
	buf_clear(&out);
	json_decref(o);
}

static void
nodes_are_a_table(void **state)
{
	struct show s = { NOW, false };
	json_t *list = json(
	    "[{'id':'n1','live':true,'leader':true,'at':"
	    "'2026-05-28T20:26:38.000Z','haproxy':['3.0.1','2.6'],'wanted':3,"
	    "'served':2,'version':'0.1.0','errors':[{'name':'a.x',"
	    "'error':'too large'}]},{'id':'n2'}]");
	struct buf out;

	(void)state;
	buf_init(&out, 10000);
	show_nodes(&s, list, &out);
	assert_non_null(strstr(out.p, "n1    live   leader  2 s ago  "));
	assert_non_null(strstr(out.p, "3.0.1, 2.6"));
	assert_non_null(strstr(out.p, "2 of 3"));
	assert_non_null(strstr(out.p, "a.x: too large\n"));
	buf_clear(&out);
	json_decref(list);
}

static void
answers_that_are_errors_become_a_sentence(void **state)
{
	static const struct {
		const char *body, *want;
		int status, exit;
	} cases[] = {
		{ "{'errors':{'name':['has already been taken']}}",
		    "has already been taken", 422, CLI_REFUSED },
		{ "{'errors':{'canonical':['must be a "
		  "boolean'],'x':['y','z']}}",
		    "canonical: must be a boolean; x: y; x: z", 422,
		    CLI_REFUSED },
		{ "{'resource':'domain','error':'not found','detail':'why'}",
		    "not found: why", 404, CLI_NOT_FOUND },
		{ "{'error':'Redis'}", "Redis", 503, CLI_FAILED },
		{ "{}", "certfleet-sync answers 500", 500, CLI_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *o = json(cases[i].body);
		char *text = cli_answer_error(cases[i].status, o);

		assert_string_equal(text, cases[i].want);
		assert_int_equal(
		    cli_status_exit(cases[i].status), cases[i].exit);
		free(text);
		json_decref(o);
	}
	assert_int_equal(cli_status_exit(204), CLI_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_have_the_unit_people_would_take),
		cmocka_unit_test(times_are_read_and_nonsense_is_none),
		cmocka_unit_test(a_path_holds_whatever_a_name_holds),
		cmocka_unit_test(
		    columns_are_as_wide_as_characters_and_empty_ones_are_left_out),
		cmocka_unit_test(
		    domains_are_a_table_of_status_certificate_and_next),
		cmocka_unit_test(why_tells_state_reason_next_and_who_serves),
		cmocka_unit_test(why_tells_how_long_a_record_to_make_is_good),
		cmocka_unit_test(
		    what_comes_from_outside_cannot_move_the_cursor),
		cmocka_unit_test(an_event_is_a_line),
		cmocka_unit_test(status_says_what_is_known_and_what_is_not),
		cmocka_unit_test(nodes_are_a_table),
		cmocka_unit_test(answers_that_are_errors_become_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
