/*
 * A new account key while Redis and the CA come and go at each step.  Store, CA
 * and timers are the test's: what waits is answered when the test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/rollover.h"
#include "sync/store.h"

#define URL "https://ca.test/account/1"

static struct conf conf;
static struct rollover *rollover;

/* What waits for an answer, NULL: nothing does. */
static struct {
	store_rollover_fn *read;
	store_fn *put, *account_put;
	ca_roll_fn *roll;
	loop_fn *timer;
	void *arg;
} waits;

/* What has happened. */
static struct {
	int reads, rolls, keys, ends;
	char put_key[16], rolled_key[16], account_key[16];
	bool over, ended_well;
	char key[16], url[64];
} got;

void
loop_after(struct event_base *base, struct event **timer, int64_t ms,
    loop_fn *fn, void *arg)
{
	(void)base, (void)timer;
	assert_in_range(ms, 1, 60000);
	waits.timer = fn;
	waits.arg = arg;
}

void
loop_cancel(struct event *timer)
{
	(void)timer;
	waits.timer = NULL;
}

void
loop_timer_free(struct event **timer)
{
	loop_cancel(*timer);
}

char *
cert_key_new(void)
{
	return xasprintf("key %d", ++got.keys);
}

void
store_forget(struct store *s, const void *arg)
{
	(void)s, (void)arg;
	waits.read = NULL;
	waits.put = waits.account_put = NULL;
}

void
store_rollover(struct store *s, store_rollover_fn *fn, void *arg)
{
	(void)s;
	got.reads++;
	waits.read = fn;
	waits.arg = arg;
}

int
store_rollover_put(struct store *s, const char *key_pem, store_fn *fn,
    void *arg, struct err *e)
{
	(void)s, (void)e;
	snprintf(got.put_key, sizeof(got.put_key), "%s", key_pem);
	waits.put = fn;
	waits.arg = arg;
	return 0;
}

void
store_rollover_end(struct store *s, bool done)
{
	(void)s;
	got.ends++;
	got.ended_well = done;
}

int
store_account_put(struct store *s, const char *ca, const char *key_pem,
    const char *url, store_fn *fn, void *arg, struct err *e)
{
	(void)s, (void)ca, (void)url, (void)e;
	snprintf(got.account_key, sizeof(got.account_key), "%s", key_pem);
	waits.account_put = fn;
	waits.arg = arg;
	return 0;
}

int
ca_roll(struct ca *ca, const char *key_pem, ca_roll_fn *fn, void *arg,
    struct err *e)
{
	(void)ca, (void)e;
	got.rolls++;
	snprintf(got.rolled_key, sizeof(got.rolled_key), "%s", key_pem);
	waits.roll = fn;
	waits.arg = arg;
	return 0;
}

void
ca_roll_cancel(struct ca *ca)
{
	(void)ca;
	waits.roll = NULL;
}

static void
on_over(void *arg, const char *key_pem, const char *url)
{
	(void)arg;
	assert_false(got.over);
	got.over = true;
	snprintf(
	    got.key, sizeof(got.key), "%s", key_pem != NULL ? key_pem : "");
	snprintf(got.url, sizeof(got.url), "%s", url != NULL ? url : "");
}

static const struct err *
away(void)
{
	static struct err e;

	err_set(&e, ERR_AGAIN, "nobody answers");
	return &e;
}

static void
redis_has(bool asked, const char *key_pem)
{
	store_rollover_fn *fn = waits.read;

	assert_non_null(fn);
	waits.read = NULL;
	fn(waits.arg, asked, key_pem, NULL);
}

static void
redis_cannot_be_read(void)
{
	store_rollover_fn *fn = waits.read;

	assert_non_null(fn);
	waits.read = NULL;
	fn(waits.arg, false, "", away());
}

static void
written(store_fn **which, const struct err *e)
{
	store_fn *fn = *which;

	assert_non_null(fn);
	*which = NULL;
	fn(waits.arg, e);
}

static void
ca_says(const struct err *e)
{
	ca_roll_fn *fn = waits.roll;

	assert_non_null(fn);
	waits.roll = NULL;
	fn(waits.arg, e == NULL ? URL : NULL, e);
}

static void
time_passes(void)
{
	loop_fn *fn = waits.timer;

	assert_non_null(fn);
	assert_false(got.over);
	waits.timer = NULL;
	fn(waits.arg);
}

static int
setup(void **state)
{
	static char directory[] = "https://ca.test/dir";

	(void)state;
	memset(&waits, 0, sizeof(waits));
	memset(&got, 0, sizeof(got));
	conf.acme.directory = directory;
	rollover = rollover_new(NULL, &conf, NULL, NULL, on_over, NULL);
	rollover_start(rollover);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rollover_free(rollover);
	return 0;
}

static void
assert_rolled_to(const char *key)
{
	ca_says(NULL);
	written(&waits.account_put, NULL);
	assert_true(got.over);
	assert_string_equal(got.key, key);
	assert_string_equal(got.url, URL);
	assert_string_equal(got.account_key, key);
	assert_int_equal(got.ends, 1);
	assert_true(got.ended_well);
}

static void
without_a_wish_nothing_changes(void **state)
{
	(void)state;
	redis_has(false, "");
	assert_true(got.over);
	assert_string_equal(got.key, "");
	assert_int_equal(got.rolls + got.keys + got.ends, 0);
}

static void
the_key_is_in_redis_before_the_ca_hears_of_it(void **state)
{
	(void)state;
	redis_has(true, "");
	assert_string_equal(got.put_key, "key 1");
	assert_int_equal(got.rolls, 0);
	written(&waits.put, NULL);
	assert_string_equal(got.rolled_key, "key 1");
	assert_rolled_to("key 1");
}

/*
 * Nothing may be signed while it is not known which key the account has: a
 * leader that took "not known" for "not asked for" would sign with the old one.
 */
static void
a_redis_that_is_away_at_the_start_is_asked_until_it_answers(void **state)
{
	(void)state;
	redis_cannot_be_read();
	assert_false(got.over);
	for (int i = 0; i < 3; i++) {
		time_passes();
		redis_cannot_be_read();
	}
	assert_int_equal(got.reads, 4);
	time_passes();
	redis_has(true, "old wish");
	assert_string_equal(got.rolled_key, "old wish");
	assert_int_equal(got.keys, 0);
	assert_rolled_to("old wish");
}

/* It may have been written all the same: another one would be a third key. */
static void
a_key_of_which_nobody_knows_whether_it_was_saved_is_looked_for(void **state)
{
	(void)state;
	redis_has(true, "");
	written(&waits.put, away());
	assert_int_equal(got.rolls, 0);
	time_passes();
	redis_has(true, "key 1");
	assert_int_equal(got.keys, 1);
	assert_rolled_to("key 1");
}

static void
a_lost_answer_of_the_ca_is_asked_for_with_the_same_key(void **state)
{
	(void)state;
	redis_has(true, "next");
	ca_says(away());
	assert_false(got.over);
	time_passes();
	assert_int_equal(got.rolls, 2);
	assert_string_equal(got.rolled_key, "next");
	assert_rolled_to("next");
}

static void
a_redis_that_is_away_at_the_end_costs_another_round(void **state)
{
	(void)state;
	redis_has(true, "next");
	ca_says(NULL);
	written(&waits.account_put, away());
	assert_int_equal(got.ends, 0);
	time_passes();
	assert_rolled_to("next");
}

static void
a_refused_key_is_forgotten_and_the_old_one_stays(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, ERR_REFUSED, "that key is in use");
	redis_has(true, "next");
	ca_says(&e);
	assert_true(got.over);
	assert_string_equal(got.key, "");
	assert_int_equal(got.ends, 1);
	assert_false(got.ended_well);
}

static void
who_stops_is_not_told_and_may_start_again(void **state)
{
	(void)state;
	redis_cannot_be_read();
	rollover_stop(rollover);
	assert_null(waits.timer);
	rollover_start(rollover);
	redis_has(true, "next");
	rollover_stop(rollover);
	assert_null(waits.roll);
	assert_false(got.over);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_wish_nothing_changes),
		TEST(the_key_is_in_redis_before_the_ca_hears_of_it),
		TEST(
		    a_redis_that_is_away_at_the_start_is_asked_until_it_answers),
		TEST(
		    a_key_of_which_nobody_knows_whether_it_was_saved_is_looked_for),
		TEST(a_lost_answer_of_the_ca_is_asked_for_with_the_same_key),
		TEST(a_redis_that_is_away_at_the_end_costs_another_round),
		TEST(a_refused_key_is_forgotten_and_the_old_one_stays),
		TEST(who_stops_is_not_told_and_may_start_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
