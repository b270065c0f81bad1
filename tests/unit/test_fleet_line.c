#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sync/fleet_line.h"

/* Commands as text, one a line; what is no text as "<n>". */
static void
note(void *arg, const struct rds_cmd *cmd)
{
	struct buf *out = arg;

	for (size_t i = 0; i < cmd->argc; i++) {
		if (i > 0)
			buf_puts(out, " ");
		if (memchr(cmd->argv[i], '\0', cmd->len[i]) != NULL)
			buf_putf(out, "<%zu>", cmd->len[i]);
		else
			buf_put(out, cmd->argv[i], cmd->len[i]);
	}
	buf_puts(out, "\n");
}

static void
expect(const char *json, const char *commands)
{
	json_t *value = json_loads(json, 0, NULL);
	struct err e = { 0 };
	struct buf out;

	assert_non_null(value);
	buf_init(&out, 1 << 20);
	assert_int_equal(fleet_put("k", value, note, &out, &e), 0);
	assert_string_equal(out.p, commands);
	buf_clear(&out);
	json_decref(value);
}

static void
every_kind_of_value_has_its_command(void **state)
{
	(void)state;
	expect("{\"string\": \"v w\"}", "SET k v w\n");
	expect("{\"string\": {\"b64\": \"AAEC\"}}", "SET k <3>\n");
	expect("{\"hash\": {\"a\": \"1\", \"b\": \"\"}}", "HSET k a 1 b \n");
	expect("{\"set\": [\"x\", \"y\"]}", "SADD k x y\n");
	expect("{\"list\": [\"1\", \"2\"]}", "RPUSH k 1 2\n");
	expect("{\"zset\": {\"m\": \"5\"}}", "ZADD k 5 m\n");
}

static void
what_is_large_takes_several_commands(void **state)
{
	json_t *list = json_array(), *value;
	struct err e = { 0 };
	struct buf out;
	size_t lines = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		json_array_append_new(list, json_string("x"));
	value = json_pack("{s:o}", "list", list);
	buf_init(&out, 1 << 20);
	assert_int_equal(fleet_put("k", value, note, &out, &e), 0);
	for (const char *p = out.p; *p != '\0'; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 3);
	buf_clear(&out);
	json_decref(value);
}

static void
what_is_no_value_is_refused(void **state)
{
	static const char *const bad[] = { "{}", "{\"string\": 1}",
		"{\"hash\": [\"a\"]}", "{\"list\": {\"a\": \"b\"}}",
		"{\"string\": {\"b64\": \"!\"}}", "{\"set\": [null]}", "[]" };
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *value = json_loads(bad[i], 0, NULL);
		struct err e = { 0 };

		assert_int_equal(fleet_put("k", value, note, &out, &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
		json_decref(value);
	}
	buf_clear(&out);
}

static void
bytes_come_back_as_they_were(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} all[] = { { "", 0 }, { "plain", 5 }, { "a\0b", 3 }, { "\xff\xfe", 2 },
		{ "\xc3\xbc", 2 }, { "{\"b64\"}", 7 } };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		json_t *text = fleet_text(all[i].bytes, all[i].len);
		struct buf out;

		buf_init(&out, 100);
		assert_int_equal(fleet_bytes(text, &out), 0);
		assert_int_equal(out.len, all[i].len);
		assert_memory_equal(out.p, all[i].bytes, all[i].len);
		buf_clear(&out);
		json_decref(text);
	}
}

static void
replies_become_values_and_nothing_becomes_none(void **state)
{
	struct rds_reply items[] = {
		{ .type = RDS_STRING, .str = "b", .len = 1 },
		{ .type = RDS_STRING, .str = "a", .len = 1 },
	};
	struct rds_reply list = {
		.type = RDS_ARRAY, .item = items, .nitems = 2
	};
	static const struct {
		enum fleet_shape shape;
		const char *text;
	} all[] = { { FLEET_HASH, "{\"hash\":{\"b\":\"a\"}}" },
		{ FLEET_ZSET, "{\"zset\":{\"b\":\"a\"}}" },
		{ FLEET_LIST, "{\"list\":[\"b\",\"a\"]}" },
		{ FLEET_SET, "{\"set\":[\"a\",\"b\"]}" } };
	struct rds_reply nil = { .type = RDS_NIL };
	struct rds_reply empty = { .type = RDS_ARRAY };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		json_t *v = fleet_value(all[i].shape, &list);
		char *text = json_dumps(v, JSON_COMPACT);

		assert_string_equal(text, all[i].text);
		free(text);
		json_decref(v);
		assert_null(fleet_value(all[i].shape, &empty));
	}
	assert_null(fleet_value(FLEET_STRING, &nil));
}

static void
a_digest_is_of_what_lines_say_in_any_order(void **state)
{
	static const char *const lines[] = {
		"{\"kind\":\"domain\",\"name\":\"a\"}",
		"{\"name\":\"b\",\"kind\":\"app\"}",
		"{\"kind\":\"app\",\"name\":\"b\"}",
		"{\"kind\":\"app\",\"name\":\"c\"}",
	};
	struct fleet_digest one = { 0 }, other = { 0 }, third = { 0 };
	json_t *l[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		l[i] = json_loads(lines[i], 0, NULL);
	fleet_digest(&one, l[0]);
	fleet_digest(&one, l[1]);
	fleet_digest(&other, l[2]);
	fleet_digest(&other, l[0]);
	fleet_digest(&third, l[0]);
	fleet_digest(&third, l[3]);
	assert_memory_equal(one.byte, other.byte, sizeof(one.byte));
	assert_memory_not_equal(one.byte, third.byte, sizeof(one.byte));
	assert_true(one.lines == 2 && one.domains == 1);
	for (int i = 0; i < 4; i++)
		json_decref(l[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value_has_its_command),
		cmocka_unit_test(what_is_large_takes_several_commands),
		cmocka_unit_test(what_is_no_value_is_refused),
		cmocka_unit_test(bytes_come_back_as_they_were),
		cmocka_unit_test(
		    replies_become_values_and_nothing_becomes_none),
		cmocka_unit_test(a_digest_is_of_what_lines_say_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
