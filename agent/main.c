/* certfleet-agent: HAProxy asks, we answer. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <event2/event.h>

#include "agent/conn.h"
#include "agent/listen.h"
#include "agent/lookup.h"
#include "agent/metrics.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"

#define EXIT_CHANGE 100 /* the operator must change something */

#define STOP_MS 2000   /* lookups in flight get this long */
#define STOP_STEP_MS 5 /* between looks at them */
#define GOODBYE_MS 100 /* the last words are read */

#define SPARE_DESCRIPTORS 64 /* Redis, listeners, files, the loop's own */

struct agent {
	struct event_base *base;
	struct conf *conf;
	struct lookup *lookup;
	struct conns *conns;
	struct listeners *listeners;
	struct metrics *metrics;
	struct event *timer;
	int64_t stop_at; /* deadline of what stopping waits for */
	bool is_ending;  /* the last words are said */
};

static void
usage(FILE *to)
{
	fputs("usage: certfleet-agent [-f FILE] [-c] [-d] [-h] [-V]\n"
	      "  -f FILE  configuration (" CONF_PATH ")\n"
	      "  -c       check the configuration and exit\n"
	      "  -d       log everything\n"
	      "  -V       print the version and exit\n",
	    to);
}

/* Nobody reads our memory, and nothing we start gains rights. */
static void
harden(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		log_warn("prctl: %s", strerror(errno));
}

static void
raise_descriptors(const struct conf *conf)
{
	rlim_t want = (rlim_t)conf->agent.max_connections + SPARE_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max < want)
		log_warn("agent.max_connections is %d, but %" PRIu64
			 " descriptors are allowed; raise LimitNOFILE",
		    conf->agent.max_connections, (uint64_t)limit.rlim_max);
}

/* Wait for the lookups in flight, then for the last words to be read. */
static void
on_stopping(void *arg)
{
	struct agent *a = arg;
	int64_t now = loop_now_ms();
	bool waiting = lookup_waiting(a->lookup) > 0 && now < a->stop_at;

	if (!waiting && !a->is_ending) {
		a->is_ending = true;
		a->stop_at = now + GOODBYE_MS;
		conns_end(a->conns);
	}
	if (a->is_ending && (conns_count(a->conns) == 0 || now >= a->stop_at))
		loop_stop(a->base);
	else
		loop_after(a->base, &a->timer, STOP_STEP_MS, on_stopping, a);
}

static void
stop(void *arg)
{
	struct agent *a = arg;
	const struct lookup_counts *n = lookup_counts(a->lookup);

	log_info("stopping connections=%u waiting=%u memory=%" PRIu64
		 " redis=%" PRIu64 " stateless=%" PRIu64 " errors=%" PRIu64,
	    conns_count(a->conns), lookup_waiting(a->lookup), n->memory,
	    n->redis, n->stateless, n->errors);
	loop_notify("STOPPING=1\nSTATUS=stopping");
	listen_free(a->listeners);
	a->listeners = NULL;
	a->stop_at = loop_now_ms() + STOP_MS;
	on_stopping(a);
}

static void
hang_up(void *arg)
{
	struct agent *a = arg;

	log_info("SIGHUP: nothing to reload; restart to read the "
		 "configuration again, connections=%u",
	    conns_count(a->conns));
}

static void
on_accept(void *arg, int fd)
{
	struct agent *a = arg;

	conns_add(a->conns, fd);
}

/*
 * Ready means bound: whether Redis is there or not, HAProxy gets an answer.
 */
static int
run(struct agent *a)
{
	struct err e = { 0 };

	a->base = loop_new();
	a->lookup = lookup_new(a->base, a->conf);
	a->conns = conns_new(a->base, a->conf, a->lookup);
	a->listeners =
	    listen_new(a->base, &a->conf->agent.listen, on_accept, a, &e);
	if (a->listeners != NULL && a->conf->agent.metrics[0] != '\0')
		a->metrics = metrics_new(
		    a->base, a->conf->agent.metrics, a->conns, a->lookup, &e);
	if (a->listeners != NULL && e.kind == ERR_NONE) {
		loop_notify("READY=1\nSTATUS=answering");
		loop_run(a->base, stop, hang_up, a);
	} else {
		log_error("%s", e.text);
	}
	metrics_free(a->metrics);
	listen_free(a->listeners);
	conns_free(a->conns);
	lookup_free(a->lookup);
	loop_timer_free(&a->timer);
	event_base_free(a->base);
	return e.kind == ERR_NONE ? EXIT_SUCCESS : EXIT_CHANGE;
}

int
main(int argc, char **argv)
{
	struct agent a = { .base = NULL };
	const char *path = CONF_PATH;
	bool check = false, debug = false;
	struct err e = { 0 };
	int opt, status;

	while ((opt = getopt(argc, argv, "f:cdhV")) != -1)
		switch (opt) {
		case 'f':
			path = optarg;
			break;
		case 'c':
			check = true;
			break;
		case 'd':
			debug = true;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("certfleet-agent " CERTFLEET_VERSION);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return EXIT_CHANGE;
		}
	if (optind < argc) {
		usage(stderr);
		return EXIT_CHANGE;
	}
	if (check)
		return conf_check(path);
	a.conf = conf_load(path, &e);
	if (a.conf == NULL)
		return EXIT_CHANGE;
	log_open(
	    "certfleet-agent", debug ? LOG_LEVEL_DEBUG : a.conf->log_level);
	harden();
	raise_descriptors(a.conf);
	status = run(&a);
	conf_free(a.conf);
	return status;
}
