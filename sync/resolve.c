#include "sync/resolve.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/question.h"
#include "sync/resolve_link.h"

/*
 * Lookups at once; the rest wait their turn.  More would come back in bursts
 * that a UDP socket's buffer does not hold.
 */
#define IN_FLIGHT_MAX 128

#define QUESTIONS 3

static const enum dns_type types[QUESTIONS] = { DNS_A, DNS_AAAA, DNS_CAA };

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
	struct resolve_link link;
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
	TAILQ_INIT(&r->lookups);
	TAILQ_INIT(&r->waiting);
	if (resolve_link_open(&r->link, base, conf, e) == -1) {
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
	resolve_link_close(&r->link); /* ends every query */
	while ((l = TAILQ_FIRST(&r->lookups)) != NULL) {
		TAILQ_REMOVE(&r->lookups, l, next);
		lookup_free(l);
	}
	while ((l = TAILQ_FIRST(&r->waiting)) != NULL) {
		TAILQ_REMOVE(&r->waiting, l, next);
		lookup_free(l);
	}
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
		resolve_link_rearm(&r->link);
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
	ares_query(q->l->r->link.channel, name, DNS_CLASS_IN,
	    (int)q->question.type, on_reply, q);
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
