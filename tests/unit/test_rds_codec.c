#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/rds_codec.h"
#include "common/rds_url.h"

static void
a_command_is_an_array_of_counted_strings(void **state)
{
	static const char expected[] =
	    "*4\r\n$3\r\nSET\r\n$6\r\na\r\nb\0c\r\n$0\r\n\r\n"
	    "$20\r\n-9223372036854775808\r\n";
	struct rds_cmd c;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	rds_cmd(&c, "SET");
	rds_arg_mem(&c, "a\r\nb\0c", 6);
	rds_arg(&c, "");
	rds_arg_int(&c, INT64_MIN);
	assert_int_equal(rds_encode(&out, &c), 0);
	assert_int_equal(out.len, sizeof(expected) - 1);
	assert_memory_equal(out.p, expected, sizeof(expected) - 1);
	buf_clear(&out);
}

static void
a_command_that_does_not_fit_leaves_nothing_behind(void **state)
{
	char text[1000];
	struct rds_cmd c;
	struct buf out;
	size_t before;

	(void)state;
	memset(text, 'x', sizeof(text));
	buf_init(&out, 1500);
	rds_cmd(&c, "GET");
	rds_arg_mem(&c, text, sizeof(text));
	assert_int_equal(rds_encode(&out, &c), 0);
	before = out.len;
	assert_int_equal(rds_encode(&out, &c), -1);
	assert_int_equal(out.len, before);
	buf_clear(&out);
}

/* The only reply in the text. */
static const struct rds_reply *
read_one(struct rds_reader *r, const char *text)
{
	const struct rds_reply *reply = NULL;
	struct err e;

	assert_int_equal(rds_reader_feed(r, text, strlen(text), &e), 0);
	assert_int_equal(rds_reader_next(r, &reply, &e), 1);
	return reply;
}

static void
every_type_is_read(void **state)
{
	struct rds_reader *r = rds_reader_new();
	const struct rds_reply *o;

	(void)state;
	o = read_one(r, "+OK\r\n");
	assert_int_equal(o->type, RDS_STRING);
	assert_string_equal(o->str, "OK");
	o = read_one(r, "$0\r\n\r\n");
	assert_int_equal(o->type, RDS_STRING);
	assert_int_equal(o->len, 0);
	o = read_one(r, "$-1\r\n");
	assert_int_equal(o->type, RDS_NIL);
	o = read_one(r, ":-42\r\n");
	assert_int_equal(o->type, RDS_INTEGER);
	assert_int_equal(o->integer, -42);
	o = read_one(r, "*0\r\n");
	assert_int_equal(o->type, RDS_ARRAY);
	assert_int_equal(o->nitems, 0);
	o = read_one(r, "*-1\r\n");
	assert_int_equal(o->type, RDS_NIL);
	o = read_one(r, "-ERR no\r\n");
	assert_int_equal(o->type, RDS_ERROR);
	rds_reader_free(r);
}

static void
arrays_are_read_in_arrays(void **state)
{
	struct rds_reader *r = rds_reader_new();
	const struct rds_reply *o;

	(void)state;
	o = read_one(r, "*3\r\n*2\r\n$1\r\na\r\n*1\r\n:7\r\n"
			"-ERR x\r\n*-1\r\n");
	assert_int_equal(o->nitems, 3);
	assert_int_equal(o->item[0].nitems, 2);
	assert_string_equal(o->item[0].item[0].str, "a");
	assert_int_equal(o->item[0].item[1].item[0].integer, 7);
	assert_int_equal(o->item[1].type, RDS_ERROR);
	assert_int_equal(o->item[2].type, RDS_NIL);
	rds_reader_free(r);
}

static void
long_arrays_of_arrays_stay_whole_when_they_grow(void **state)
{
	struct rds_reader *r = rds_reader_new();
	const struct rds_reply *o;
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_puts(&text, "*1000\r\n");
	for (int i = 0; i < 1000; i++) {
		buf_putf(&text, "*%d\r\n", i % 40);
		for (int j = 0; j < i % 40; j++)
			buf_putf(&text, ":%d\r\n", 1000 * i + j);
	}
	o = read_one(r, text.p);
	assert_int_equal(o->nitems, 1000);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(o->item[i].nitems, i % 40);
		for (int j = 0; j < i % 40; j++)
			assert_int_equal(
			    o->item[i].item[j].integer, 1000 * i + j);
	}
	buf_clear(&text);
	rds_reader_free(r);
}

/* What is announced costs nothing; only what comes does. */
static void
announced_sizes_are_not_believed(void **state)
{
	static const char *const texts[] = {
		"*2000000000\r\n:1\r\n",
		"$2000000000\r\nx",
		"*9\r\n*2000000000\r\n*2000000000\r\n:1\r\n",
	};
	const struct rds_reply *reply;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct rds_reader *r = rds_reader_new();

		assert_int_equal(
		    rds_reader_feed(r, texts[i], strlen(texts[i]), &e), 0);
		assert_int_equal(rds_reader_next(r, &reply, &e), 0);
		rds_reader_free(r);
	}
}

static void
a_reply_has_a_largest_size(void **state)
{
	struct rds_reader *r = rds_reader_new();
	const size_t piece = 1 << 20;
	char *bytes = xcalloc(1, piece);
	const struct rds_reply *reply;
	struct err e = { 0 };
	size_t fed = 0;

	(void)state;
	assert_int_equal(rds_reader_feed(r, "$2000000000\r\n", 13, &e), 0);
	assert_int_equal(rds_reader_next(r, &reply, &e), 0);
	while (rds_reader_feed(r, bytes, piece, &e) == 0)
		fed += piece;
	assert_in_range(fed, RDS_REPLY_MAX - 2 * piece, RDS_REPLY_MAX);
	assert_int_equal(e.kind, ERR_BUG);
	free(bytes);
	rds_reader_free(r);
}

static void
a_reply_of_small_items_has_a_largest_size_too(void **state)
{
	struct rds_reader *r = rds_reader_new();
	const struct rds_reply *reply;
	struct err e = { 0 };
	char items[4096];
	int rc = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(items); i += 4)
		memcpy(items + i, ":1\r\n", 4);
	assert_int_equal(rds_reader_feed(r, "*2000000000\r\n", 13, &e), 0);
	for (int i = 0; i < 100000 && rc == 0; i++) {
		assert_int_equal(
		    rds_reader_feed(r, items, sizeof(items), &e), 0);
		rc = rds_reader_next(r, &reply, &e);
	}
	assert_int_equal(rc, -1);
	rds_reader_free(r);
}

static void
fields_are_found_by_name(void **state)
{
	struct rds_reader *r = rds_reader_new();
	const struct rds_reply *o;

	(void)state;
	o = read_one(r, "*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nb\r\n$1\r\nc\r\n"
			"$1\r\nd\r\n");
	assert_string_equal(rds_field(o, "a"), "b");
	assert_string_equal(rds_field(o, "b"), "c");
	assert_null(rds_field(o, "c"));
	assert_null(rds_field(o, "d")); /* has no value */
	assert_null(rds_field(NULL, "a"));
	rds_reader_free(r);
}

static void
an_error_is_taken_apart(void **state)
{
	struct rds_reader *r = rds_reader_new();
	struct err e;

	(void)state;
	rds_reply_err(read_one(r, "-NOPERM not \001 you\r\n"), &e);
	assert_string_equal(e.type, "NOPERM");
	assert_string_equal(e.text, "not \\x01 you");
	assert_int_equal(e.kind, ERR_CONFIG);
	rds_reply_err(
	    read_one(r, "-OOM command not allowed when used memory > "
			"'maxmemory'. script: x, on @user_function:1.\r\n"),
	    &e);
	assert_string_equal(e.type, "OOM");
	assert_string_equal(e.text, "Redis takes no writes: its memory is full "
				    "(maxmemory)");
	assert_int_equal(e.kind, ERR_CONFIG);
	rds_reply_err(read_one(r, "-ERR Script attempted to access a non local "
				  "key in a cluster node script: f, on "
				  "@user_function:597.\r\n"),
	    &e);
	assert_string_equal(e.type, "TRYAGAIN");
	assert_int_equal(e.kind, ERR_AGAIN);
	rds_reply_err(read_one(r, "-LOADING Redis is loading\r\n"), &e);
	assert_string_equal(
	    e.text, "Redis has started and still loads its data");
	assert_int_equal(e.kind, ERR_AGAIN);
	rds_reply_err(read_one(r, "-\r\n"), &e);
	assert_string_equal(e.type, "");
	assert_string_equal(e.text, "");
	rds_reader_free(r);
}

static void
urls_are_taken_apart(void **state)
{
	static const struct {
		const char *text, *path, *host, *port;
		bool is_tls;
	} urls[] = {
		{ "unix:/run/redis.sock", "/run/redis.sock", "", "", false },
		{ "redis://localhost", "", "localhost", "6379", false },
		{ "redis://10.0.0.1:7000", "", "10.0.0.1", "7000", false },
		{ "redis://[::1]:7000", "", "::1", "7000", false },
		{ "redis://[::1]", "", "::1", "6379", false },
		{ "rediss://r.example/", "", "r.example", "6379", true },
	};
	struct rds_url u;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		assert_int_equal(rds_url_parse(&u, urls[i].text, &e), 0);
		assert_string_equal(u.path, urls[i].path);
		assert_string_equal(u.host, urls[i].host);
		assert_string_equal(u.port, urls[i].port);
		assert_int_equal(u.is_tls, urls[i].is_tls);
		assert_int_equal(u.is_unix, urls[i].path[0] != '\0');
	}
}

static void
urls_that_are_none_are_refused_without_being_quoted(void **state)
{
	char too_long[200] = "unix:/";
	const char *const urls[] = { "", "localhost", "http://h", "unix:run",
		"unix:", too_long, "redis://", "redis://:1", "redis://h:0",
		"redis://h:65536", "redis://h:", "redis://h:x",
		"redis://h:000000000001", "redis://[::1", "redis://[::1]x",
		"redis://h/3", "redis://u:SECRET@h", "redis://SECRET h" };
	struct err e;

	(void)state;
	memset(too_long + 6, 'x', sizeof(too_long) - 7);
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		memset(&e, 0, sizeof(e));
		if (rds_url_check(urls[i], &e) == 0)
			fail_msg("accepted: %s", urls[i]);
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_non_null(strstr(e.text, "redis://host[:port]"));
		assert_null(strstr(e.text, "SECRET"));
	}
	assert_int_equal(rds_url_check(NULL, &e), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_is_an_array_of_counted_strings),
		cmocka_unit_test(
		    a_command_that_does_not_fit_leaves_nothing_behind),
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(arrays_are_read_in_arrays),
		cmocka_unit_test(
		    long_arrays_of_arrays_stay_whole_when_they_grow),
		cmocka_unit_test(announced_sizes_are_not_believed),
		cmocka_unit_test(a_reply_has_a_largest_size),
		cmocka_unit_test(a_reply_of_small_items_has_a_largest_size_too),
		cmocka_unit_test(fields_are_found_by_name),
		cmocka_unit_test(an_error_is_taken_apart),
		cmocka_unit_test(urls_are_taken_apart),
		cmocka_unit_test(
		    urls_that_are_none_are_refused_without_being_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
