#include "sync/keymaker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/loop.h"
#include "common/mem.h"

#define AT_ONCE 2
#define TIMEOUT_MS 120000 /* an RSA key of 4096 bits on a busy machine */
#define PEM_MAX 8192
#define NICE 10
#define FIRST_FD (STDERR_FILENO + 1)

struct job {
	TAILQ_ENTRY(job) link;
	struct keymaker *maker;
	enum key_type type;
	keymaker_fn *fn;
	void *arg;
	pid_t pid; /* 0: waits for its turn */
	int fd;
	struct event *readable, *timer;
	char pem[PEM_MAX];
	size_t len;
};

struct keymaker {
	struct event_base *base;
	TAILQ_HEAD(, job) jobs;
	int running;
	struct event *next;
};

static void start_next(void *);

struct keymaker *
keymaker_new(struct event_base *base)
{
	struct keymaker *k = xcalloc(1, sizeof(*k));

	k->base = base;
	TAILQ_INIT(&k->jobs);
	return k;
}

/* The child has said all it will say, or is given up. */
static void
reap(struct job *j)
{
	if (j->pid == 0)
		return;
	kill(j->pid, SIGKILL);
	while (waitpid(j->pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	close(j->fd);
	j->pid = 0;
	j->maker->running--;
}

static void
job_free(struct job *j)
{
	struct keymaker *k = j->maker;

	reap(j);
	TAILQ_REMOVE(&k->jobs, j, link);
	if (j->readable != NULL)
		event_free(j->readable);
	loop_timer_free(&j->timer);
	mem_wipe(j->pem, sizeof(j->pem));
	free(j);
}

void
keymaker_free(struct keymaker *k)
{
	if (k == NULL)
		return;
	while (!TAILQ_EMPTY(&k->jobs))
		job_free(TAILQ_FIRST(&k->jobs));
	loop_timer_free(&k->next);
	free(k);
}

void
keymaker_cancel(struct keymaker *k, const void *arg)
{
	struct job *j, *after;

	for (j = TAILQ_FIRST(&k->jobs); j != NULL; j = after) {
		after = TAILQ_NEXT(j, link);
		if (j->arg == arg)
			job_free(j);
	}
	loop_after(k->base, &k->next, 0, start_next, k);
}

/* The callback comes last: it may do anything. */
static void
finish(struct job *j, const char *why)
{
	struct keymaker *k = j->maker;
	keymaker_fn *fn = j->fn;
	void *arg = j->arg;
	struct err e;
	char *pem = why == NULL ? xmemdup0(j->pem, j->len) : NULL;

	job_free(j);
	loop_after(k->base, &k->next, 0, start_next, k);
	if (why != NULL)
		err_set(&e, ERR_AGAIN, "the private key was not made: %s", why);
	fn(arg, pem, why != NULL ? &e : NULL);
	mem_wipe_free(pem);
}

static void
too_late(void *arg)
{
	finish(arg, "it took too long");
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct job *j = arg;
	ssize_t n;

	(void)what;
	n = read(fd, j->pem + j->len, sizeof(j->pem) - 1 - j->len);
	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0)
		j->len += (size_t)n;
	else if (n == 0 && j->len > 0 && j->pem[j->len - 1] == '\n')
		finish(j, NULL);
	else
		finish(j, "its process ended early");
}

/* In the child: nothing of the parent's is touched, nothing is freed. */
static void child(enum key_type, int fd, pid_t parent)
    __attribute__((noreturn));

static void
child(enum key_type type, int fd, pid_t parent)
{
	size_t len, at = 0;
	char *pem;
	ssize_t n;

	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(1);
	/* What the parent closes meanwhile is closed. */
	if (fd > FIRST_FD)
		close_range(FIRST_FD, (unsigned int)fd - 1, 0);
	close_range((unsigned int)fd + 1, ~0U, 0);
	if (nice(NICE) == -1)
		errno = 0; /* slower for others, but a key all the same */
	pem = key_new(type);
	len = strlen(pem);
	while (at < len) {
		n = write(fd, pem + at, len - at);
		if (n == -1 && errno != EINTR)
			_exit(1);
		at += n > 0 ? (size_t)n : 0;
	}
	mem_wipe(pem, len);
	_exit(0);
}

/* Return 0, or -1 with errno. */
static int
start(struct job *j)
{
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		return -1;
	j->pid = fork();
	if (j->pid == 0)
		child(j->type, fds[1], parent);
	close(fds[1]);
	if (j->pid == -1) {
		j->pid = 0;
		close(fds[0]);
		return -1;
	}
	j->maker->running++;
	j->fd = fds[0];
	fcntl(j->fd, F_SETFL, O_NONBLOCK);
	j->readable = event_new(
	    j->maker->base, j->fd, EV_READ | EV_PERSIST, on_readable, j);
	if (j->readable == NULL)
		abort();
	event_add(j->readable, NULL);
	loop_after(j->maker->base, &j->timer, TIMEOUT_MS, too_late, j);
	return 0;
}

static void
start_next(void *arg)
{
	struct keymaker *k = arg;
	struct job *j;

	TAILQ_FOREACH (j, &k->jobs, link) {
		if (k->running >= AT_ONCE)
			return;
		if (j->pid == 0 && start(j) == -1) {
			finish(j, strerror(errno));
			return;
		}
	}
}

void
keymaker_make(
    struct keymaker *k, enum key_type type, keymaker_fn *fn, void *arg)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->maker = k;
	j->type = type;
	j->fn = fn;
	j->arg = arg;
	TAILQ_INSERT_TAIL(&k->jobs, j, link);
	loop_after(k->base, &k->next, 0, start_next, k);
}
