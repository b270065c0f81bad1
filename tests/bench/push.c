/*
 * push N MODE: certificates into a private HAProxy, measured.
 *
 * Prints "name value" lines: how long HAProxy takes to start with N
 * certificates, to be filled by push, to have all replaced, and how long a
 * single renewal takes from push_want() to a handshake that shows it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "haproxy/handshake.h"
#include "haproxy/push.h"
#include "tests/unit/certs.h"

#define SINGLES 50

struct one {
	char *name, *path;
	char sha1[41];
};

static struct {
	const char *dir;
	char *socket, *crt_list, *address;
	struct event_base *base;
	struct push *push;
	struct push_conf conf;
	struct one *one;
	unsigned int n, done, compared;
	bool shook;
	char shown[41];
} b;

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Processor time of a process; 0: ours. */
static double
cpu(pid_t pid)
{
	struct timespec ts = { 0, 0 };
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0)
		return 0;
	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
on_done(void *arg, const char *path, const char *sha1, const struct err *e)
{
	(void)arg, (void)sha1;
	if (e != NULL) {
		fprintf(stderr, "%s: %s\n", path, e->text);
		exit(1);
	}
	b.done++;
}

static void
on_process(void *arg, int pid, const char *version)
{
	(void)arg, (void)pid, (void)version;
	b.compared++;
}

static void
on_handshake(void *arg, const char *sha1, const struct err *e)
{
	(void)arg, (void)e;
	b.shook = true;
	snprintf(b.shown, sizeof(b.shown), "%s", sha1 != NULL ? sha1 : "");
}

static void
until_done(unsigned int n)
{
	while (b.done < n)
		event_base_loop(b.base, EVLOOP_ONCE);
}

static const char *
shake(const char *name)
{
	b.shook = false;
	handshake_start(b.base, b.address, name, 5000, on_handshake, NULL);
	while (!b.shook)
		event_base_loop(b.base, EVLOOP_ONCE);
	return b.shown;
}

static void
make(struct one *o)
{
	char *pem = certs_pem(o->name, o->sha1);

	certs_write(o->path, pem);
	free(pem);
}

static void
make_all(void)
{
	unsigned int i;

	for (i = 0; i < b.n; i++)
		make(&b.one[i]);
}

static void
want(struct one *o)
{
	push_want(b.push, o->path, o->sha1, o->name);
}

static void
want_all(void)
{
	unsigned int i;

	for (i = 0; i < b.n; i++)
		want(&b.one[i]);
}

static void
write_list(bool empty)
{
	struct buf list;
	unsigned int i;

	buf_init(&list, 64 * 1024 * 1024);
	for (i = 0; i < b.n && !empty; i++)
		buf_putf(&list, "%s %s\n", b.one[i].path, b.one[i].name);
	certs_write(b.crt_list, list.p);
	buf_clear(&list);
}

static void
new_push(void)
{
	push_free(b.push);
	b.push = push_new(b.base, &b.conf, on_done, on_process, NULL);
	b.done = b.compared = 0;
}

static int
by_value(const void *x, const void *y)
{
	const double *a = x, *c = y;

	return *a < *c ? -1 : *a > *c;
}

static void
on_rested(void *arg)
{
	bool *rested = arg;

	*rested = true;
}

/* Long enough for the paced budget to be whole again. */
static void
rest(void)
{
	struct event *timer = NULL;
	bool rested = false;

	loop_after(b.base, &timer, 60, on_rested, &rested);
	while (!rested)
		event_base_loop(b.base, EVLOOP_ONCE);
	loop_timer_free(&timer);
}

/* From the event to a handshake that shows it, one at a time. */
static void
singles(void)
{
	double took[SINGLES], pushed[SINGLES], start;
	struct one *o;
	unsigned int i;

	for (i = 0; i < SINGLES; i++) {
		o = &b.one[loop_random(b.n)];
		make(o);
		start = now();
		want(o);
		until_done(b.done + 1);
		pushed[i] = (now() - start) * 1e3;
		while (strcmp(shake(o->name), o->sha1) != 0)
			;
		took[i] = (now() - start) * 1e3;
		rest();
	}
	qsort(pushed, SINGLES, sizeof(pushed[0]), by_value);
	printf("single_pushed_ms_p50 %.2f\n", pushed[SINGLES / 2]);
	qsort(took, SINGLES, sizeof(took[0]), by_value);
	printf("single_ms_p50 %.2f\n", took[SINGLES / 2]);
	printf("single_ms_p95 %.2f\n", took[SINGLES * 95 / 100]);
	printf("single_ms_max %.2f\n", took[SINGLES - 1]);
}

static void
measure(void)
{
	double start, used, used_there;
	pid_t pid;

	make_all();
	write_list(false);
	start = now();
	pid = certs_haproxy_start(b.dir, 0);
	certs_haproxy_ready(b.dir);
	printf("start_s %.3f\n", now() - start);
	printf("start_cpu_us %.1f\n", cpu(pid) * 1e6 / b.n);

	new_push();
	start = now();
	want_all();
	until_done(b.n);
	printf("compare_s %.3f\n", now() - start);
	certs_haproxy_stop(pid);

	write_list(true);
	pid = certs_haproxy_start(b.dir, 0);
	certs_haproxy_ready(b.dir);
	new_push();
	start = now();
	used = cpu(0);
	used_there = cpu(pid);
	want_all();
	until_done(b.n);
	printf("fill_s %.3f\n", now() - start);
	printf("fill_cpu_us %.1f\n", (cpu(0) - used) * 1e6 / b.n);
	printf(
	    "fill_haproxy_cpu_us %.1f\n", (cpu(pid) - used_there) * 1e6 / b.n);

	make_all();
	start = now();
	want_all();
	until_done(2 * b.n);
	printf("replace_s %.3f\n", now() - start);

	b.conf.per_s = 50;
	new_push();
	want_all();
	until_done(b.n);
	singles();
	certs_haproxy_stop(pid);
}

int
main(int argc, char **argv)
{
	unsigned int i;
	int port = certs_port();

	if (argc != 3) {
		fprintf(stderr, "usage: push DIR N\n");
		return 2;
	}
	log_open("bench", LOG_LEVEL_WARN);
	b.dir = argv[1];
	b.n = (unsigned int)strtoul(argv[2], NULL, 10);
	b.one = xcalloc(b.n, sizeof(*b.one));
	for (i = 0; i < b.n; i++) {
		b.one[i].name = xasprintf("n%u.bench.example", i);
		b.one[i].path = xasprintf("%s/n%u.bench.example.pem", b.dir, i);
	}
	b.socket = xasprintf("%s/admin.sock", b.dir);
	b.crt_list = xasprintf("%s/crt-list.txt", b.dir);
	b.address = xasprintf("127.0.0.1:%d", port);
	b.base = loop_new();
	b.conf = (struct push_conf){ .socket = b.socket,
		.crt_list = b.crt_list,
		.bufsize = 32768,
		.poll_ms = 1000,
		.command_timeout_ms = 5000 };
	certs_haproxy_config(b.dir, port, 32768);
	setvbuf(stdout, NULL, _IOLBF, 0);
	measure();
	push_free(b.push);
	return 0;
}
