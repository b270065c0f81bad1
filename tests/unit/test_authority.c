/*
 * Looks at once, cancelled and cut off, against one scripted server that is
 * resolver and name server.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/conf.h"
#include "common/loop.h"
#include "sync/authority.h"
#include "sync/exchange.h"
#include "sync/visible.h"
#include "tests/unit/dns_made.h"

#define SHORT_MS 1200

struct world {
	struct event_base *base;
	struct authorities *all;
	struct conf conf;
	char resolver[32];
	char *resolvers[1];
	int fd, port;
	struct event *event;
	bool mute; /* as a name server; the resolver answers */
	int asked_txt, gone;
};

static unsigned int
type_of(const struct dns_made *m)
{
	return (unsigned int)m->p[m->len - 4] << 8 | m->p[m->len - 3];
}

/* shop.example is a zone, served by ns.shop.example at 127.0.0.1. */
static void
answer(struct dns_made *m)
{
	struct dns_message in = { m->p, m->len };
	size_t at = DNS_HEADER;
	char name[256];

	assert_int_equal(dns_message_name(&in, &at, name), 0);
	m->p[2] = 0x84;
	switch (type_of(m)) {
	case DNS_SOA:
		if (strcmp(name, "shop.example") == 0)
			put(m, ANSWER, name, DNS_SOA, "x", 1);
		else
			put(m, AUTHORITY, "shop.example", DNS_SOA, "x", 1);
		break;
	case DNS_NS:
		put_target(m, ANSWER, name, DNS_NS, "ns.shop.example");
		break;
	case DNS_A:
		put(m, ANSWER, name, DNS_A, "\x7f\0\0\1", 4);
		break;
	case DNS_TXT:
		put_txt(m, name, "value");
		break;
	default:
		break;
	}
}

static void
on_question(evutil_socket_t fd, short what, void *arg)
{
	struct world *w = arg;
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	struct dns_made m = { .len = 0 };
	ssize_t n = recvfrom(
	    fd, m.p, sizeof(m.p), 0, (struct sockaddr *)&from, &from_len);

	(void)what;
	assert_true(n > DNS_HEADER);
	m.len = (size_t)n;
	w->asked_txt += type_of(&m) == DNS_TXT;
	if (w->mute && type_of(&m) == DNS_TXT)
		return;
	answer(&m);
	sendto(fd, m.p, m.len, 0, (struct sockaddr *)&from, from_len);
}

static void
world_init(struct world *w, int timeout_ms)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	struct err e = { .kind = ERR_NONE };

	memset(w, 0, sizeof(*w));
	w->base = loop_new();
	w->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(w->fd, (struct sockaddr *)&sin, &len), 0);
	w->port = ntohs(sin.sin_port);
	w->event =
	    event_new(w->base, w->fd, EV_READ | EV_PERSIST, on_question, w);
	event_add(w->event, NULL);
	snprintf(w->resolver, sizeof(w->resolver), "127.0.0.1:%d", w->port);
	w->resolvers[0] = w->resolver;
	w->conf.dns.resolvers = (struct conf_list){ w->resolvers, 1 };
	w->conf.dns.authoritative_port = w->port;
	w->conf.dns.timeout_ms = timeout_ms;
	w->all = authorities_new(w->base, &w->conf, &e);
	assert_non_null(w->all);
}

static void
world_clear(struct world *w)
{
	authorities_free(w->all);
	event_free(w->event);
	close(w->fd);
	event_base_free(w->base);
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
run_until(struct world *w, const int *n, int wanted)
{
	struct event *guard = NULL;
	int64_t end = loop_now_ms() + 30000;

	while (*n < wanted && loop_now_ms() < end) {
		loop_after(w->base, &guard, 100, stop, w->base);
		event_base_loop(w->base, EVLOOP_ONCE);
	}
	loop_timer_free(&guard);
	assert_int_equal(*n, wanted);
}

static void
on_visible(void *arg, const struct authority_answer *a)
{
	int *n = arg;
	char text[] = "value", *value[] = { text }, why[256];

	assert_int_equal(visible(a, value, 1, why, sizeof(why)), 1);
	++*n;
}

static void
more_looks_than_run_at_once_are_all_answered(void **state)
{
	struct world w;
	int n = 0, cancelled = 0;
	uint64_t id = 0;
	char name[64];

	(void)state;
	world_init(&w, 10000);
	for (int i = 0; i < 100; i++) {
		snprintf(
		    name, sizeof(name), "_acme-challenge.w%d.shop.example", i);
		authority_look(w.all, name, on_visible, &n);
		id = authority_look(w.all, name, on_visible, &cancelled);
		if (i % 2 == 0)
			authority_cancel(w.all, id);
		else
			cancelled--;
	}
	assert_int_equal(n, 0); /* never from within */
	run_until(&w, &n, 100);
	run_until(&w, &cancelled, 0);
	authority_cancel(w.all, id); /* gone is accepted */
	world_clear(&w);
}

static void
on_never(void *arg, const struct authority_answer *a)
{
	(void)arg, (void)a;
	fail_msg("called back");
}

/* At every step, what is out is taken back. */
static void
a_look_can_be_cut_off_at_any_time(void **state)
{
	struct world w;
	uint64_t id;

	(void)state;
	for (int steps = 0; steps < 12; steps++) {
		world_init(&w, 10000);
		w.mute = true;
		id = authority_look(
		    w.all, "_acme-challenge.shop.example", on_never, NULL);
		for (int i = 0; i < steps; i++)
			event_base_loop(w.base, EVLOOP_NONBLOCK);
		if (steps % 2 == 0)
			authority_cancel(w.all, id);
		for (int i = 0; i < 3; i++)
			event_base_loop(w.base, EVLOOP_NONBLOCK);
		world_clear(&w);
	}
}

static void
on_silent(void *arg, const struct authority_answer *a)
{
	int *n = arg;

	assert_int_equal(a->nservers, 1);
	assert_int_equal(a->server[0].result, RESOLVE_FAIL);
	assert_true(a->server[0].silent);
	assert_false(a->server[0].no_route);
	assert_string_equal(a->server[0].error, "does not answer");
	++*n;
}

static void
on_gone(void *arg, const struct authority_answer *a)
{
	struct world *w = arg;

	on_silent(&w->gone, a);
	/* The four before it are remembered. */
	assert_in_range(a->server[0].silent_ms, SHORT_MS / 2, 30000);
	authorities_free(w->all); /* whoever is told may end everything */
	w->all = NULL;
}

static void
silence_ends_after_three_questions(void **state)
{
	struct world w;
	int n = 0;

	(void)state;
	world_init(&w, SHORT_MS);
	w.mute = true;
	for (int i = 0; i < 4; i++)
		authority_look(
		    w.all, "_acme-challenge.shop.example", on_silent, &n);
	run_until(&w, &n, 4);
	assert_int_equal(w.asked_txt, 4 * EXCHANGE_TRIES);
	authority_look(w.all, "_acme-challenge.shop.example", on_gone, &w);
	run_until(&w, &w.gone, 1);
	assert_null(w.all);
	world_clear(&w);
}

struct outcome {
	int n;
	enum exchange_result result;
	char why[96];
};

static void
on_exchange(void *arg, enum exchange_result result, const uint8_t *message,
    size_t len, const char *why)
{
	struct outcome *o = arg;

	(void)message;
	o->n++;
	o->result = result;
	snprintf(o->why, sizeof(o->why), "%s", why != NULL ? why : "");
	assert_int_equal(len == 0, result != EXCHANGE_OK);
}

static void
what_cannot_be_asked_says_so(void **state)
{
	static const struct {
		const char *address, *name, *why;
		enum exchange_result result;
	} cases[] = {
		{ "127.0.0.1", "shop.example", "", EXCHANGE_OK },
		{ "2001:db8::1%lo", "shop.example",
		    "cannot be asked for such a name", EXCHANGE_SILENT },
		{ "127.0.0.1", "shop..example",
		    "cannot be asked for such a name", EXCHANGE_SILENT },
		/* Of a link, but which? */
		{ "fe80::1", "shop.example", "cannot be reached from here",
		    EXCHANGE_NO_ROUTE },
		{ "127.0.0.77", "shop.example", "does not answer (port closed)",
		    EXCHANGE_SILENT },
	};
	struct world w;
	struct exchanges *all;

	(void)state;
	world_init(&w, 10000);
	all = exchanges_new(w.base, 10000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome o = { .n = 0 };

		exchange_start(all, cases[i].address, w.port, cases[i].name,
		    DNS_TXT, on_exchange, &o);
		assert_int_equal(o.n, 0);
		run_until(&w, &o.n, 1);
		assert_int_equal(o.result, cases[i].result);
		assert_string_equal(o.why, cases[i].why);
	}
	exchanges_free(all);
	world_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_looks_than_run_at_once_are_all_answered),
		cmocka_unit_test(a_look_can_be_cut_off_at_any_time),
		cmocka_unit_test(silence_ends_after_three_questions),
		cmocka_unit_test(what_cannot_be_asked_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
