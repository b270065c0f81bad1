#include "resp_peer.h"

#define SUBSCRIBED                                   \
	"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" \
	"*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
#define MESSAGE(channel, text) \
	"*3\r\n$7\r\nmessage\r\n$1\r\n" channel "\r\n$5\r\n" text "\r\n"

/* What a listener hears; told comes first: it is state()'s argument too. */
struct listener {
	struct told t;
	struct buf heard; /* "channel text;" or "id=value;" */
	bool enough;
	size_t wanted; /* bytes of heard that are enough */
	void *free_it; /* the subscription or stream, at the first word */
};

static void
note(struct listener *l)
{
	l->enough = l->heard.len >= l->wanted;
}

static void
on_message(void *arg, const char *channel, const char *text, size_t len)
{
	struct listener *l = arg;

	assert_int_equal(strlen(text), len);
	buf_putf(&l->heard, "%s %s;", channel, text);
	if (l->free_it != NULL)
		rds_sub_free(l->free_it);
	note(l);
}

static struct listener *
listener_new(const char *wanted)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	buf_init(&l->heard, 1 << 16);
	l->wanted = strlen(wanted);
	return l;
}

static void
listener_free(struct listener *l)
{
	buf_clear(&l->heard);
	free(l);
}

static const char *const channels[] = { "a", "b" };

static void
messages_are_heard_and_asked_for_again_after_a_cut(void **state)
{
	static const struct line script[] = {
		{ "SUBSCRIBE a b",
		    SUBSCRIBED MESSAGE("a", "hello") MESSAGE("b", "world") },
		{ "SUBSCRIBE a b", SUBSCRIBED MESSAGE("a", "again") },
		{ 0 },
	};
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct listener *l = listener_new("a hello;b world;");
	struct rds_sub *s;

	p->script = script;
	s = rds_sub_new(
	    p->base, &conf, channels, 2, on_message, peer_on_state, l);
	peer_wait(p, &l->t.up);
	peer_wait(p, &l->enough);
	assert_string_equal(l->heard.p, "a hello;b world;");
	peer_hang_up(p);
	peer_wait(p, &l->t.down);
	assert_int_equal(l->t.why.kind, ERR_AGAIN);
	l->t.up = l->enough = false;
	l->wanted = strlen("a hello;b world;a again;");
	peer_wait(p, &l->t.up);
	peer_wait(p, &l->enough);
	assert_string_equal(l->heard.p, "a hello;b world;a again;");
	rds_sub_free(s);
	listener_free(l);
}

static void
a_subscription_is_up_only_when_all_channels_are_confirmed(void **state)
{
	static const struct line script[] = {
		{ "SUBSCRIBE a b",
		    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct listener *l = listener_new("-");
	struct rds_sub *s;

	p->script = script;
	s = rds_sub_new(
	    p->base, &conf, channels, 2, on_message, peer_on_state, l);
	peer_run(p, 50);
	assert_false(l->t.up);
	rds_sub_free(s);
	listener_free(l);
}

static void
a_refused_subscription_is_for_the_operator(void **state)
{
	static const struct line script[] = {
		{ "SUBSCRIBE a b", "-NOPERM No permissions for channel\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct listener *l = listener_new("-");
	struct rds_sub *s;

	p->script = script;
	s = rds_sub_new(
	    p->base, &conf, channels, 2, on_message, peer_on_state, l);
	peer_wait(p, &l->t.down);
	assert_int_equal(l->t.why.kind, ERR_CONFIG);
	assert_non_null(strstr(l->t.why.text, "refuses to subscribe"));
	rds_sub_free(s);
	listener_free(l);
}

static void
a_server_that_answers_no_ping_is_left(void **state)
{
	static const struct line script[] = {
		{ "SUBSCRIBE a b", SUBSCRIBED },
		{ "PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n" },
		{ "PING", "" },
		{ "SUBSCRIBE a b", SUBSCRIBED },
		{ 0 },
	};
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct listener *l = listener_new("-");
	struct rds_sub *s;

	conf.command_timeout_ms = 20;
	p->script = script;
	s = rds_sub_new(
	    p->base, &conf, channels, 2, on_message, peer_on_state, l);
	peer_wait(p, &l->t.down);
	assert_string_equal(l->t.why.text, "Redis has stopped answering");
	assert_null(strstr(p->script->command, "PING"));
	rds_sub_free(s);
	listener_free(l);
}

static void
a_subscription_may_be_freed_in_its_callback(void **state)
{
	static const struct line script[] = {
		{ "SUBSCRIBE a b",
		    SUBSCRIBED MESSAGE("a", "first") MESSAGE("b", "never") },
		{ 0 },
	};
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct listener *l = listener_new("a first;");

	p->script = script;
	l->free_it = rds_sub_new(
	    p->base, &conf, channels, 2, on_message, peer_on_state, l);
	peer_wait(p, &l->enough);
	peer_run(p, 20);
	assert_string_equal(l->heard.p, "a first;");
	listener_free(l);
}

/* --- streams ------------------------------------------------------------- */

#define ENTRY(id, value) \
	"*2\r\n$3\r\n" id "\r\n*2\r\n$1\r\nf\r\n$1\r\n" value "\r\n"
#define ENDS_AT(id) "*1\r\n" ENTRY(id, "x")
#define EMPTY "*0\r\n"
#define ENTRIES(n, list) "*1\r\n*2\r\n$3\r\nkey\r\n*" n "\r\n" list
#define ASK_END "XREVRANGE key + - COUNT 1"
#define ASK_FROM(id) "XREAD COUNT 100 BLOCK 5000 STREAMS key " id
#define NIL "*-1\r\n"

static void
on_entry(void *arg, const char *id, const struct rds_reply *fields)
{
	struct listener *l = arg;
	const char *value = rds_field(fields, "f");

	assert_null(rds_field(fields, "g"));
	buf_putf(&l->heard, "%s=%s;", id, value != NULL ? value : "?");
	if (l->free_it != NULL)
		rds_stream_free(l->free_it);
	note(l);
}

/* Read a stream by the script until so much was heard. */
static void
read_stream(struct peer *p, const struct line *script, const char *from,
    const char *heard)
{
	struct rds_conf conf = peer_conf(p);
	struct listener *l = listener_new(heard);
	struct rds_stream *s;

	p->script = script;
	s = rds_stream_new(
	    p->base, &conf, "key", from, on_entry, peer_on_state, l);
	peer_wait(p, &l->enough);
	peer_run(p, 10); /* for what is asked next */
	assert_true(l->t.up);
	assert_string_equal(l->heard.p, heard);
	rds_stream_free(s);
	listener_free(l);
}

static void
what_is_new_is_read_from_where_the_stream_ended(void **state)
{
	static const struct line script[] = {
		{ ASK_END, ENDS_AT("5-0") },
		{ ASK_FROM("5-0"), NIL },
		{ ASK_FROM("5-0"),
		    ENTRIES("2", ENTRY("6-0", "a") ENTRY("6-1", "b")) },
		{ ASK_FROM("6-1"), "" },
		{ 0 },
	};

	read_stream(*state, script, "$", "6-0=a;6-1=b;");
}

static void
an_empty_stream_is_read_from_its_beginning(void **state)
{
	static const struct line script[] = {
		{ ASK_END, EMPTY },
		{ ASK_FROM("0-0"), ENTRIES("1", ENTRY("1-0", "a")) },
		{ ASK_FROM("1-0"), "" },
		{ 0 },
	};

	read_stream(*state, script, "$", "1-0=a;");
}

static void
reading_goes_on_from_a_given_entry(void **state)
{
	static const struct line script[] = {
		{ ASK_END, ENDS_AT("9-0") },
		{ ASK_FROM("3-7"), ENTRIES("1", ENTRY("4-0", "a")) },
		{ ASK_FROM("4-0"), "" },
		{ 0 },
	};

	read_stream(*state, script, "3-7", "4-0=a;");
}

static void
a_cut_loses_no_entry(void **state)
{
	static const struct line script[] = {
		{ ASK_END, ENDS_AT("5-0") },
		{ ASK_FROM("5-0"), ENTRIES("1", ENTRY("6-0", "a")) },
		{ ASK_FROM("6-0"), HANG_UP },
		{ ASK_END, ENDS_AT("7-0") },
		{ ASK_FROM("6-0"), ENTRIES("1", ENTRY("7-0", "b")) },
		{ ASK_FROM("7-0"), "" },
		{ 0 },
	};

	read_stream(*state, script, "$", "6-0=a;7-0=b;");
}

static void
a_stream_that_went_back_is_read_from_its_new_end(void **state)
{
	static const struct line script[] = {
		{ ASK_END, ENDS_AT("5-9") },
		{ ASK_FROM("5-9"), HANG_UP },
		{ ASK_END, ENDS_AT("5-3") },
		{ ASK_FROM("5-3"), ENTRIES("1", ENTRY("5-4", "a")) },
		{ ASK_FROM("5-4"), "" },
		{ 0 },
	};

	read_stream(*state, script, "$", "5-4=a;");
}

static void
a_key_that_is_no_stream_is_told(void **state)
{
	static const struct line script[] = {
		{ ASK_END, "-WRONGTYPE Operation against a key\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct listener *l = listener_new("-");
	struct rds_stream *s;

	p->script = script;
	s = rds_stream_new(
	    p->base, &conf, "key", "$", on_entry, peer_on_state, l);
	peer_wait(p, &l->t.down);
	assert_string_equal(l->t.why.type, "WRONGTYPE");
	rds_stream_free(s);
	listener_free(l);
}

static void
a_stream_may_be_freed_in_its_callback(void **state)
{
	static const struct line script[] = {
		{ ASK_END, EMPTY },
		{ ASK_FROM("0-0"),
		    ENTRIES("2", ENTRY("1-0", "a") ENTRY("2-0", "b")) },
		{ 0 },
	};
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct listener *l = listener_new("1-0=a;");

	p->script = script;
	l->free_it = rds_stream_new(
	    p->base, &conf, "key", "$", on_entry, peer_on_state, l);
	peer_wait(p, &l->enough);
	peer_run(p, 20);
	assert_string_equal(l->heard.p, "1-0=a;");
	listener_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PEER_TEST(messages_are_heard_and_asked_for_again_after_a_cut),
		PEER_TEST(
		    a_subscription_is_up_only_when_all_channels_are_confirmed),
		PEER_TEST(a_refused_subscription_is_for_the_operator),
		PEER_TEST(a_server_that_answers_no_ping_is_left),
		PEER_TEST(a_subscription_may_be_freed_in_its_callback),
		PEER_TEST(what_is_new_is_read_from_where_the_stream_ended),
		PEER_TEST(an_empty_stream_is_read_from_its_beginning),
		PEER_TEST(reading_goes_on_from_a_given_entry),
		PEER_TEST(a_cut_loses_no_entry),
		PEER_TEST(a_stream_that_went_back_is_read_from_its_new_end),
		PEER_TEST(a_key_that_is_no_stream_is_told),
		PEER_TEST(a_stream_may_be_freed_in_its_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
