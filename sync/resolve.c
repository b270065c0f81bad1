#include "sync/resolve.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* The interface that c-ares 1.18 and 1.34 share is deprecated in the latter. */
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <event2/event.h>
#include <event2/util.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/question.h"

#define CLASS_IN 1
#define TRIES 2         /* per server, the second waits twice as long */
#define SERVERS_USUAL 2 /* when the system names them */
/*
 * Lookups at once; the rest wait their turn.  More would come back in bursts
 * that a UDP socket's buffer does not hold.
 */
#define IN_FLIGHT_MAX 128

#define QUESTIONS 3

static const enum dns_type types[QUESTIONS] = { DNS_A, DNS_AAAA, DNS_CAA };

/* One socket of c-ares that the loop watches. */
struct sock {
	LIST_ENTRY(sock) next;
	struct event *event;
	struct resolve *r;
	ares_socket_t fd;
};

/* One of a lookup's questions. */
struct query {
	struct lookup *l;
	struct question question;
};

/*
 * One resolve_name().  c-ares cannot take a single query back, so a lookup
 * that is over for its owner (LOOKUP_OVER) stays until its queries have ended.
 */
enum lookup_state {
	LOOKUP_WAITS = 0,
	LOOKUP_RUNS,
	LOOKUP_OVER
};

struct lookup {
	TAILQ_ENTRY(lookup) next;
	struct resolve *r;
	uint64_t id;
	enum lookup_state state;
	int queries; /* in c-ares */
	bool asks[QUESTIONS];
	char name[256];
	struct query q[QUESTIONS];
	struct event *timer; /* the time it has, then: now */
	resolve_fn *fn;      /* or, for the first question only: */
	resolve_type_fn *type_fn;
	void *arg;
};

struct resolve {
	struct event_base *base;
	ares_channel channel;
	struct event *timer; /* c-ares' own */
	LIST_HEAD(, sock) socks;
	TAILQ_HEAD(lookups, lookup) lookups, waiting;
	size_t nlookups; /* without the waiting ones */
	uint64_t last_id;
	int timeout_ms;
	bool closing;
};

static void start_next(struct resolve *);
static void start(struct lookup *);
static void ask(struct query *, const char *name);
static void on_reply(void *, int, int, unsigned char *, int);
static void deliver(void *);
static void release(struct lookup *);
static void rearm(struct resolve *);

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct sock *s = arg;
	struct resolve *r = s->r; /* s may go while c-ares reads */

	ares_process_fd(r->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	rearm(r);
}

static void
sock_free(struct sock *s)
{
	LIST_REMOVE(s, next);
	event_free(s->event);
	free(s);
}

/* c-ares says what it waits for; before it closes a socket, nothing. */
static void
on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolve *r = arg;
	short what =
	    (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	struct sock *s;

	LIST_FOREACH (s, &r->socks, next)
		if (s->fd == fd)
			break;
	if (s != NULL)
		sock_free(s);
	if (what == 0)
		return;
	s = xcalloc(1, sizeof(*s));
	s->r = r;
	s->fd = fd;
	s->event =
	    event_new(r->base, fd, (short)(what | EV_PERSIST), on_socket, s);
	if (s->event == NULL)
		abort();
	event_add(s->event, NULL);
	LIST_INSERT_HEAD(&r->socks, s, next);
}

static void
on_time(void *arg)
{
	struct resolve *r = arg;

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	rearm(r);
}

static void
rearm(struct resolve *r)
{
	struct timeval tv;

	if (ares_timeout(r->channel, NULL, &tv) == NULL)
		loop_cancel(r->timer);
	else
		loop_after(r->base, &r->timer,
		    (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1, on_time,
		    r);
}

/* Each server as address and port, as both versions of c-ares read it. */
static int
put_server(struct buf *csv, const char *text, struct err *e)
{
	struct sockaddr_storage ss;
	char address[INET6_ADDRSTRLEN];
	int len = (int)sizeof(ss);
	bool v6;
	in_port_t port;
	const void *in;

	memset(&ss, 0, sizeof(ss));
	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&ss, &len) ==
	    -1)
		return err_set(e, ERR_CONFIG,
		    "dns resolver \"%s\" is not an address; expected "
		    "192.0.2.53, 192.0.2.53:53 or [2001:db8::53]:53",
		    text);
	v6 = ss.ss_family == AF_INET6;
	in = v6 ? (const void *)&((struct sockaddr_in6 *)&ss)->sin6_addr
	        : (const void *)&((struct sockaddr_in *)&ss)->sin_addr;
	port = v6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
	          : ((struct sockaddr_in *)&ss)->sin_port;
	inet_ntop(ss.ss_family, in, address, sizeof(address));
	if (buf_putf(csv, v6 ? "%s[%s]:%d" : "%s%s:%d", csv->len > 0 ? "," : "",
		address, port != 0 ? ntohs(port) : 53) == -1)
		return err_set(e, ERR_CONFIG, "too many dns resolvers");
	return 0;
}

static int
set_servers(struct resolve *r, const struct conf_list *resolvers, struct err *e)
{
	struct buf csv;
	int status, result = -1;

	buf_init(&csv, 4096);
	for (size_t i = 0; i < resolvers->n; i++)
		if (put_server(&csv, resolvers->item[i], e) == -1)
			goto out;
	status = ares_set_servers_ports_csv(r->channel, csv.p);
	if (status != ARES_SUCCESS) {
		err_set(e, ERR_CONFIG, "dns resolvers \"%s\": %s", csv.p,
		    ares_strerror(status));
		goto out;
	}
	result = 0;
out:
	buf_clear(&csv);
	return result;
}

static int
open_channel(struct resolve *r, const struct conf *conf, struct err *e)
{
	const struct conf_list *resolvers = &conf->dns.resolvers;
	int servers = resolvers->n > 0 ? (int)resolvers->n : SERVERS_USUAL;
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.tries = TRIES,
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = r,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
	           ARES_OPT_SOCK_STATE_CB;
	int status;

	/* One round over all servers, and one that waits twice as long. */
	options.timeout = conf->dns.timeout_ms / (3 * servers);
	if (options.timeout < 10)
		options.timeout = 10;
#ifdef ARES_OPT_QUERY_CACHE
	/* The owner has just changed it and we are to see that. */
	mask |= ARES_OPT_QUERY_CACHE;
	options.qcache_max_ttl = 0;
#endif
	status = ares_init_options(&r->channel, &options, mask);
	if (status != ARES_SUCCESS)
		return err_set(e, ERR_CONFIG, "dns: %s", ares_strerror(status));
	if (resolvers->n > 0 && set_servers(r, resolvers, e) == -1) {
		ares_destroy(r->channel);
		return -1;
	}
	return 0;
}

struct resolve *
resolve_new(struct event_base *base, const struct conf *conf, struct err *e)
{
	static bool library;
	struct resolve *r;

	if (!library && ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		abort();
	library = true;
	r = xcalloc(1, sizeof(*r));
	r->base = base;
	r->timeout_ms = conf->dns.timeout_ms;
	LIST_INIT(&r->socks);
	TAILQ_INIT(&r->lookups);
	TAILQ_INIT(&r->waiting);
	if (open_channel(r, conf, e) == -1) {
		free(r);
		return NULL;
	}
	return r;
}

static void
lookup_free(struct lookup *l)
{
	for (int i = 0; i < QUESTIONS; i++)
		question_clear(&l->q[i].question);
	loop_timer_free(&l->timer);
	free(l);
}

void
resolve_free(struct resolve *r)
{
	struct lookup *l;

	if (r == NULL)
		return;
	r->closing = true;
	TAILQ_FOREACH (l, &r->lookups, next)
		l->state = LOOKUP_OVER;
	ares_destroy(r->channel); /* ends every query, closes every socket */
	while ((l = TAILQ_FIRST(&r->lookups)) != NULL) {
		TAILQ_REMOVE(&r->lookups, l, next);
		lookup_free(l);
	}
	while ((l = TAILQ_FIRST(&r->waiting)) != NULL) {
		TAILQ_REMOVE(&r->waiting, l, next);
		lookup_free(l);
	}
	while (!LIST_EMPTY(&r->socks))
		sock_free(LIST_FIRST(&r->socks));
	loop_timer_free(&r->timer);
	free(r);
}

static struct lookup *
lookup_new(struct resolve *r, const char *name, void *arg)
{
	struct lookup *l = xcalloc(1, sizeof(*l));
	size_t len;

	l->r = r;
	l->id = ++r->last_id;
	l->arg = arg;
	/* What is cut here is no name, and its first query says so. */
	snprintf(l->name, sizeof(l->name), "%s", name);
	len = strlen(l->name);
	if (len > 1 && l->name[len - 1] == '.')
		l->name[len - 1] = '\0';
	for (int i = 0; i < QUESTIONS; i++) {
		l->q[i].l = l;
		question_init(&l->q[i].question, types[i], l->name);
	}
	TAILQ_INSERT_TAIL(&r->waiting, l, next);
	return l;
}

uint64_t
resolve_name(
    struct resolve *r, const char *name, int caa, resolve_fn *fn, void *arg)
{
	struct lookup *l;

	l = lookup_new(r, str_has_prefix(name, "*.") ? name + 2 : name, arg);
	l->fn = fn;
	for (int i = 0; i < QUESTIONS; i++)
		l->asks[i] = types[i] != DNS_CAA || caa != 0;
	start_next(r);
	return r->last_id;
}

uint64_t
resolve_type(struct resolve *r, const char *name, enum dns_type type,
    resolve_type_fn *fn, void *arg)
{
	struct lookup *l = lookup_new(r, name, arg);

	l->type_fn = fn;
	l->asks[0] = true;
	question_init(&l->q[0].question, type, l->name);
	start_next(r);
	return r->last_id;
}

static void
start_next(struct resolve *r)
{
	struct lookup *l;

	while (!r->closing && r->nlookups < IN_FLIGHT_MAX &&
	       (l = TAILQ_FIRST(&r->waiting)) != NULL) {
		TAILQ_REMOVE(&r->waiting, l, next);
		TAILQ_INSERT_TAIL(&r->lookups, l, next);
		r->nlookups++;
		start(l);
		rearm(r);
	}
}

static void
start(struct lookup *l)
{
	l->state = LOOKUP_RUNS;
	loop_after(l->r->base, &l->timer, l->r->timeout_ms, deliver, l);
	for (int i = 0; i < QUESTIONS; i++)
		l->q[i].question.done = !l->asks[i];
	for (int i = 0; i < QUESTIONS; i++)
		if (l->asks[i])
			ask(&l->q[i], l->name);
}

static void
ask(struct query *q, const char *name)
{
	q->l->queries++;
	/* The reply may come before this returns, when nothing can be sent. */
	ares_query(q->l->r->channel, name, CLASS_IN, (int)q->question.type,
	    on_reply, q);
}

/* After its last try c-ares 1.18 tells SERVFAIL as ECONNREFUSED. */
static const char *
why(int status)
{
	switch (status) {
	case ARES_ETIMEOUT:
		return "no answer in time";
	case ARES_ECONNREFUSED:
	case ARES_EREFUSED:
	case ARES_ESERVFAIL:
	case ARES_ENOTIMP:
		return "every server fails or refuses";
	case ARES_EBADRESP: /* 1.34 has read it before us */
		return "the reply is malformed";
	default:
		return ares_strerror(status);
	}
}

static void
on_reply(void *arg, int status, int timeouts, unsigned char *reply, int len)
{
	struct query *q = arg;
	struct lookup *l = q->l;
	const char *next = NULL;

	(void)timeouts;
	l->queries--;
	if (l->state == LOOKUP_OVER) {
		if (l->queries == 0)
			release(l);
		return;
	}
	if (status != ARES_SUCCESS && status != ARES_ENODATA &&
	    status != ARES_ENOTFOUND)
		question_fail(&q->question, why(status));
	else
		next = question_got(&q->question, status != ARES_ENOTFOUND,
		    reply, reply != NULL ? (size_t)len : 0);
	if (next != NULL)
		ask(q, next);
	for (int i = 0; i < QUESTIONS; i++)
		if (!l->q[i].question.done)
			return;
	loop_after(l->r->base, &l->timer, 0, deliver, l);
}

/* Let go of it as soon as c-ares does: who is told may free the resolver. */
static void
end(struct lookup *l)
{
	l->state = LOOKUP_OVER;
	if (l->queries == 0)
		release(l);
}

static void
deliver_type(struct lookup *l)
{
	resolve_type_fn *fn = l->type_fn;
	void *arg = l->arg;
	struct question q = l->q[0].question;

	l->q[0].question.reply = NULL;
	end(l);
	fn(arg, q.result, q.reply, q.error);
	question_clear(&q);
}

static void
deliver_name(struct lookup *l)
{
	resolve_fn *fn = l->fn;
	void *arg = l->arg;
	struct resolve_answer answer;

	question_fill(
	    &answer, &l->q[0].question, &l->q[1].question, &l->q[2].question);
	end(l);
	fn(arg, &answer);
}

/* All is known, or time is up. */
static void
deliver(void *arg)
{
	struct lookup *l = arg;

	for (int i = 0; i < QUESTIONS; i++)
		if (!l->q[i].question.done)
			question_fail(&l->q[i].question, "no answer in time");
	if (l->type_fn != NULL)
		deliver_type(l);
	else
		deliver_name(l);
}

static void
release(struct lookup *l)
{
	struct resolve *r = l->r;

	TAILQ_REMOVE(&r->lookups, l, next);
	r->nlookups--;
	lookup_free(l);
	start_next(r);
}

void
resolve_cancel(struct resolve *r, uint64_t id)
{
	struct lookup *l;

	TAILQ_FOREACH (l, &r->waiting, next)
		if (l->id == id) {
			TAILQ_REMOVE(&r->waiting, l, next);
			lookup_free(l);
			return;
		}
	TAILQ_FOREACH (l, &r->lookups, next)
		if (l->id == id)
			break;
	if (l == NULL || l->state == LOOKUP_OVER)
		return;
	l->state = LOOKUP_OVER;
	loop_timer_free(&l->timer);
	if (l->queries == 0)
		release(l);
}
