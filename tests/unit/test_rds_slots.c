#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/rds_codec.h"
#include "common/rds_slots.h"

#define ASKED "redis://10.0.0.9:7000"

static int
slot(const char *key)
{
	return rds_slot(key, strlen(key));
}

/* The values are CLUSTER KEYSLOT's of a real server. */
static void
keys_are_in_the_slots_that_redis_says(void **state)
{
	(void)state;
	assert_int_equal(slot("123456789"), 12739);
	assert_int_equal(slot("foo"), 12182);
	assert_int_equal(slot(""), 0);
	assert_int_equal(slot("certfleet:leader"), slot("certfleet:leader"));
}

static void
what_is_between_the_first_braces_counts_alone(void **state)
{
	(void)state;
	assert_int_equal(slot("certfleet:{p3}:due"), slot("p3"));
	assert_int_equal(
	    slot("certfleet:{p3}:due"), slot("certfleet:{p3}:domain:a.test"));
	assert_int_not_equal(slot("certfleet:{p3}:due"), slot("{p4}"));
	assert_int_equal(slot("a{}b{c}"), slot("a{}b{c}"));
	assert_int_not_equal(slot("a{}b{c}"), slot("c"));
	assert_int_equal(slot("a{{b}c}"), slot("{b"));
	assert_int_not_equal(slot("a{b"), slot("b"));
}

static int
slot_of(const char *const *word)
{
	struct rds_cmd c;

	rds_cmd(&c, *word++);
	while (*word != NULL)
		rds_arg(&c, *word++);
	return rds_slot_of(&c);
}

static void
commands_go_by_their_first_key(void **state)
{
	static const struct {
		const char *word[6];
		const char *key;
	} commands[] = {
		{ { "GET", "foo" }, "foo" },
		{ { "FCALL", "certfleet_add", "2", "{a}x", "{a}y" }, "a" },
		{ { "FCALL_RO", "certfleet_records", "1", "k" }, "k" },
		{ { "FCALL", "certfleet_version", "0" }, NULL },
		{ { "FCALL" }, NULL },
		{ { "TIME" }, NULL },
		{ { "PUBLISH", "channel", "foo" }, NULL },
		{ { "CLUSTER", "SLOTS" }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_int_equal(slot_of(commands[i].word),
		    commands[i].key != NULL ? slot(commands[i].key)
					    : RDS_SLOT_ANY);
}

/* --- CLUSTER SLOTS --------------------------------------------------------- */

static int
read_slots(struct rds_slots *s, const char *bytes, struct err *e)
{
	struct rds_reader *reader = rds_reader_new();
	const struct rds_reply *reply;
	int rc;

	assert_int_equal(rds_reader_feed(reader, bytes, strlen(bytes), e), 0);
	assert_int_equal(rds_reader_next(reader, &reply, e), 1);
	rc = rds_slots_read(s, reply, ASKED, false, e);
	rds_reader_free(reader);
	return rc;
}

#define NODE(host, port) "*2\r\n" host ":" port "\r\n"
#define RANGE(first, last, node) "*3\r\n:" first "\r\n:" last "\r\n" node
#define HOST_1 "$8\r\n10.0.0.1\r\n"

static void
slots_have_the_masters_that_are_told(void **state)
{
	static struct rds_slots s;
	struct err e;

	(void)state;
	memset(&s, 0, sizeof(s));
	assert_int_equal(
	    read_slots(&s,
		"*4\r\n" RANGE("0", "5460", NODE(HOST_1, "7001"))
		    RANGE("5461", "10922", NODE("$-1\r\n", "7002")) RANGE(
			"10923", "10923", NODE("$0\r\n\r\n", "7002"))
			RANGE("10925", "16383", NODE("$3\r\n::1\r\n", "7003")),
		&e),
	    0);
	assert_int_equal(s.n, 3);
	assert_string_equal(rds_slots_url(&s, 0), "redis://10.0.0.1:7001");
	assert_string_equal(rds_slots_url(&s, 5460), "redis://10.0.0.1:7001");
	assert_string_equal(rds_slots_url(&s, 5461), "redis://10.0.0.9:7002");
	assert_string_equal(rds_slots_url(&s, 10923), "redis://10.0.0.9:7002");
	assert_null(rds_slots_url(&s, 10924));
	assert_string_equal(rds_slots_url(&s, 16383), "redis://[::1]:7003");
	rds_slots_set(&s, 10924, "redis://10.0.0.4:7004");
	assert_string_equal(rds_slots_url(&s, 10924), "redis://10.0.0.4:7004");
	assert_true(rds_slots_has(&s, "redis://10.0.0.4:7004"));
	assert_false(rds_slots_has(&s, "redis://10.0.0.4:7005"));
}

static void
nonsense_changes_nothing(void **state)
{
	static const char *const replies[] = {
		":1\r\n",
		"*1\r\n:1\r\n",
		"*1\r\n*0\r\n",
		"*1\r\n" RANGE("-1", "5", NODE(HOST_1, "7001")),
		"*1\r\n" RANGE("0", "16384", NODE(HOST_1, "7001")),
		"*1\r\n" RANGE("0", "5", NODE(HOST_1, "0")),
		"*1\r\n" RANGE("0", "5", NODE(HOST_1, "65536")),
		"*1\r\n" RANGE("0", "5", "*1\r\n" HOST_1),
		"*1\r\n" RANGE("0", "5", ":1\r\n"),
		"*2\r\n" RANGE("0", "5", NODE(HOST_1, "7002")) "*0\r\n",
	};
	static struct rds_slots s;
	struct err e;

	(void)state;
	memset(&s, 0, sizeof(s));
	rds_slots_set(&s, 3, "redis://10.0.0.1:7001");
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		assert_int_equal(read_slots(&s, replies[i], &e), -1);
		assert_int_equal(e.kind, ERR_BUG);
		assert_string_equal(
		    rds_slots_url(&s, 3), "redis://10.0.0.1:7001");
	}
	assert_int_equal(read_slots(&s, "*0\r\n", &e), -1);
	assert_non_null(strstr(e.text, "has given out no slots yet"));
	assert_int_equal(e.kind, ERR_AGAIN);
}

/* --- redirections ---------------------------------------------------------- */

static void
redirections_are_read(void **state)
{
	static const struct {
		const char *text;
		int slot; /* -1: it is none */
		const char *url;
	} all[] = {
		{ "3999 10.0.0.1:6381", 3999, "rediss://10.0.0.1:6381" },
		{ "0 ::1:6381", 0, "rediss://[::1]:6381" },
		{ "16383 :6381", 16383, "rediss://10.0.0.9:6381" },
		{ "3 ?:6381", 3, "rediss://10.0.0.9:6381" },
		{ "16384 10.0.0.1:6381", -1, "" },
		{ "-1 10.0.0.1:6381", -1, "" },
		{ "3999 10.0.0.1", -1, "" },
		{ "3999 10.0.0.1:", -1, "" },
		{ "3999 10.0.0.1:65536", -1, "" },
		{ "3999", -1, "" },
		{ "", -1, "" },
		{ ":1 2", -1, "" },
		{ "99999999999 h:1", -1, "" },
	};
	struct rds_redirect d;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int rc = rds_redirect_parse(&d, all[i].text, ASKED, true);

		assert_int_equal(rc, all[i].slot == -1 ? -1 : 0);
		if (rc == -1)
			continue;
		assert_int_equal(d.slot, all[i].slot);
		assert_string_equal(d.url, all[i].url);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_in_the_slots_that_redis_says),
		cmocka_unit_test(what_is_between_the_first_braces_counts_alone),
		cmocka_unit_test(commands_go_by_their_first_key),
		cmocka_unit_test(slots_have_the_masters_that_are_told),
		cmocka_unit_test(nonsense_changes_nothing),
		cmocka_unit_test(redirections_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
