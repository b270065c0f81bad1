/* The store is the test's: it counts what is asked, and answers when told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include "common/loop.h"
#include "sync/roster.h"

#define FRESH_MS 100
#define ASKERS 4

static struct event_base *base;
static struct roster *roster;
static struct {
	int asked;
	store_nodes_fn *fn; /* waits for an answer, or NULL */
	void *arg;
} redis;
static struct asker {
	int told, failed;
	size_t n;
	int64_t wanted; /* of the first node */
	int asks_again; /* as often */
} who[ASKERS];

void
store_nodes(struct store *s, store_nodes_fn *fn, void *arg)
{
	(void)s;
	assert_null(redis.fn);
	redis.asked++;
	redis.fn = fn;
	redis.arg = arg;
}

void
store_forget(struct store *s, const void *arg)
{
	(void)s;
	if (redis.arg == arg)
		redis.fn = NULL;
}

/* Redis has one node, which wants so many; -1: it does not answer. */
static void
redis_says(int64_t wanted)
{
	struct store_node node = { .wanted = wanted, .live = true };
	struct err e = { 0 };
	store_nodes_fn *fn = redis.fn;

	assert_non_null(fn);
	redis.fn = NULL;
	if (wanted == -1) {
		err_set(&e, ERR_AGAIN, "Redis is away");
		fn(redis.arg, NULL, 0, &e);
	} else {
		fn(redis.arg, &node, 1, NULL);
	}
}

static void
on_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct asker *a = arg;

	a->told++;
	a->n = n;
	a->wanted = n > 0 ? node[0].wanted : 0;
	if (e != NULL)
		a->failed++;
	if (a->asks_again > 0) {
		a->asks_again--;
		roster_ask(roster, on_nodes, a);
	}
}

static void
ask(int i)
{
	int before = who[i].told;

	roster_ask(roster, on_nodes, &who[i]);
	assert_int_equal(who[i].told, before);
}

static void
turn(void)
{
	for (int i = 0; i < 3; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static int
setup(void **state)
{
	(void)state;
	memset(&redis, 0, sizeof(redis));
	memset(who, 0, sizeof(who));
	base = loop_new();
	roster = roster_new(base, NULL);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	roster_free(roster);
	event_base_free(base);
	return 0;
}

static void
many_ask_and_redis_is_asked_once(void **state)
{
	(void)state;
	for (int i = 0; i < ASKERS; i++)
		ask(i);
	turn();
	assert_int_equal(redis.asked, 1);
	redis_says(7);
	for (int i = 0; i < ASKERS; i++) {
		assert_int_equal(who[i].told, 1);
		assert_int_equal(who[i].n, 1);
		assert_int_equal(who[i].wanted, 7);
	}
}

static void
what_is_fresh_is_told_and_what_is_old_is_asked_for(void **state)
{
	int64_t began = loop_now_ms();

	(void)state;
	ask(0);
	turn();
	redis_says(7);
	ask(1);
	turn();
	if (loop_now_ms() - began < FRESH_MS) {
		assert_int_equal(redis.asked, 1);
		assert_int_equal(who[1].wanted, 7);
	}
	usleep((FRESH_MS + 20) * 1000);
	redis.asked = 0;
	ask(2);
	turn();
	assert_int_equal(redis.asked, 1);
	assert_int_equal(who[2].told, 0);
	redis_says(8);
	assert_int_equal(who[2].wanted, 8);
}

static void
what_a_node_has_said_makes_the_rest_stale(void **state)
{
	(void)state;
	ask(0);
	turn();
	redis_says(7);
	roster_stale(roster);
	ask(1);
	turn();
	assert_int_equal(redis.asked, 2);
	redis_says(8);
	assert_int_equal(who[1].wanted, 8);
}

/* The answer under way may be older than the node's word. */
static void
who_asks_after_the_news_waits_for_the_next_answer(void **state)
{
	(void)state;
	ask(0);
	turn();
	roster_stale(roster);
	ask(1);
	redis_says(7);
	assert_int_equal(who[0].wanted, 7);
	assert_int_equal(who[1].told, 0);
	turn();
	assert_int_equal(redis.asked, 2);
	redis_says(8);
	assert_int_equal(who[1].told, 1);
	assert_int_equal(who[1].wanted, 8);
	assert_int_equal(who[0].told, 1);
}

static void
a_failure_is_told_to_all_and_not_remembered(void **state)
{
	(void)state;
	ask(0);
	ask(1);
	turn();
	redis_says(-1);
	assert_int_equal(who[0].failed, 1);
	assert_int_equal(who[1].failed, 1);
	assert_int_equal(who[1].n, 0);
	ask(2);
	turn();
	assert_int_equal(redis.asked, 2);
	redis_says(9);
	assert_int_equal(who[2].failed, 0);
	assert_int_equal(who[2].wanted, 9);
}

static void
who_forgets_is_not_told(void **state)
{
	(void)state;
	ask(0);
	ask(1);
	turn();
	roster_forget(roster, &who[0]);
	redis_says(7);
	assert_int_equal(who[0].told, 0);
	assert_int_equal(who[1].told, 1);
}

static void
who_asks_while_being_told_is_told_again(void **state)
{
	(void)state;
	who[0].asks_again = 1;
	ask(0);
	ask(1);
	turn();
	redis_says(7);
	turn();
	if (redis.fn != NULL) /* a slow machine: no longer fresh */
		redis_says(7);
	assert_int_equal(who[0].told, 2);
	assert_int_equal(who[1].told, 1);
}

static void
nobody_is_called_back_after_the_end(void **state)
{
	(void)state;
	ask(0);
	turn();
	ask(1);
	roster_free(roster);
	roster = NULL;
	assert_null(redis.fn);
	turn();
	assert_int_equal(who[0].told + who[1].told, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(many_ask_and_redis_is_asked_once),
		TEST(what_is_fresh_is_told_and_what_is_old_is_asked_for),
		TEST(what_a_node_has_said_makes_the_rest_stale),
		TEST(who_asks_after_the_news_waits_for_the_next_answer),
		TEST(a_failure_is_told_to_all_and_not_remembered),
		TEST(who_forgets_is_not_told),
		TEST(who_asks_while_being_told_is_told_again),
		TEST(nobody_is_called_back_after_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
