#include <stdio.h>
#include <sys/ioctl.h>

#include "common/library.h"
#include "resp_peer.h"

/* What a command got. */
struct got {
	int calls;
	bool done;
	struct err e;
	enum rds_type type;
	char text[256];
	int64_t at;
};

static void
on_reply(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct got *g = arg;
	struct err ignored;

	assert_true((r == NULL) != (e == NULL));
	g->calls++;
	g->done = true;
	g->at = loop_now_ms();
	if (e != NULL) {
		g->e = *e;
		return;
	}
	g->type = r->type;
	if (r->str != NULL)
		str_copy(g->text, sizeof(g->text), r->str, &ignored);
}

static uint64_t
get(struct rds *r, const char *key, int timeout_ms, struct got *g)
{
	struct rds_cmd c;

	memset(g, 0, sizeof(*g));
	rds_cmd(&c, "GET");
	rds_arg(&c, key);
	return rds_send(r, &c, timeout_ms, on_reply, g);
}

static struct rds *
connect_to(struct peer *p, struct told *t)
{
	struct rds_conf conf = peer_conf(p);
	struct rds *r;

	memset(t, 0, sizeof(*t));
	r = rds_new(p->base, &conf, peer_on_state, t);
	peer_wait(p, &t->up);
	assert_true(rds_up(r));
	return r;
}

/* A client that does not get up: with what it says. */
static void
refused(struct peer *p, enum err_kind kind, const char *text)
{
	struct rds_conf conf = peer_conf(p);
	struct told t = { 0 };
	struct rds *r = rds_new(p->base, &conf, peer_on_state, &t);

	peer_wait(p, &t.down);
	assert_false(rds_up(r));
	assert_int_equal(t.why.kind, kind);
	if (strstr(t.why.text, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, t.why.text);
	rds_free(r);
}

/* --- logging in ---------------------------------------------------------- */

static void
it_logs_in_with_user_password_name_and_database(void **state)
{
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct told t = { 0 };
	struct rds *r;

	conf.user = "agent";
	conf.password = "s3cret";
	conf.db = 3;
	r = rds_new(p->base, &conf, peer_on_state, &t);
	peer_wait(p, &t.up);
	assert_string_equal(p->heard.p,
	    "HELLO 2 AUTH agent s3cret SETNAME test\nSELECT 3\nROLE\n");
	rds_free(r);
}

static void
a_wrong_password_is_for_the_operator(void **state)
{
	struct peer *p = *state;

	p->hello = "-WRONGPASS invalid username-password pair\r\n";
	refused(p, ERR_CONFIG, "refuses logging in: invalid username");
	p->hello = "-NOAUTH HELLO must be called with a password\r\n";
	refused(p, ERR_CONFIG, "refuses logging in");
}

static void
a_replica_is_not_used(void **state)
{
	struct peer *p = *state;

	p->role = REPLICA;
	refused(p, ERR_AGAIN, "is a replica");
}

static void
a_sentinel_is_not_used(void **state)
{
	struct peer *p = *state;

	p->role = "*2\r\n$8\r\nsentinel\r\n*0\r\n";
	refused(p, ERR_CONFIG, "is a sentinel");
}

static void
a_server_that_is_too_old_is_not_used(void **state)
{
	struct peer *p = *state;

	p->hello = "*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n"
		   "$7\r\nversion\r\n$6\r\n6.2.14\r\n";
	refused(p, ERR_CONFIG, "is Redis 6.2.14; 7.0 or newer is needed");
	p->hello = "*4\r\n$6\r\nserver\r\n$6\r\nvalkey\r\n"
		   "$7\r\nversion\r\n$5\r\n7.1.9\r\n";
	refused(p, ERR_CONFIG, "is Valkey 7.1.9; 7.2 or newer is needed");
	p->hello = "-ERR unknown command `HELLO`\r\n";
	refused(p, ERR_CONFIG, "too old");
}

static void
versions_are_numbers_not_text(void **state)
{
	struct peer *p = *state;
	struct told t;

	p->hello = "*4\r\n$6\r\nserver\r\n$6\r\nvalkey\r\n"
		   "$7\r\nversion\r\n$6\r\n10.0.0\r\n";
	rds_free(connect_to(p, &t));
}

/* Connect with load_library; was the library loaded? */
static bool
loads(struct peer *p, const char *library)
{
	struct rds_conf conf = peer_conf(p);
	struct told t = { 0 };
	struct rds *r;

	p->library = library;
	conf.load_library = true;
	buf_clear(&p->heard);
	r = rds_new(p->base, &conf, peer_on_state, &t);
	peer_wait(p, &t.up);
	rds_free(r);
	return strstr(p->heard.p, "FUNCTION LOAD REPLACE #!lua name=") != NULL;
}

static void
the_library_is_loaded_when_it_is_missing_or_older(void **state)
{
	struct peer *p = *state;
	char same[32], newer[32], older[32];

	snprintf(older, sizeof(older), ":%d\r\n", LIBRARY_VERSION - 1);
	snprintf(same, sizeof(same), ":%d\r\n", LIBRARY_VERSION);
	snprintf(newer, sizeof(newer), ":%d\r\n", LIBRARY_VERSION + 1);
	assert_true(loads(p, NO_FUNCTION));
	assert_true(loads(p, older));
	assert_false(loads(p, same));
	assert_false(loads(p, newer));
}

static void
the_library_and_the_program_agree_on_its_version(void **state)
{
	char line[64];

	(void)state;
	snprintf(line, sizeof(line), "\nlocal VERSION = %d\n", LIBRARY_VERSION);
	assert_non_null(strstr(library_lua, line));
	assert_int_equal(strlen(library_lua), library_lua_size());
}

/* --- commands ------------------------------------------------------------ */

static void
commands_sent_before_the_connection_is_there_wait_for_it(void **state)
{
	static const struct line script[] = {
		{ "GET a", "$1\r\nA\r\n" },
		{ "GET b", "$1\r\nB\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct rds *r = rds_new(p->base, &conf, NULL, NULL);
	struct got a, b;

	p->script = script;
	get(r, "a", 0, &a);
	get(r, "b", 0, &b);
	peer_wait(p, &b.done);
	assert_string_equal(a.text, "A");
	assert_string_equal(b.text, "B");
	rds_free(r);
}

static void
what_nobody_waits_for_any_more_is_not_sent(void **state)
{
	static const struct line script[] = {
		{ "GET b", "$1\r\nB\r\n" },
		{ "GET d", "$1\r\nD\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct rds *r = rds_new(p->base, &conf, NULL, NULL);
	struct got a, b, c, d;

	p->script = script;
	p->hello = ""; /* no answer yet */
	get(r, "a", 20, &a);
	get(r, "b", 0, &b);
	rds_cancel(r, get(r, "c", 0, &c));
	get(r, "d", 0, &d);
	peer_wait(p, &a.done);
	assert_int_equal(a.e.kind, ERR_AGAIN);
	bufferevent_write(p->bev, REDIS_7, strlen(REDIS_7));
	peer_wait(p, &d.done);
	assert_string_equal(b.text, "B");
	assert_string_equal(d.text, "D");
	assert_false(c.done);
	rds_free(r);
}

static void
commands_of_one_turn_leave_in_one_write(void **state)
{
	static const struct line script[] = {
		{ "GET 0", "+0\r\n" },
		{ "GET 1", "+1\r\n" },
		{ "GET 2", "+2\r\n" },
		{ "GET 3", "+3\r\n" },
		{ "GET 4", "+4\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct told t;
	struct rds *r = connect_to(p, &t);
	struct got g[5];
	char key[2] = "0";
	int there = -1;

	p->script = script;
	p->reads = 0;
	for (int i = 0; i < 5; i++) {
		key[0] = (char)('0' + i);
		get(r, key, 0, &g[i]);
	}
	/* Nothing yet; then all at once. */
	assert_int_equal(ioctl(bufferevent_getfd(p->bev), FIONREAD, &there), 0);
	assert_int_equal(there, 0);
	peer_wait(p, &g[4].done);
	assert_int_equal(p->reads, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(g[i].text[0], '0' + i);
	rds_free(r);
}

static void
a_late_reply_is_thrown_away_and_the_rest_stays_in_order(void **state)
{
	static const struct line script[] = {
		{ "GET late", "" },
		{ "GET next", "$5\r\nstale\r\n$5\r\nfresh\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct told t;
	struct rds *r = connect_to(p, &t);
	struct got late, next;

	p->script = script;
	get(r, "late", 20, &late);
	peer_wait(p, &late.done);
	assert_int_equal(late.e.kind, ERR_AGAIN);
	get(r, "next", 0, &next);
	peer_wait(p, &next.done);
	assert_string_equal(next.text, "fresh");
	assert_int_equal(late.calls, 1);
	assert_int_equal(p->connections, 1);
	rds_free(r);
}

static void
a_deadline_is_kept_within_milliseconds(void **state)
{
	static const struct line script[] = { { "GET a", "" }, { "GET b", "" },
		{ 0 } };
	struct peer *p = *state;
	struct told t;
	struct rds *r = connect_to(p, &t);
	struct got a, b;
	int64_t sent = loop_now_ms();

	p->script = script;
	get(r, "a", 400, &a);
	get(r, "b", 50, &b); /* the later command has the earlier deadline */
	peer_wait(p, &b.done);
	assert_in_range(b.at - sent, 50, 70);
	assert_false(a.done);
	peer_wait(p, &a.done);
	assert_in_range(a.at - sent, 400, 430);
	rds_free(r);
}

static void
a_server_that_stops_answering_is_left(void **state)
{
	static const struct line script[] = { { "GET a", "" }, { 0 } };
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct told t = { 0 };
	struct rds *r;
	struct got a;

	conf.command_timeout_ms = 50;
	r = rds_new(p->base, &conf, peer_on_state, &t);
	p->script = script;
	get(r, "a", 0, &a);
	peer_wait(p, &t.down);
	assert_string_equal(t.why.text, "Redis has stopped answering");
	t.up = false;
	peer_wait(p, &t.up);
	assert_int_equal(p->connections, 2);
	rds_free(r);
}

static void
a_connection_cut_in_a_reply_fails_what_is_pending_and_is_made_again(
    void **state)
{
	static const struct line script[] = {
		{ "GET a", "" },
		{ "GET b", HANG_UP "$1\r\nA\r\n$10\r\nhal" },
		{ "GET c", "$1\r\nC\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct told t;
	struct rds *r = connect_to(p, &t);
	struct got a, b, c;

	p->script = script;
	get(r, "a", 0, &a);
	get(r, "b", 0, &b);
	t.up = false;
	peer_wait(p, &b.done);
	assert_string_equal(a.text, "A");
	assert_int_equal(b.e.kind, ERR_AGAIN);
	assert_false(rds_up(r));
	/* While it is known to be broken: at once, but not within the call. */
	get(r, "x", 0, &c);
	assert_false(c.done);
	peer_wait(p, &c.done);
	assert_int_equal(c.e.kind, ERR_AGAIN);
	peer_wait(p, &t.up);
	get(r, "c", 0, &c);
	peer_wait(p, &c.done);
	assert_string_equal(c.text, "C");
	rds_free(r);
}

static void
no_server_is_a_state_and_commands_fail(void **state)
{
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct told t = { 0 };
	struct got a;
	struct rds *r;

	conf.url = "unix:/nowhere/to/be/found";
	r = rds_new(p->base, &conf, peer_on_state, &t);
	get(r, "a", 0, &a);
	peer_wait(p, &a.done);
	assert_int_equal(a.e.kind, ERR_AGAIN);
	peer_wait(p, &t.down);
	assert_non_null(strstr(t.why.text, "No such file"));
	t.down = false;
	peer_run(p, 300); /* attempts that fail alike are no news */
	assert_false(t.down);
	rds_free(r);
}

static void
a_url_that_is_none_is_a_state_too(void **state)
{
	struct peer *p = *state;

	memcpy(p->url, "http:", 5);
	refused(p, ERR_CONFIG, "it should be unix:/path");
	memcpy(p->url, "unix:", 5);
}

static void
an_error_reply_is_an_error_with_its_first_word_as_type(void **state)
{
	static const struct line script[] = {
		{ "GET a", "-FENCED epoch 7 is older than 8\r\n" },
		{ "GET b", "-LOADING Redis is loading\r\n" },
		{ "GET c", "-WORD\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct told t;
	struct rds *r = connect_to(p, &t);
	struct got a, b, c;

	p->script = script;
	get(r, "a", 0, &a);
	get(r, "b", 0, &b);
	get(r, "c", 0, &c);
	peer_wait(p, &c.done);
	assert_string_equal(a.e.type, "FENCED");
	assert_string_equal(a.e.text, "epoch 7 is older than 8");
	assert_string_equal(b.e.type, "LOADING");
	assert_int_equal(b.e.kind, ERR_AGAIN);
	assert_string_equal(c.e.type, "WORD");
	assert_string_equal(c.e.text, "");
	rds_free(r);
}

static void
a_master_that_became_a_replica_is_left(void **state)
{
	static const struct line script[] = {
		{ "GET a", "-READONLY You can't write against a replica\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct told t;
	struct rds *r = connect_to(p, &t);
	struct got a;

	p->script = script;
	get(r, "a", 0, &a);
	peer_wait(p, &a.done);
	assert_string_equal(a.e.type, "READONLY");
	p->role = REPLICA;
	while (strstr(t.why.text, "is a replica") == NULL) {
		t.down = false;
		peer_wait(p, &t.down);
	}
	rds_free(r);
}

static void
a_command_that_was_cancelled_is_not_heard_of_again(void **state)
{
	static const struct line script[] = {
		{ "GET a", "" },
		{ "GET b", "$1\r\nA\r\n$1\r\nB\r\n" },
		{ 0 },
	};
	struct peer *p = *state;
	struct told t;
	struct rds *r = connect_to(p, &t);
	struct got a, b;
	uint64_t id;

	p->script = script;
	id = get(r, "a", 0, &a);
	get(r, "b", 0, &b);
	rds_cancel(r, id);
	peer_wait(p, &b.done);
	assert_string_equal(b.text, "B");
	assert_false(a.done);
	rds_cancel(r, id); /* gone: accepted */
	rds_cancel(r, 12345);
	rds_free(r);
}

static void
a_refused_command_can_be_cancelled(void **state)
{
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct told t = { 0 };
	struct got a;
	struct rds *r;

	conf.url = "unix:/nowhere/to/be/found";
	r = rds_new(p->base, &conf, peer_on_state, &t);
	peer_wait(p, &t.down);
	rds_cancel(r, get(r, "a", 0, &a));
	peer_run(p, 20);
	assert_false(a.done);
	rds_free(r);
}

static void
a_reply_that_is_none_ends_the_connection(void **state)
{
	static const struct line script[] = { { "GET a", "?what\r\n" }, { 0 } };
	struct peer *p = *state;
	struct told t;
	struct rds *r = connect_to(p, &t);
	struct got a;

	p->script = script;
	get(r, "a", 0, &a);
	peer_wait(p, &a.done);
	assert_int_equal(a.e.kind, ERR_AGAIN);
	assert_int_equal(t.why.kind, ERR_BUG);
	rds_free(r);
}

static void
a_reply_to_no_command_ends_the_connection(void **state)
{
	struct peer *p = *state;
	struct told t;
	struct rds *r = connect_to(p, &t);

	bufferevent_write(p->bev, "+OK\r\n", 5);
	peer_wait(p, &t.down);
	assert_int_equal(t.why.kind, ERR_BUG);
	rds_free(r);
}

static void
what_waits_is_capped(void **state)
{
	struct peer *p = *state;
	struct rds_conf conf = peer_conf(p);
	struct rds *r = rds_new(p->base, &conf, NULL, NULL);
	struct got g, last;

	p->hello = "";
	for (int i = 0; i < 20000; i++)
		get(r, "a", 0, &g);
	get(r, "a", 0, &last);
	peer_wait(p, &last.done);
	assert_string_equal(last.e.text, "too much waits for Redis");
	rds_free(r);
}

struct suicide {
	struct rds *r;
	bool done;
};

static void
free_it(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct suicide *s = arg;

	(void)r, (void)e;
	assert_false(s->done);
	rds_free(s->r);
	s->done = true;
}

/* Free the client in the first of three callbacks. */
static void
free_in_callback(struct peer *p, const struct line *script, int timeout_ms)
{
	struct rds_conf conf = peer_conf(p);
	struct suicide s = { .r = rds_new(p->base, &conf, NULL, NULL) };
	struct rds_cmd c;

	p->script = script;
	rds_cmd(&c, "PING");
	for (int i = 0; i < 3; i++)
		rds_send(s.r, &c, timeout_ms, free_it, &s);
	peer_wait(p, &s.done);
	peer_run(p, 20);
}

static void
a_client_may_be_freed_in_a_callback(void **state)
{
	static const struct line replies[] = { { "PING", "" }, { "PING", "" },
		{ "PING", "+1\r\n+2\r\n+3\r\n" }, { 0 } };
	static const struct line silence[] = { { "PING", "" }, { "PING", "" },
		{ "PING", "" }, { 0 } };
	static const struct line cut[] = { { "PING", "" }, { "PING", "" },
		{ "PING", HANG_UP }, { 0 } };
	struct peer *p = *state;

	free_in_callback(p, replies, 0);
	free_in_callback(p, silence, 20);
	free_in_callback(p, cut, 0);
	memcpy(p->url, "http:", 5);
	free_in_callback(p, NULL, 0);
	memcpy(p->url, "unix:", 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PEER_TEST(it_logs_in_with_user_password_name_and_database),
		PEER_TEST(a_wrong_password_is_for_the_operator),
		PEER_TEST(a_replica_is_not_used),
		PEER_TEST(a_sentinel_is_not_used),
		PEER_TEST(a_server_that_is_too_old_is_not_used),
		PEER_TEST(versions_are_numbers_not_text),
		PEER_TEST(the_library_is_loaded_when_it_is_missing_or_older),
		PEER_TEST(the_library_and_the_program_agree_on_its_version),
		PEER_TEST(
		    commands_sent_before_the_connection_is_there_wait_for_it),
		PEER_TEST(what_nobody_waits_for_any_more_is_not_sent),
		PEER_TEST(commands_of_one_turn_leave_in_one_write),
		PEER_TEST(
		    a_late_reply_is_thrown_away_and_the_rest_stays_in_order),
		PEER_TEST(a_deadline_is_kept_within_milliseconds),
		PEER_TEST(a_server_that_stops_answering_is_left),
		PEER_TEST(
		    a_connection_cut_in_a_reply_fails_what_is_pending_and_is_made_again),
		PEER_TEST(no_server_is_a_state_and_commands_fail),
		PEER_TEST(a_url_that_is_none_is_a_state_too),
		PEER_TEST(
		    an_error_reply_is_an_error_with_its_first_word_as_type),
		PEER_TEST(a_master_that_became_a_replica_is_left),
		PEER_TEST(a_command_that_was_cancelled_is_not_heard_of_again),
		PEER_TEST(a_refused_command_can_be_cancelled),
		PEER_TEST(a_reply_that_is_none_ends_the_connection),
		PEER_TEST(a_reply_to_no_command_ends_the_connection),
		PEER_TEST(what_waits_is_capped),
		PEER_TEST(a_client_may_be_freed_in_a_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
