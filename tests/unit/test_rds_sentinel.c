#include <stdio.h>

#include "common/rds_switch.h"
#include "resp_servers.h"

/* --- what is published ---------------------------------------------------- */

static void
a_switch_is_read(void **state)
{
	struct rds_switch s;

	(void)state;
	assert_int_equal(rds_switch_parse(&s, "m 10.0.0.1 6379 ::1 26380"), 0);
	assert_string_equal(s.name, "m");
	assert_string_equal(s.host, "::1");
	assert_string_equal(s.port, "26380");
}

static void
what_is_no_switch_is_refused(void **state)
{
	static const char *const texts[] = { "", " ", "m", "m h 1 h2",
		"m h 1 h2 0", "m h 1 h2 65536", "m h 1 h2 x", "m h 1  2",
		"m h 1 h2 2 more", "m h 1 h2 200000" };
	struct rds_switch s;
	char long_host[400];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(rds_switch_parse(&s, texts[i]), -1);
	snprintf(long_host, sizeof(long_host), "m h 1 %0300d 2", 1);
	assert_int_equal(rds_switch_parse(&s, long_host), -1);
}

/* --- two masters, two Sentinels ------------------------------------------- */

struct fleet {
	struct peer *p;
	struct server master[2], sentinel[2];
	char tells[2][64];
	struct rds_place *place;
	struct rds *rds;
	struct told told;
};

/* What a Sentinel says of where the master is. */
static void
tell_master(struct fleet *f, int sentinel, int master)
{
	char port[sizeof(f->master[master].port)];

	memcpy(port, f->master[master].port, sizeof(port));
	snprintf(f->tells[sentinel], sizeof(f->tells[sentinel]),
	    "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n", strlen(port), port);
	f->sentinel[sentinel].line[0] =
	    (struct line){ "SENTINEL get-master-addr-by-name shop",
		    f->tells[sentinel] };
	f->sentinel[sentinel].line[1] =
	    (struct line){ "SENTINEL sentinels shop", "*0\r\n" };
}

static void
fleet_set_up(struct fleet *f, void **state)
{
	memset(f, 0, sizeof(*f));
	f->p = *state;
	for (int i = 0; i < 2; i++) {
		server_start(
		    &f->master[i], f->p->base, i == 0 ? MASTER : REPLICA);
		f->master[i].line[0] = (struct line){ "GET who",
			i == 0 ? "$1\r\n0\r\n" : "$1\r\n1\r\n" };
		server_start(&f->sentinel[i], f->p->base, SENTINEL);
	}
	for (int i = 0; i < 2; i++)
		tell_master(f, i, 0);
}

static void
fleet_connect(struct fleet *f, size_t nsentinels)
{
	const char *address[] = { f->sentinel[0].address,
		f->sentinel[1].address };
	struct rds_conf conf = peer_conf(f->p), to = conf;
	const struct rds_sentinels sentinels = {
		.address = address, .n = nsentinels, .name = "shop"
	};

	to.password = "s3cret";
	f->place = rds_sentinel_new(f->p->base, &to, &sentinels);
	conf.place = f->place;
	f->rds = rds_new(f->p->base, &conf, peer_on_state, &f->told);
}

static void
fleet_tear_down(struct fleet *f)
{
	rds_free(f->rds);
	rds_place_free(f->place);
	for (int i = 0; i < 2; i++) {
		server_end(&f->master[i]);
		server_end(&f->sentinel[i]);
	}
}

static void
on_who(void *arg, const struct rds_reply *r, const struct err *e)
{
	int *who = arg;

	*who = e != NULL ? -1 : r->str[0] - '0';
}

/* Which master answers; -1: none does. */
static int
who(struct fleet *f)
{
	struct rds_cmd c;
	int answer = -2;

	rds_cmd(&c, "GET");
	rds_arg(&c, "who");
	rds_send(f->rds, &c, 0, on_who, &answer);
	loop_after(
	    f->p->base, &f->p->deadline, PATIENCE_MS, peer_on_deadline, f->p);
	while (answer == -2)
		event_base_loop(f->p->base, EVLOOP_ONCE);
	loop_cancel(f->p->deadline);
	return answer;
}

static void
await_who(struct fleet *f, int wanted)
{
	int64_t end = loop_now_ms() + PATIENCE_MS;

	while (who(f) != wanted) {
		assert_true(loop_now_ms() < end);
		peer_run(f->p, 10);
	}
}

static void
what_is_asked_at_the_start_waits_for_sentinel(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	fleet_connect(&f, 2);
	assert_int_equal(who(&f), 0);
	assert_false(f.told.down);
	server_await(f.p, &f.sentinel[0], "SUBSCRIBE +switch-master\n");
	assert_non_null(strstr(f.sentinel[0].heard.p,
	    "HELLO 2 AUTH default s3cret SETNAME test\nROLE\n"));
	assert_null(strstr(f.master[0].heard.p, "s3cret"));
	assert_int_equal(f.sentinel[1].connections, 0);
	fleet_tear_down(&f);
}

static void
a_sentinel_that_is_away_is_passed_over(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	server_kill(&f.sentinel[0]);
	fleet_connect(&f, 2);
	assert_int_equal(who(&f), 0);
	fleet_tear_down(&f);
}

static void
one_that_knows_nothing_is_passed_over(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	f.sentinel[0].line[0].reply = "*-1\r\n";
	fleet_connect(&f, 2);
	assert_int_equal(who(&f), 0);
	fleet_tear_down(&f);
}

static void
a_sentinel_that_hangs_is_passed_over(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	f.sentinel[0].line[0].reply = "";
	fleet_connect(&f, 2);
	await_who(&f, 0);
	fleet_tear_down(&f);
}

static void
nobody_knows_the_master_and_people_hear_why(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	f.sentinel[0].line[0].reply = "*-1\r\n";
	fleet_connect(&f, 1);
	peer_wait(f.p, &f.told.down);
	if (strstr(f.told.why.text, "knows no master called shop") == NULL)
		fail_msg("%s", f.told.why.text);
	tell_master(&f, 0, 0);
	await_who(&f, 0);
	fleet_tear_down(&f);
}

static void
a_redis_among_the_sentinels_is_told_to_be_none(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	f.sentinel[0].role = MASTER;
	fleet_connect(&f, 1);
	peer_wait(f.p, &f.told.down);
	if (strstr(f.told.why.text, "is no Sentinel but a master") == NULL)
		fail_msg("%s", f.told.why.text);
	fleet_tear_down(&f);
}

static void
a_switch_that_is_published_is_followed_at_once(void **state)
{
	struct fleet f;
	char text[100];

	fleet_set_up(&f, state);
	fleet_connect(&f, 2);
	assert_int_equal(who(&f), 0);
	server_await(f.p, &f.sentinel[0], "SUBSCRIBE");
	f.master[1].role = MASTER;
	snprintf(text, sizeof(text), "other 127.0.0.1 %s 127.0.0.1 1",
	    f.master[0].port);
	server_publish(&f.sentinel[0], "+switch-master", text);
	snprintf(text, sizeof(text), "shop 127.0.0.1 %s 127.0.0.1 %s",
	    f.master[0].port, f.master[1].port);
	server_publish(&f.sentinel[0], "+switch-master", text);
	await_who(&f, 1);
	fleet_tear_down(&f);
}

/* The Sentinel that told of it has not heard yet; the other one has. */
static void
a_master_that_is_gone_makes_us_ask_another_sentinel(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	fleet_connect(&f, 2);
	assert_int_equal(who(&f), 0);
	f.master[1].role = MASTER;
	tell_master(&f, 1, 1);
	server_kill(&f.master[0]);
	await_who(&f, 1);
	fleet_tear_down(&f);
}

static void
a_master_that_has_become_a_replica_is_left(void **state)
{
	struct fleet f;

	fleet_set_up(&f, state);
	fleet_connect(&f, 2);
	assert_int_equal(who(&f), 0);
	f.master[0].line[0].reply = "-READONLY You can't write\r\n";
	f.master[0].role = REPLICA;
	f.master[1].role = MASTER;
	assert_int_equal(who(&f), -1);
	tell_master(&f, 0, 1);
	tell_master(&f, 1, 1);
	await_who(&f, 1);
	fleet_tear_down(&f);
}

static void
sentinels_that_others_know_are_asked_too(void **state)
{
	struct fleet f;
	char known[200];

	fleet_set_up(&f, state);
	snprintf(known, sizeof(known),
	    "*1\r\n*4\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n"
	    "$%zu\r\n%s\r\n",
	    strlen(f.sentinel[1].port), f.sentinel[1].port);
	f.sentinel[0].line[1].reply = known;
	fleet_connect(&f, 1);
	assert_int_equal(who(&f), 0);
	f.master[1].role = MASTER;
	tell_master(&f, 1, 1);
	server_kill(&f.sentinel[0]);
	server_kill(&f.master[0]);
	await_who(&f, 1);
	fleet_tear_down(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_switch_is_read),
		cmocka_unit_test(what_is_no_switch_is_refused),
		PEER_TEST(what_is_asked_at_the_start_waits_for_sentinel),
		PEER_TEST(a_sentinel_that_is_away_is_passed_over),
		PEER_TEST(one_that_knows_nothing_is_passed_over),
		PEER_TEST(a_sentinel_that_hangs_is_passed_over),
		PEER_TEST(nobody_knows_the_master_and_people_hear_why),
		PEER_TEST(a_redis_among_the_sentinels_is_told_to_be_none),
		PEER_TEST(a_switch_that_is_published_is_followed_at_once),
		PEER_TEST(a_master_that_is_gone_makes_us_ask_another_sentinel),
		PEER_TEST(a_master_that_has_become_a_replica_is_left),
		PEER_TEST(sentinels_that_others_know_are_asked_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
