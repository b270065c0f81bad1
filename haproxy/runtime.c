#include "haproxy/runtime.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/loop.h"
#include "common/mem.h"
#include "haproxy/answer.h"

#define RUNTIME_MAGIC 0x72756e74u
#define OUT_MAX (8 * 1024 * 1024)
#define READ_SIZE 65536

struct runtime {
	unsigned int magic;
	struct event_base *base;
	int fd; /* -1: there is no connection (any more) */
	struct event *readable, *writable, *timer;
	struct buf out, in;
	char *chunk; /* not on the stack, where it is cleared each time */
	size_t sent; /* of out */
	size_t scanned;
	bool greeted; /* the answer to "prompt" itself is over */
	bool failed;
	bool inside; /* a callback runs: the memory has to wait */
	bool closed;
	struct err e;
	runtime_answer_fn *on_answer;
	runtime_failed_fn *on_failed;
	void *arg;
};

static int start(struct runtime *, const char *path);
static void on_readable(evutil_socket_t, short what, void *arg);
static void on_writable(evutil_socket_t, short what, void *arg);
static void on_deadline(void *arg);
static void tell_failed(void *arg);
static void flush(struct runtime *);

struct runtime *
runtime_open(struct event_base *base, const char *socket, int timeout_ms,
    runtime_answer_fn *on_answer, runtime_failed_fn *on_failed, void *arg)
{
	struct runtime *r = xcalloc(1, sizeof(*r));

	r->magic = RUNTIME_MAGIC;
	r->base = base;
	r->fd = -1;
	r->chunk = xmalloc(READ_SIZE);
	r->on_answer = on_answer;
	r->on_failed = on_failed;
	r->arg = arg;
	buf_init(&r->out, OUT_MAX);
	buf_init(&r->in, RUNTIME_ANSWER_MAX);
	if (start(r, socket) == -1) {
		loop_after(base, &r->timer, 0, tell_failed, r);
		return r;
	}
	loop_after(base, &r->timer, timeout_ms, on_deadline, r);
	buf_puts(&r->out, "prompt\n");
	return r;
}

static int
start(struct runtime *r, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(un.sun_path))
		return err_set(&r->e, ERR_CONFIG,
		    "socket path %s has more than %zu characters", path,
		    sizeof(un.sun_path) - 1);
	memcpy(un.sun_path, path, strlen(path) + 1);
	r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (r->fd == -1 ||
	    connect(r->fd, (struct sockaddr *)&un, sizeof(un)) == -1)
		return err_set(&r->e, errno == EACCES ? ERR_CONFIG : ERR_AGAIN,
		    "HAProxy's runtime API at %s: %s", path, strerror(errno));
	r->readable =
	    event_new(r->base, r->fd, EV_READ | EV_PERSIST, on_readable, r);
	r->writable = event_new(r->base, r->fd, EV_WRITE, on_writable, r);
	if (r->readable == NULL || r->writable == NULL)
		abort();
	event_add(r->readable, NULL);
	return 0;
}

static void
release(struct runtime *r)
{
	if (r->readable != NULL)
		event_free(r->readable);
	if (r->writable != NULL)
		event_free(r->writable);
	r->readable = r->writable = NULL;
	if (r->fd != -1)
		close(r->fd);
	r->fd = -1;
	loop_timer_free(&r->timer);
	buf_wipe(&r->out);
}

void
runtime_close(struct runtime *r)
{
	assert(r->magic == RUNTIME_MAGIC);
	release(r);
	r->closed = true;
	if (r->inside)
		return;
	buf_clear(&r->in);
	free(r->chunk);
	r->magic = 0;
	free(r);
}

/* Call back; true when r is still there afterwards. */
static bool
call(struct runtime *r, const char *text)
{
	r->inside = true;
	if (text != NULL)
		r->on_answer(r->arg, text);
	else
		r->on_failed(r->arg, &r->e);
	r->inside = false;
	if (!r->closed)
		return true;
	r->closed = false;
	runtime_close(r);
	return false;
}

static void
tell_failed(void *arg)
{
	struct runtime *r = arg;

	assert(r->magic == RUNTIME_MAGIC);
	r->failed = true;
	release(r);
	call(r, NULL);
}

static void
on_deadline(void *arg)
{
	struct runtime *r = arg;

	err_set(
	    &r->e, ERR_AGAIN, "HAProxy's runtime API does not answer in time");
	tell_failed(r);
}

static void
broken(struct runtime *r, const char *what)
{
	err_set(&r->e, ERR_AGAIN, "HAProxy's runtime API: %s", what);
	tell_failed(r);
}

void
runtime_limit(struct runtime *r, size_t answer_max)
{
	r->in.cap = answer_max;
}

void
runtime_send(struct runtime *r, struct buf *commands)
{
	assert(r->magic == RUNTIME_MAGIC);
	/* After a failure nobody listens; on_failed() is on its way. */
	if (r->fd != -1 && !r->failed &&
	    buf_put(&r->out, commands->p, commands->len) == 0)
		flush(r);
	buf_wipe(commands);
}

static void
flush(struct runtime *r)
{
	ssize_t n = 1;

	while (n > 0 && r->sent < r->out.len) {
		n = send(r->fd, r->out.p + r->sent, r->out.len - r->sent,
		    MSG_NOSIGNAL);
		if (n > 0)
			r->sent += (size_t)n;
	}
	if (r->sent == r->out.len) {
		buf_wipe(&r->out);
		buf_init(&r->out, OUT_MAX);
		r->sent = 0;
	} else if (n == -1 && errno != EAGAIN && errno != EINTR) {
		/* Answers may still wait to be read: the reader decides. */
		return;
	} else {
		event_add(r->writable, NULL);
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	flush(arg);
}

/* Hand out every whole answer; false when r is gone. */
static bool
deliver(struct runtime *r)
{
	const char *text;
	size_t len, used, done = 0;
	bool greeting;

	while (answer_split(r->in.p + done, r->in.len - done, &r->scanned,
	    &text, &len, &used)) {
		greeting = !r->greeted && len == 0;
		r->greeted = !greeting;
		r->in.p[(size_t)(text - r->in.p) + len] = '\0';
		done += used;
		if (!greeting && !call(r, text))
			return false;
	}
	buf_drop(&r->in, done);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *r = arg;
	ssize_t n;

	(void)fd, (void)what;
	assert(r->magic == RUNTIME_MAGIC);
	n = recv(r->fd, r->chunk, READ_SIZE, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		broken(r, n == 0 ? "connection closed" : strerror(errno));
	else if (buf_put(&r->in, r->chunk, (size_t)n) == -1)
		broken(r, "an answer is too large");
	else
		deliver(r);
}
