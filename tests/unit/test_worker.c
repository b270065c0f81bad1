/* The thread that waits for the disk. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/loop.h"
#include "common/worker.h"

#include <event2/event.h>

#define JOBS 200

struct task {
	struct worker_job job;
	int number;
	pthread_t by;
	bool worked;
};

static struct {
	struct event_base *base;
	struct worker *worker;
	struct task task[JOBS];
	int told[JOBS], ntold;
	int stop_at;
} it;

static int
set_up(void **state)
{
	(void)state;
	it.base = loop_new();
	it.worker = worker_new(it.base);
	it.ntold = 0;
	it.stop_at = JOBS;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	worker_free(it.worker);
	event_base_free(it.base);
	return 0;
}

static void
work(struct worker_job *job)
{
	struct task *t = (struct task *)job;

	/* The first is the slowest, and yet it is told first. */
	if (t->number == 0)
		usleep(20000);
	t->by = pthread_self();
	t->worked = true;
}

static void
done(struct worker_job *job)
{
	struct task *t = (struct task *)job;

	assert_true(t->worked);
	assert_false(pthread_equal(t->by, pthread_self()));
	it.told[it.ntold++] = t->number;
	if (it.ntold == it.stop_at)
		loop_stop(it.base);
}

static void
hand_over(int n)
{
	it.task[n] = (struct task){ .number = n };
	it.task[n].job.work = work;
	it.task[n].job.done = done;
	worker_do(it.worker, &it.task[n].job);
}

static void
told_in_order(int n)
{
	assert_int_equal(it.ntold, n);
	for (int i = 0; i < n; i++)
		assert_int_equal(it.told[i], i);
}

static void
jobs_are_done_beside_the_loop_and_told_in_order(void **state)
{
	(void)state;
	for (int i = 0; i < JOBS; i++)
		hand_over(i);
	assert_int_equal(it.ntold, 0);
	event_base_dispatch(it.base);
	told_in_order(JOBS);
}

static void
one_may_follow_from_another(void **state)
{
	(void)state;
	for (int i = 0; i < JOBS; i++) {
		it.stop_at = i + 1;
		hand_over(i);
		event_base_dispatch(it.base);
	}
	told_in_order(JOBS);
}

static void
what_is_left_at_the_end_is_done_and_told(void **state)
{
	(void)state;
	for (int i = 0; i < JOBS; i++)
		hand_over(i);
	worker_free(it.worker);
	it.worker = NULL;
	told_in_order(JOBS);
}

static void
whoever_cannot_go_on_waits(void **state)
{
	(void)state;
	for (int i = 0; i < JOBS / 2; i++)
		hand_over(i);
	worker_wait(it.worker);
	told_in_order(JOBS / 2);
	worker_wait(it.worker); /* for nothing */
	for (int i = JOBS / 2; i < JOBS; i++)
		hand_over(i);
	event_base_dispatch(it.base);
	told_in_order(JOBS);
}

#define with_worker(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_worker(jobs_are_done_beside_the_loop_and_told_in_order),
		with_worker(one_may_follow_from_another),
		with_worker(what_is_left_at_the_end_is_done_and_told),
		with_worker(whoever_cannot_go_on_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
