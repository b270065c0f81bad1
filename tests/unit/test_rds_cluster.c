#include <stdio.h>

#include "common/rds_slots.h"
#include "resp_servers.h"

#define FIRST "a" /* slot 15495: the second server's */
#define OTHER "b" /* slot 3300: the first one's */

/* --- two masters of a Cluster ----------------------------------------------- */

struct fleet {
	struct peer *p;
	struct server master[3];
	char slots[3][512]; /* what each tells */
	char text[128];
	struct rds_place *place;
	struct rds *rds;
	struct told told;
};

/* The lower half of the slots is at one, the upper one at another. */
static void
tell_slots(struct fleet *f, int who, int lower, int upper)
{
	char port[2][8];

	memcpy(port[0], f->master[lower].port, sizeof(port[0]));
	memcpy(port[1], f->master[upper].port, sizeof(port[1]));
	snprintf(f->slots[who], sizeof(f->slots[who]),
	    "*2\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$9\r\n127.0.0.1\r\n:%s\r\n"
	    "*3\r\n:8192\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%s\r\n",
	    port[0], port[1]);
	f->master[who].line[0] =
	    (struct line){ "CLUSTER SLOTS", f->slots[who] };
}

/* Each key is answered by who it is asked of. */
static void
fleet_set_up(struct fleet *f, void **state)
{
	static const char *const names[] = { "$1\r\n0\r\n", "$1\r\n1\r\n",
		"$1\r\n2\r\n" };

	memset(f, 0, sizeof(*f));
	f->p = *state;
	for (int i = 0; i < 3; i++) {
		server_start(&f->master[i], f->p->base, MASTER);
		f->master[i].line[1] = (struct line){ "GET " FIRST, names[i] };
		f->master[i].line[2] = (struct line){ "GET " OTHER, names[i] };
		f->master[i].line[3] = (struct line){ "ASKING", "+OK\r\n" };
	}
	for (int i = 0; i < 3; i++)
		tell_slots(f, i, 0, 1);
}

static void
fleet_connect(struct fleet *f)
{
	const char *address[] = { f->master[0].address, f->master[1].address };
	struct rds_conf conf = peer_conf(f->p);

	conf.cluster = true;
	f->place = rds_cluster_new(f->p->base, &conf, address, 2, false);
	conf.place = f->place;
	conf.load_library = true;
	f->rds = rds_new(f->p->base, &conf, peer_on_state, &f->told);
}

static void
fleet_tear_down(struct fleet *f)
{
	rds_free(f->rds);
	rds_place_free(f->place);
	for (int i = 0; i < 3; i++)
		server_end(&f->master[i]);
}

struct answer {
	int who; /* -1: failed */
	bool done;
	struct err e;
};

static void
on_answer(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct answer *a = arg;

	assert_false(a->done);
	a->done = true;
	a->who = e != NULL ? -1 : r->str[0] - '0';
	if (e != NULL)
		a->e = *e;
}

static uint64_t
get(struct fleet *f, const char *key, int ms, struct answer *a)
{
	struct rds_cmd c;

	memset(a, 0, sizeof(*a));
	rds_cmd(&c, "GET");
	rds_arg(&c, key);
	return rds_send(f->rds, &c, ms, on_answer, a);
}

/* Who answers for this key. */
static int
who(struct fleet *f, const char *key)
{
	struct answer a;

	get(f, key, 0, &a);
	peer_wait(f->p, &a.done);
	return a.who;
}

static void
await_who(struct fleet *f, const char *key, int wanted)
{
	int64_t end = loop_now_ms() + PATIENCE_MS;

	while (who(f, key) != wanted) {
		assert_true(loop_now_ms() < end);
		peer_run(f->p, 10);
	}
}

static const char *
redirect(struct fleet *f, const char *word, const char *key, int to)
{
	snprintf(f->text, sizeof(f->text), "-%s %d 127.0.0.1:%.7s\r\n", word,
	    rds_slot(key, strlen(key)), f->master[to].port);
	return f->text;
}

static void
each_key_is_asked_of_who_has_its_slot(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	fleet_connect(&f);
	/* What is asked before the slots are known waits for them. */
	assert_int_equal(who(&f, FIRST), 1);
	assert_int_equal(who(&f, OTHER), 0);
	peer_wait(f.p, &f.told.up);
	assert_true(rds_up(f.rds));
	/* The functions are looked for on both. */
	for (int i = 0; i < 2; i++)
		assert_non_null(
		    strstr(f.master[i].heard.p, "FCALL certfleet_version 0"));
	assert_int_equal(f.master[2].connections, 0);
	fleet_tear_down(&f);
}

static void
moved_is_followed_and_believed(void **state)
{
	struct fleet f;
	size_t heard;

	fleet_set_up(&f, state);
	fleet_connect(&f);
	peer_wait(f.p, &f.told.up);
	f.master[0].line[2].reply = redirect(&f, "MOVED", OTHER, 2);
	for (int i = 0; i < 3; i++)
		tell_slots(&f, i, 2, 1);
	assert_int_equal(who(&f, OTHER), 2);
	heard = f.master[0].heard.len;
	assert_int_equal(who(&f, OTHER), 2);
	assert_null(strstr(f.master[0].heard.p + heard, "GET"));
	/* Who was asked is left when nobody needs it. */
	server_await(f.p, &f.master[2], "FCALL certfleet_version 0");
	fleet_tear_down(&f);
}

static void
ask_is_followed_once(void **state)
{
	struct fleet f;
	char *asking;

	fleet_set_up(&f, state);
	fleet_connect(&f);
	peer_wait(f.p, &f.told.up);
	f.master[0].line[2].reply = redirect(&f, "ASK", OTHER, 2);
	assert_int_equal(who(&f, OTHER), 2);
	asking = strstr(f.master[2].heard.p, "ASKING\n");
	assert_non_null(asking);
	assert_true(str_has_prefix(asking, "ASKING\nGET " OTHER "\n"));
	/* The next one begins at its owner again. */
	f.master[0].line[2].reply = "$1\r\n0\r\n";
	assert_int_equal(who(&f, OTHER), 0);
	fleet_tear_down(&f);
}

static void
redirections_that_go_round_have_an_end(void **state)
{
	struct fleet f;
	struct answer a;

	fleet_set_up(&f, state);
	fleet_connect(&f);
	peer_wait(f.p, &f.told.up);
	f.master[0].line[2].reply = redirect(&f, "MOVED", OTHER, 0);
	get(&f, OTHER, 0, &a);
	peer_wait(f.p, &a.done);
	assert_int_equal(a.who, -1);
	assert_string_equal(a.e.type, "MOVED");
	fleet_tear_down(&f);
}

static void
what_passes_is_waited_for(void **state)
{
	static const char *const words[] = {
		"-TRYAGAIN Multiple keys request during rehashing\r\n",
		"-CLUSTERDOWN The cluster is down\r\n",
		"-LOADING Redis is loading\r\n",
	};
	struct fleet f;
	struct answer a;

	fleet_set_up(&f, state);
	fleet_connect(&f);
	peer_wait(f.p, &f.told.up);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		f.master[0].line[2].reply = words[i];
		get(&f, OTHER, 3000, &a);
		peer_run(f.p, 60);
		assert_false(a.done);
		f.master[0].line[2].reply = "$1\r\n0\r\n";
		peer_wait(f.p, &a.done);
		assert_int_equal(a.who, 0);
	}
	fleet_tear_down(&f);
}

static void
what_does_not_pass_is_told_at_the_deadline(void **state)
{
	struct fleet f;
	struct answer a;

	fleet_set_up(&f, state);
	fleet_connect(&f);
	peer_wait(f.p, &f.told.up);
	f.master[0].line[2].reply = "-CLUSTERDOWN The cluster is down\r\n";
	get(&f, OTHER, 100, &a);
	peer_wait(f.p, &a.done);
	assert_int_equal(a.who, -1);
	assert_int_equal(a.e.kind, ERR_AGAIN);
	assert_string_equal(a.e.type, "CLUSTERDOWN");
	fleet_tear_down(&f);
}

/* The other one tells who has come in its place. */
static void
a_master_that_is_lost_is_replaced(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	fleet_connect(&f);
	peer_wait(f.p, &f.told.up);
	server_kill(&f.master[0]);
	peer_wait(f.p, &f.told.down);
	assert_int_equal(who(&f, FIRST), 1);
	assert_int_equal(who(&f, OTHER), -1);
	f.told.up = false;
	for (int i = 1; i < 3; i++)
		tell_slots(&f, i, 2, 1);
	await_who(&f, OTHER, 2);
	peer_wait(f.p, &f.told.up);
	fleet_tear_down(&f);
}

static void
slots_that_nobody_has_are_waited_for(void **state)
{
	struct fleet f;
	struct answer a;

	fleet_set_up(&f, state);
	for (int i = 0; i < 2; i++)
		snprintf(f.slots[i], sizeof(f.slots[i]),
		    "*1\r\n*3\r\n:8192\r\n:16383\r\n*2\r\n$0\r\n\r\n:%s\r\n",
		    f.master[1].port);
	fleet_connect(&f);
	peer_wait(f.p, &f.told.up);
	get(&f, OTHER, 60, &a);
	peer_wait(f.p, &a.done);
	assert_int_equal(a.who, -1);
	assert_non_null(strstr(a.e.text, "nobody in the Redis Cluster has"));
	assert_int_equal(who(&f, FIRST), 1);
	fleet_tear_down(&f);
}

static void
a_server_that_is_no_part_of_one_says_so(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	for (int i = 0; i < 2; i++)
		f.master[i].line[4] = (struct line){ "HELLO",
			"*6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n"
			"$5\r\n7.0.1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n" };
	fleet_connect(&f);
	peer_wait(f.p, &f.told.down);
	if (strstr(f.told.why.text, "no part of a Cluster") == NULL)
		fail_msg("%s", f.told.why.text);
	assert_int_equal(f.told.why.kind, ERR_CONFIG);
	fleet_tear_down(&f);
}

static void
nobody_answers_and_people_hear_why(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	server_kill(&f.master[0]);
	server_kill(&f.master[1]);
	fleet_connect(&f);
	assert_int_equal(who(&f, FIRST), -1);
	peer_wait(f.p, &f.told.down);
	if (strstr(f.told.why.text, "no connection to Redis at") == NULL)
		fail_msg("%s", f.told.why.text);
	server_listen(&f.master[0]);
	server_listen(&f.master[1]);
	await_who(&f, FIRST, 1);
	fleet_tear_down(&f);
}

static void
what_is_cancelled_is_not_called(void **state)
{
	struct fleet f;
	struct answer sent, waits;

	fleet_set_up(&f, state);
	fleet_connect(&f);
	rds_cancel(f.rds, get(&f, OTHER, 0, &waits)); /* no slots yet */
	peer_wait(f.p, &f.told.up);
	rds_cancel(f.rds, get(&f, OTHER, 0, &sent));
	rds_cancel(f.rds, 4711);
	assert_int_equal(who(&f, OTHER), 0);
	assert_false(sent.done);
	assert_false(waits.done);
	get(&f, OTHER, 0, &sent); /* dropped with the client */
	fleet_tear_down(&f);
}

struct suicide {
	struct rds *rds;
	bool done;
};

static void
on_last(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct suicide *s = arg;

	(void)r, (void)e;
	rds_free(s->rds);
	s->done = true;
}

static void
a_client_may_be_freed_in_a_callback(void **state)
{
	struct fleet f;
	struct suicide s;
	struct rds_cmd c;

	fleet_set_up(&f, state);
	fleet_connect(&f);
	s = (struct suicide){ .rds = f.rds };
	rds_cmd(&c, "GET");
	rds_arg(&c, OTHER);
	rds_send(f.rds, &c, 0, on_last, &s);
	f.rds = NULL;
	peer_wait(f.p, &s.done);
	peer_run(f.p, 20);
	fleet_tear_down(&f);
}

/* --- connections of their own ------------------------------------------------ */

static void
on_entry(void *arg, const char *id, const struct rds_reply *fields)
{
	(void)arg, (void)id, (void)fields;
}

static void
a_stream_goes_with_its_slot(void **state)
{
	struct fleet f;
	struct rds_conf conf;
	struct rds_stream *stream;

	fleet_set_up(&f, state);
	for (int i = 0; i < 3; i++) {
		f.master[i].line[4] = (struct line){ "XREVRANGE", "*0\r\n" };
		f.master[i].line[5] = (struct line){ "XREAD", "" };
	}
	fleet_connect(&f);
	conf = peer_conf(f.p);
	conf.cluster = true;
	conf.place = f.place;
	stream =
	    rds_stream_new(f.p->base, &conf, OTHER, "$", on_entry, NULL, NULL);
	server_await(f.p, &f.master[0], "XREAD COUNT 100 BLOCK 5000 STREAMS b");
	assert_null(strstr(f.master[1].heard.p, "XREVRANGE"));
	/* The slot leaves: who waits for entries of it is told. */
	f.master[0].line[2].reply = redirect(&f, "MOVED", OTHER, 2);
	for (int i = 0; i < 3; i++)
		tell_slots(&f, i, 2, 1);
	assert_int_equal(who(&f, OTHER), 2);
	server_await(f.p, &f.master[2], "XREAD COUNT 100 BLOCK 5000 STREAMS b");
	rds_stream_free(stream);
	fleet_tear_down(&f);
}

static void
on_message(void *arg, const char *channel, const char *text, size_t len)
{
	bool *got = arg;

	(void)channel, (void)text, (void)len;
	*got = true;
}

/* Any master will do: what is published at one is heard at all. */
static void
a_subscription_lives_as_long_as_a_master_does(void **state)
{
	static const char *const channels[] = { "c" };
	struct fleet f;
	struct rds_conf conf;
	struct rds_sub *sub;
	bool got = false;
	int at;

	fleet_set_up(&f, state);
	for (int i = 0; i < 3; i++)
		f.master[i].line[4] = (struct line){ "SUBSCRIBE c",
			"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n" };
	fleet_connect(&f);
	conf = peer_conf(f.p);
	conf.cluster = true;
	conf.place = f.place;
	peer_wait(f.p, &f.told.up);
	sub =
	    rds_sub_new(f.p->base, &conf, channels, 1, on_message, NULL, &got);
	peer_run(f.p, 50);
	at = strstr(f.master[1].heard.p, "SUBSCRIBE") != NULL;
	server_await(f.p, &f.master[at], "SUBSCRIBE c");
	server_kill(&f.master[at]);
	server_await(f.p, &f.master[!at], "SUBSCRIBE c");
	server_publish(&f.master[!at], "c", "x");
	peer_wait(f.p, &got);
	rds_sub_free(sub);
	fleet_tear_down(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PEER_TEST(each_key_is_asked_of_who_has_its_slot),
		PEER_TEST(moved_is_followed_and_believed),
		PEER_TEST(ask_is_followed_once),
		PEER_TEST(redirections_that_go_round_have_an_end),
		PEER_TEST(what_passes_is_waited_for),
		PEER_TEST(what_does_not_pass_is_told_at_the_deadline),
		PEER_TEST(a_master_that_is_lost_is_replaced),
		PEER_TEST(slots_that_nobody_has_are_waited_for),
		PEER_TEST(a_server_that_is_no_part_of_one_says_so),
		PEER_TEST(nobody_answers_and_people_hear_why),
		PEER_TEST(what_is_cancelled_is_not_called),
		PEER_TEST(a_client_may_be_freed_in_a_callback),
		PEER_TEST(a_stream_goes_with_its_slot),
		PEER_TEST(a_subscription_lives_as_long_as_a_master_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
