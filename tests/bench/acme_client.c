/*
 * The least a client can do: orders at the same time, all in memory, their
 * challenges answered by itself.  No DNS, no Redis, no HAProxy, no journal: how
 * many certificates per second that gives is what the CA can do.
 *
 *	acme_client CERTFLEET.CONF PORT COUNT AT-ONCE PREFIX
 *
 * prints "seconds S" and "cpu_s S"; ends with 1 when an order fails.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/http.h"
#include "sync/order.h"

#define POLL_MS 80 /* of 40 to 300 the one with most certificates */

struct run {
	struct order o;
	char name[64];
	char *key;
	struct event *timer;
	struct ask ask;
};

static struct {
	struct event_base *base;
	struct ca *ca;
	const char *prefix;
	int64_t begun, done, count;
	bool failed;
} all;

static void next(void);
static void advance(void *);

static void
give_up(const char *what, const struct err *e)
{
	fprintf(stderr, "%s: %s\n", what, e->text);
	all.failed = true;
	loop_stop(all.base);
}

static void
take(struct run *r, const struct reply *reply)
{
	struct err e;

	if (order_got(&r->o, reply, &e) == -1)
		give_up(r->name, &e);
	else
		advance(r);
}

static void
got_post(void *arg, const struct reply *reply, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL)
		give_up(r->name, e);
	else
		take(r, reply);
}

static void
post(void *arg)
{
	struct run *r = arg;

	ca_post(all.ca, r->ask.url, r->ask.payload, got_post, r);
}

static void
finish(struct run *r)
{
	order_clear(&r->o);
	loop_timer_free(&r->timer);
	mem_wipe_free(r->key);
	free(r);
	if (++all.done == all.count)
		loop_stop(all.base);
	else
		next();
}

static void
advance(void *arg)
{
	struct run *r = arg;
	const char *names[] = { r->name };
	struct err e;

	if (order_ask(&r->o, &r->ask, &e) == -1) {
		give_up(r->name, &e);
		return;
	}
	switch (r->ask.what) {
	case ASK_NOTHING:
		finish(r);
		break;
	case ASK_POST:
		/* Impatient: it has nothing else to do. */
		loop_after(all.base, &r->timer,
		    r->ask.delay_ms < POLL_MS ? r->ask.delay_ms : POLL_MS, post,
		    r);
		break;
	case ASK_CSR:
		r->key = cert_key_new();
		if (cert_csr(r->key, names, 1, &r->o.csr, &e) == -1)
			give_up(r->name, &e);
		else
			take(r, NULL);
		break;
	case ASK_PUBLISH: /* all tokens are answered */
		take(r, NULL);
		break;
	}
}

static void
next(void)
{
	struct run *r;

	if (all.begun == all.count)
		return;
	r = xcalloc(1, sizeof(*r));
	snprintf(r->name, sizeof(r->name), "%s%lld.test", all.prefix,
	    (long long)all.begun++);
	r->o.names[0] = r->name;
	r->o.nnames = 1;
	loop_after(all.base, &r->timer, 0, advance, r);
}

/* Any token: its key authorization needs no memory. */
static void
answer(struct evhttp_request *q, void *arg)
{
	const char *token = strrchr(evhttp_request_get_uri(q), '/');
	struct evbuffer *body = evbuffer_new();

	(void)arg;
	evbuffer_add_printf(body, "%s.%s", token + 1, ca_thumbprint(all.ca));
	evhttp_send_reply(q, 200, "OK", body);
	evbuffer_free(body);
}

static void
on_account(void *arg, const char *url)
{
	(void)arg, (void)url;
}

static void
on_stop(void *arg)
{
	(void)arg;
	all.failed = true;
	loop_stop(all.base);
}

static double
cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int
work(const struct conf *conf, int64_t at_once, uint16_t port)
{
	struct http_conf http_conf = { .ca_file = conf->acme.ca_file,
		.max_in_flight = (int)at_once,
		.timeout_ms = conf->acme.request_timeout_ms };
	struct http *http = http_new(all.base, &http_conf);
	struct evhttp *server = evhttp_new(all.base);
	char *key = cert_key_new();
	int64_t began = loop_now_ms();
	struct err e;

	all.ca = ca_new(all.base, http, conf, on_account, NULL);
	evhttp_set_gencb(server, answer, NULL);
	if (ca_set_account(all.ca, key, "", &e) == -1 ||
	    evhttp_bind_socket(server, "127.0.0.1", port) == -1)
		return 1;
	for (int64_t i = 0; i < at_once; i++)
		next();
	loop_run(all.base, on_stop, NULL, NULL);
	printf("seconds %.3f\ncpu_s %.3f\n",
	    (double)(loop_now_ms() - began) / 1e3, cpu_s());
	evhttp_free(server);
	ca_free(all.ca);
	http_free(http);
	mem_wipe_free(key);
	return all.failed;
}

int
main(int argc, char **argv)
{
	int64_t port, at_once;
	struct conf *conf;
	struct err e;
	int rc;

	if (argc != 6 || (conf = conf_load(argv[1], &e)) == NULL ||
	    str_int(argv[2], 1, 65535, &port) == -1 ||
	    str_int(argv[3], 1, 1000000, &all.count) == -1 ||
	    str_int(argv[4], 1, 1000, &at_once) == -1) {
		fprintf(stderr,
		    "usage: acme_client CONF PORT COUNT AT-ONCE PREFIX\n");
		return 2;
	}
	all.prefix = argv[5];
	all.base = loop_new();
	rc = work(conf, at_once, (uint16_t)port);
	event_base_free(all.base);
	conf_free(conf);
	return rc;
}
