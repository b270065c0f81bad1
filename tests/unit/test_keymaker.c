/* Real children, and made-up ones: key_new() is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include "common/loop.h"
#include "common/mem.h"
#include "sync/keymaker.h"

#define JOBS 5

/* Seen by the children, too. */
static struct shared {
	int started, running, most;
	int go;   /* they end when it is set */
	int die;  /* they end without having made anything */
	int slow; /* that type's child does not end */
} * shared;

static struct event_base *base;
static struct keymaker *maker;
static struct {
	int n, failed;
	int nth; /* job that was told last */
	char pem[256];
	char why[256];
} got;
static int job[JOBS] = { 0, 1, 2, 3, 4 };

char *
key_new(enum key_type type)
{
	int now = __atomic_add_fetch(&shared->running, 1, __ATOMIC_SEQ_CST);

	__atomic_add_fetch(&shared->started, 1, __ATOMIC_SEQ_CST);
	if (now > __atomic_load_n(&shared->most, __ATOMIC_SEQ_CST))
		__atomic_store_n(&shared->most, now, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&shared->go, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&shared->slow, __ATOMIC_SEQ_CST) == (int)type)
		usleep(1000);
	__atomic_add_fetch(&shared->running, -1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&shared->die, __ATOMIC_SEQ_CST))
		_exit(1);
	return xasprintf("key of type %d\n", (int)type);
}

static void
on_key(void *arg, const char *pem, const struct err *e)
{
	got.n++;
	got.nth = *(const int *)arg;
	if (pem != NULL)
		snprintf(got.pem, sizeof(got.pem), "%s", pem);
	if (e != NULL) {
		assert_null(pem);
		assert_int_equal(e->kind, ERR_AGAIN);
		snprintf(got.why, sizeof(got.why), "%s", e->text);
		got.failed++;
	}
}

static int
setup(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(shared, MAP_FAILED);
	memset(&got, 0, sizeof(got));
	base = loop_new();
	maker = keymaker_new(base);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	keymaker_free(maker);
	event_base_free(base);
	munmap(shared, sizeof(*shared));
	/* Whatever came of them, no child is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	return 0;
}

/* Turn the loop until so many were told, or children started. */
static void
turn(const int *counter, int n)
{
	for (int i = 0; i < 20000; i++) {
		if (__atomic_load_n(counter, __ATOMIC_SEQ_CST) >= n)
			return;
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	fail_msg("nothing happened in 20 s");
}

static void
a_key_comes_from_the_loop_and_not_from_the_call(void **state)
{
	(void)state;
	shared->go = 1;
	keymaker_make(maker, KEY_RSA_3072, on_key, &job[0]);
	assert_int_equal(got.n, 0);
	turn(&got.n, 1);
	assert_string_equal(got.pem, "key of type 3\n");
	assert_int_equal(got.failed, 0);
}

static void
the_loop_goes_on_while_keys_are_made_two_at_a_time(void **state)
{
	(void)state;
	for (int i = 0; i < JOBS; i++)
		keymaker_make(maker, KEY_RSA_2048, on_key, &job[i]);
	turn(&shared->started, 2);
	for (int i = 0; i < 20; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	assert_int_equal(got.n, 0);
	assert_int_equal(shared->started, 2);
	shared->go = 1;
	turn(&got.n, JOBS);
	assert_int_equal(shared->started, JOBS);
	assert_true(shared->most <= 2);
	assert_int_equal(got.failed, 0);
}

static void
a_child_that_ends_early_is_told_and_the_next_begins(void **state)
{
	(void)state;
	shared->die = 1;
	shared->go = 1;
	keymaker_make(maker, KEY_RSA_2048, on_key, &job[0]);
	turn(&got.n, 1);
	assert_int_equal(got.failed, 1);
	assert_string_equal(
	    got.why, "the private key was not made: its process ended early");
	shared->die = 0;
	keymaker_make(maker, KEY_RSA_2048, on_key, &job[1]);
	turn(&got.n, 2);
	assert_int_equal(got.failed, 1);
}

static void
who_has_cancelled_is_not_told_and_gives_its_place_up(void **state)
{
	(void)state;
	keymaker_make(maker, KEY_RSA_2048, on_key, &job[0]);
	keymaker_make(maker, KEY_RSA_2048, on_key, &job[0]);
	keymaker_make(maker, KEY_RSA_2048, on_key, &job[1]);
	turn(&shared->started, 2);
	keymaker_cancel(maker, &job[0]);
	turn(&shared->started, 3);
	shared->go = 1;
	turn(&got.n, 1);
	assert_int_equal(got.nth, 1);
	for (int i = 0; i < 20; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		usleep(1000);
	}
	assert_int_equal(got.n, 1);
}

/* One callback may ask again, for itself or for another. */
static void
ask_again(void *arg, const char *pem, const struct err *e)
{
	on_key(arg, pem, e);
	keymaker_cancel(maker, &job[2]);
	keymaker_make(maker, KEY_RSA_4096, on_key, &job[1]);
}

static void
a_callback_may_ask_and_cancel(void **state)
{
	(void)state;
	shared->go = 1;
	shared->slow = KEY_RSA_3072;
	keymaker_make(maker, KEY_RSA_2048, ask_again, &job[0]);
	keymaker_make(maker, KEY_RSA_3072, ask_again, &job[2]);
	turn(&got.n, 2);
	assert_int_equal(got.nth, 1);
	assert_string_equal(got.pem, "key of type 4\n");
}

static void
nobody_is_called_back_after_the_end(void **state)
{
	(void)state;
	keymaker_make(maker, KEY_RSA_2048, on_key, &job[0]);
	keymaker_make(maker, KEY_RSA_2048, on_key, &job[1]);
	keymaker_make(maker, KEY_RSA_2048, on_key, &job[2]);
	turn(&shared->started, 2);
	keymaker_free(maker);
	maker = NULL;
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(got.n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_comes_from_the_loop_and_not_from_the_call),
		TEST(the_loop_goes_on_while_keys_are_made_two_at_a_time),
		TEST(a_child_that_ends_early_is_told_and_the_next_begins),
		TEST(who_has_cancelled_is_not_told_and_gives_its_place_up),
		TEST(a_callback_may_ask_and_cancel),
		TEST(nobody_is_called_back_after_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
