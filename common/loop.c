#include "common/loop.h"

#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/mem.h"
#include "common/str.h"

struct signals {
	struct event_base *base;
	loop_fn *stop, *hup;
	void *arg;
	int asked; /* how often we were asked to stop */
};

/*
 * What is waited for at a socket often changes to and fro within a turn: the
 * kernel hears of the result.
 */
struct event_base *
loop_new(void)
{
	struct event_config *config;
	struct event_base *base;

	event_set_mem_functions(xmalloc, mem_resize, mem_release);
	config = event_config_new();
	if (config == NULL || event_config_set_flag(config,
				  EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == -1)
		abort();
	base = event_base_new_with_config(config);
	if (base == NULL)
		abort();
	event_config_free(config);
	signal(SIGPIPE, SIG_IGN);
	return base;
}

static void
on_stop_signal(evutil_socket_t sig, short what, void *arg)
{
	struct signals *s = arg;

	(void)sig, (void)what;
	if (s->asked++ == 0)
		s->stop(s->arg);
	else
		loop_stop(s->base);
}

static void
on_hup_signal(evutil_socket_t sig, short what, void *arg)
{
	struct signals *s = arg;

	(void)sig, (void)what;
	if (s->hup != NULL)
		s->hup(s->arg);
}

/* How often systemd wants to hear of us: half of WATCHDOG_USEC; 0: never. */
static int64_t
watchdog_ms(void)
{
	const char *pid = getenv("WATCHDOG_PID"), *us = getenv("WATCHDOG_USEC");
	int64_t every, n;

	if (us == NULL || str_int(us, 2000, INT64_MAX, &every) == -1)
		return 0;
	if (pid != NULL &&
	    (str_int(pid, 1, INT32_MAX, &n) == -1 || n != getpid()))
		return 0;
	return every / 2000;
}

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	loop_notify("WATCHDOG=1");
}

/* As long as the loop turns; NULL when nobody wants to hear it. */
static struct event *
watchdog_new(struct event_base *base)
{
	int64_t ms = watchdog_ms();
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	struct event *timer;

	if (ms == 0)
		return NULL;
	timer = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
	if (timer == NULL)
		abort();
	event_add(timer, &tv);
	return timer;
}

void
loop_run(struct event_base *base, loop_fn *stop, loop_fn *hup, void *arg)
{
	struct signals s = { base, stop, hup, arg, 0 };
	struct event *watchdog = watchdog_new(base);
	struct event *term = evsignal_new(base, SIGTERM, on_stop_signal, &s);
	struct event *interrupt =
	    evsignal_new(base, SIGINT, on_stop_signal, &s);
	struct event *hang = evsignal_new(base, SIGHUP, on_hup_signal, &s);

	evsignal_add(term, NULL);
	evsignal_add(interrupt, NULL);
	evsignal_add(hang, NULL);
	event_base_dispatch(base);
	event_free(term);
	event_free(interrupt);
	event_free(hang);
	if (watchdog != NULL)
		event_free(watchdog);
}

void
loop_stop(struct event_base *base)
{
	event_base_loopbreak(base);
}

static int64_t
clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
loop_now_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

int64_t
loop_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

/* libevent's callback type carries more than ours; this drops it. */
struct timer {
	loop_fn *fn;
	void *arg;
};

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timer *t = arg;

	(void)fd, (void)what;
	t->fn(t->arg);
}

void
loop_after(struct event_base *base, struct event **timer, int64_t ms,
    loop_fn *fn, void *arg)
{
	struct timeval tv = { 0, 0 };
	struct timer *t;

	if (*timer == NULL) {
		t = xcalloc(1, sizeof(*t));
		*timer = evtimer_new(base, on_timer, t);
		if (*timer == NULL)
			abort();
	}
	t = event_get_callback_arg(*timer);
	t->fn = fn;
	t->arg = arg;
	if (ms > 0) {
		tv.tv_sec = ms / 1000;
		tv.tv_usec = ms % 1000 * 1000;
	}
	evtimer_add(*timer, &tv);
}

void
loop_cancel(struct event *timer)
{
	if (timer != NULL)
		evtimer_del(timer);
}

void
loop_timer_free(struct event **timer)
{
	if (*timer == NULL)
		return;
	evtimer_del(*timer);
	free(event_get_callback_arg(*timer));
	event_free(*timer);
	*timer = NULL;
}

uint32_t
loop_random(uint32_t limit)
{
	uint32_t v = 0;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		abort();
	return limit > 0 ? v % limit : 0;
}

void
loop_notify(const char *fmt, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char text[512];
	socklen_t len;
	va_list ap;
	int fd;

	if (path == NULL || strlen(path) >= sizeof(sun.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(sun.sun_path, path, strlen(path));
	len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		sun.sun_path[0] = '\0'; /* the abstract namespace */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return;
	sendto(
	    fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&sun, len);
	close(fd);
}

int
loop_listen_fds(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	int64_t n;

	if (pid == NULL || fds == NULL ||
	    str_int(pid, 1, INT32_MAX, &n) == -1 || n != getpid() ||
	    str_int(fds, 0, 64, &n) == -1)
		return 0;
	return (int)n;
}
