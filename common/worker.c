#include "common/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/mem.h"

#define STACK_SIZE (256 * 1024)

STAILQ_HEAD(jobs, worker_job);

struct worker {
	pthread_t thread;
	pthread_mutex_t lock; /* for what follows, up to the next remark */
	pthread_cond_t more, idle;
	struct jobs todo, done;
	bool busy, leaving;
	/* The loop's. */
	int fd; /* an eventfd: something is done */
	struct event *readable;
};

/* Only a program's mistake makes these calls fail. */
static void
must(int error)
{
	if (error != 0)
		abort();
}

/* NULL: there will be none. */
static struct worker_job *
next_job(struct worker *w)
{
	struct worker_job *j;

	must(pthread_mutex_lock(&w->lock));
	while (STAILQ_EMPTY(&w->todo) && !w->leaving)
		must(pthread_cond_wait(&w->more, &w->lock));
	j = STAILQ_FIRST(&w->todo);
	if (j != NULL)
		STAILQ_REMOVE_HEAD(&w->todo, link);
	w->busy = j != NULL;
	must(pthread_mutex_unlock(&w->lock));
	return j;
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct worker_job *j;
	bool first;

	while ((j = next_job(w)) != NULL) {
		j->work(j);
		must(pthread_mutex_lock(&w->lock));
		first = STAILQ_EMPTY(&w->done);
		STAILQ_INSERT_TAIL(&w->done, j, link);
		w->busy = false;
		if (STAILQ_EMPTY(&w->todo))
			must(pthread_cond_signal(&w->idle));
		must(pthread_mutex_unlock(&w->lock));
		if (first && eventfd_write(w->fd, 1) == -1)
			abort();
	}
	return NULL;
}

static void
tell(struct worker *w)
{
	struct jobs done = STAILQ_HEAD_INITIALIZER(done);
	struct worker_job *j;

	must(pthread_mutex_lock(&w->lock));
	STAILQ_CONCAT(&done, &w->done);
	must(pthread_mutex_unlock(&w->lock));
	while ((j = STAILQ_FIRST(&done)) != NULL) {
		STAILQ_REMOVE_HEAD(&done, link);
		j->done(j);
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	eventfd_t n;

	(void)what;
	if (eventfd_read(fd, &n) == 0)
		tell(arg);
}

/* Signals are the loop's. */
static void
start(struct worker *w)
{
	pthread_attr_t attr;
	sigset_t all, was;

	sigfillset(&all);
	must(pthread_sigmask(SIG_SETMASK, &all, &was));
	must(pthread_attr_init(&attr));
	must(pthread_attr_setstacksize(&attr, STACK_SIZE));
	must(pthread_create(&w->thread, &attr, work, w));
	must(pthread_attr_destroy(&attr));
	must(pthread_sigmask(SIG_SETMASK, &was, NULL));
}

struct worker *
worker_new(struct event_base *base)
{
	struct worker *w = xcalloc(1, sizeof(*w));

	STAILQ_INIT(&w->todo);
	STAILQ_INIT(&w->done);
	must(pthread_mutex_init(&w->lock, NULL));
	must(pthread_cond_init(&w->more, NULL));
	must(pthread_cond_init(&w->idle, NULL));
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->fd == -1)
		abort();
	w->readable =
	    event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	if (w->readable == NULL)
		abort();
	event_add(w->readable, NULL);
	start(w);
	return w;
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	must(pthread_mutex_lock(&w->lock));
	w->leaving = true;
	must(pthread_cond_signal(&w->more));
	must(pthread_mutex_unlock(&w->lock));
	must(pthread_join(w->thread, NULL));
	tell(w);
	event_free(w->readable);
	close(w->fd);
	must(pthread_cond_destroy(&w->more));
	must(pthread_cond_destroy(&w->idle));
	must(pthread_mutex_destroy(&w->lock));
	free(w);
}

void
worker_wait(struct worker *w)
{
	must(pthread_mutex_lock(&w->lock));
	while (w->busy || !STAILQ_EMPTY(&w->todo))
		must(pthread_cond_wait(&w->idle, &w->lock));
	must(pthread_mutex_unlock(&w->lock));
	tell(w);
}

void
worker_do(struct worker *w, struct worker_job *j)
{
	must(pthread_mutex_lock(&w->lock));
	STAILQ_INSERT_TAIL(&w->todo, j, link);
	must(pthread_cond_signal(&w->more));
	must(pthread_mutex_unlock(&w->lock));
}
