#include "sync/authority.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/exchange.h"
#include "sync/silence.h"
#include "sync/trail.h"

#define LOOKS_MAX 32     /* at once; the rest wait their turn */
#define LOOK_TIMEOUTS 16 /* of one question, for all of a look */

/* One of the questions that a look has out at the same time. */
struct request {
	struct look *l;
	bool open;
	uint64_t lookup;           /* at the resolver */
	struct exchange *exchange; /* or with a server */
};

/* One authority_look(). */
struct look {
	TAILQ_ENTRY(look) next;
	struct authorities *all;
	uint64_t id;
	bool running; /* else it waits */
	char fqdn[256];
	struct trail *trail; /* when it runs */
	struct request request[AUTHORITY_SERVERS_MAX];
	size_t nopen;
	struct event *timer; /* now, then: the time it has */
	authority_fn *fn;
	void *arg;
};

_Static_assert(DNS_HOSTS_MAX <= AUTHORITY_SERVERS_MAX, "a request for each");

TAILQ_HEAD(look_list, look);

struct authorities {
	struct event_base *base;
	struct resolve *resolve;
	struct exchanges *exchanges;
	int port;
	int timeout_ms;
	struct look_list running, waiting;
	size_t nrunning;
	uint64_t last_id;
	struct silence silence;
};

static void start_next(struct authorities *);
static void go(struct look *);

struct authorities *
authorities_new(struct event_base *base, const struct conf *conf, struct err *e)
{
	struct authorities *all = xcalloc(1, sizeof(*all));

	all->base = base;
	all->port = conf->dns.authoritative_port;
	all->timeout_ms = conf->dns.timeout_ms;
	TAILQ_INIT(&all->running);
	TAILQ_INIT(&all->waiting);
	all->resolve = resolve_new(base, conf, e);
	if (all->resolve == NULL) {
		free(all);
		return NULL;
	}
	all->exchanges = exchanges_new(base, conf->dns.timeout_ms);
	return all;
}

static void
close_request(struct request *r)
{
	if (!r->open)
		return;
	r->open = false;
	r->l->nopen--;
	if (r->exchange != NULL)
		exchange_cancel(r->exchange);
	else
		resolve_cancel(r->l->all->resolve, r->lookup);
	r->exchange = NULL;
}

/* Out of everything that knows it; its memory stays. */
static void
detach(struct look *l)
{
	struct authorities *all = l->all;

	for (size_t i = 0; i < AUTHORITY_SERVERS_MAX; i++)
		close_request(&l->request[i]);
	loop_timer_free(&l->timer);
	if (l->running) {
		TAILQ_REMOVE(&all->running, l, next);
		all->nrunning--;
	} else {
		TAILQ_REMOVE(&all->waiting, l, next);
	}
}

static void
look_free(struct look *l)
{
	free(l->trail);
	free(l);
}

void
authorities_free(struct authorities *all)
{
	struct look *l;

	if (all == NULL)
		return;
	while ((l = TAILQ_FIRST(&all->running)) != NULL ||
	       (l = TAILQ_FIRST(&all->waiting)) != NULL) {
		detach(l);
		look_free(l);
	}
	exchanges_free(all->exchanges);
	resolve_free(all->resolve);
	free(all);
}

static void
finish(struct look *l)
{
	struct authorities *all = l->all;

	detach(l);
	start_next(all);
	l->fn(l->arg, &l->trail->answer); /* may free all of us */
	look_free(l);
}

static void
on_late(void *arg)
{
	struct look *l = arg;

	trail_fail(l->trail, "no answer in time");
	finish(l);
}

/* A request is over: its result is in the trail, and the next step may be. */
static struct look *
close_done(struct request *r)
{
	r->open = false;
	r->exchange = NULL;
	r->l->nopen--;
	return r->l;
}

static void
got_zone(void *arg, enum resolve_result result, const struct dns_reply *reply,
    const char *error)
{
	struct look *l = close_done(arg);

	trail_got_zone(l->trail, result, reply, error);
	go(l);
}

static void
got_hosts(void *arg, enum resolve_result result, const struct dns_reply *reply,
    const char *error)
{
	struct look *l = close_done(arg);

	trail_got_hosts(l->trail, result, reply, error);
	go(l);
}

/* A server that is gone for good is not waited for for ever. */
static void
note_silence(
    struct look *l, struct authority_server *s, enum exchange_result result)
{
	struct silence *silence = &l->all->silence;

	if (result == EXCHANGE_OK)
		silence_broken(silence, s->address);
	else if (result == EXCHANGE_SILENT)
		s->silent_ms = silence_met(silence, s->address, loop_now_ms());
}

/* The same of one whose address nobody tells. */
static void
note_addresses(struct look *l)
{
	struct silence *silence = &l->all->silence;
	struct authority_answer *a = &l->trail->answer;

	for (size_t i = 0; i < a->nservers; i++)
		if (i < l->trail->nasked)
			silence_broken(silence, a->server[i].host);
		else
			a->server[i].silent_ms = silence_met(
			    silence, a->server[i].host, loop_now_ms());
}

static void
got_addresses(void *arg, const struct resolve_answer *answer)
{
	struct request *r = arg;
	struct look *l = close_done(r);

	trail_got_addresses(l->trail, (size_t)(r - l->request), answer);
	if (l->nopen > 0)
		return;
	trail_know_addresses(l->trail);
	note_addresses(l);
	go(l);
}

static void
got_reply(void *arg, enum exchange_result result, const uint8_t *message,
    size_t len, const char *why)
{
	struct request *r = arg;
	struct look *l = close_done(r);
	size_t server = (size_t)(r - l->request);

	if (result == EXCHANGE_OK)
		trail_got_reply(l->trail, server, message, len);
	else
		trail_got_nothing(
		    l->trail, server, why, result == EXCHANGE_NO_ROUTE);
	note_silence(l, &l->trail->server[server], result);
	if (l->nopen > 0)
		return;
	trail_heard_all(l->trail);
	go(l);
}

static void
got_cut(void *arg, enum exchange_result result, const uint8_t *message,
    size_t len, const char *why)
{
	struct look *l = close_done(arg);

	(void)result, (void)why;
	trail_got_cut(l->trail, message, len);
	go(l);
}

static struct request *
open_request(struct look *l, size_t i)
{
	struct request *r = &l->request[i];

	r->l = l;
	r->open = true;
	l->nopen++;
	return r;
}

static void
exchange(struct look *l, size_t i, size_t server, enum dns_type type,
    exchange_fn *fn)
{
	struct request *r = open_request(l, i);

	r->exchange =
	    exchange_start(l->all->exchanges, l->trail->server[server].address,
		l->all->port, l->trail->answer.name, type, fn, r);
}

/* What the trail wants to know next. */
static void
go(struct look *l)
{
	struct trail *t = l->trail;
	struct resolve *resolve = l->all->resolve;
	struct request *r;

	switch (t->step) {
	case TRAIL_ZONE:
		r = open_request(l, 0);
		r->lookup = resolve_type(resolve, t->at, DNS_SOA, got_zone, r);
		return;
	case TRAIL_HOSTS:
		r = open_request(l, 0);
		r->lookup =
		    resolve_type(resolve, t->answer.zone, DNS_NS, got_hosts, r);
		return;
	case TRAIL_ADDRESSES:
		for (size_t i = 0; i < t->nhosts; i++) {
			r = open_request(l, i);
			r->lookup = resolve_name(
			    resolve, t->host[i], 0, got_addresses, r);
		}
		return;
	case TRAIL_SERVERS:
		for (size_t i = 0; i < t->nasked; i++)
			exchange(l, i, i, DNS_TXT, got_reply);
		return;
	case TRAIL_CUT:
		exchange(l, 0, t->cut_server, DNS_SOA, got_cut);
		return;
	case TRAIL_DONE:
		finish(l);
	}
}

static void
on_start(void *arg)
{
	struct look *l = arg;

	loop_after(l->all->base, &l->timer,
	    (int64_t)LOOK_TIMEOUTS * l->all->timeout_ms, on_late, l);
	go(l);
}

static void
start_next(struct authorities *all)
{
	struct look *l;

	while (all->nrunning < LOOKS_MAX &&
	       (l = TAILQ_FIRST(&all->waiting)) != NULL) {
		TAILQ_REMOVE(&all->waiting, l, next);
		TAILQ_INSERT_TAIL(&all->running, l, next);
		l->running = true;
		l->trail = xcalloc(1, sizeof(*l->trail));
		trail_begin(l->trail, l->fqdn);
		all->nrunning++;
		loop_after(all->base, &l->timer, 0, on_start, l);
	}
}

uint64_t
authority_look(
    struct authorities *all, const char *fqdn, authority_fn *fn, void *arg)
{
	struct look *l = xcalloc(1, sizeof(*l));

	l->all = all;
	l->id = ++all->last_id;
	l->fn = fn;
	l->arg = arg;
	snprintf(l->fqdn, sizeof(l->fqdn), "%s", fqdn);
	TAILQ_INSERT_TAIL(&all->waiting, l, next);
	start_next(all);
	return all->last_id;
}

void
authority_cancel(struct authorities *all, uint64_t id)
{
	struct look *l;

	TAILQ_FOREACH (l, &all->running, next)
		if (l->id == id)
			break;
	if (l == NULL)
		TAILQ_FOREACH (l, &all->waiting, next)
			if (l->id == id)
				break;
	if (l == NULL)
		return;
	detach(l);
	look_free(l);
	start_next(all);
}
