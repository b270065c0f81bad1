/*
 * What HAProxy really shows: one name after the other, for ever, and any name
 * that somebody asks for.
 *
 * A certificate is proven when it comes.  What may change it afterwards is not
 * our doing: another line of the crt-list, another program at the runtime API,
 * an old process that still listens.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "haproxy/files.h"
#include "haproxy/handshake.h"
#include "sync/hold_impl.h"

#define ASKED_MAX 16 /* at the same time */
#define AGAIN_MS 1000

/* Somebody wants to know. */
struct asked {
	LIST_ENTRY(asked) link;
	struct hold *hold;
	struct handshake *handshake;
	struct event *now; /* where there is nothing to shake hands with */
	hold_shown_fn *fn;
	void *arg;
	char name[DOMAIN_NAME_MAX];
};

struct patrol {
	struct hold *hold;
	struct held *next; /* NULL: begin anew */
	struct held *at;   /* whose handshake is on its way */
	struct handshake *handshake;
	struct event *turn;
	bool over;
	LIST_HEAD(, asked) asked;
	size_t nasked;
};

static void turn(void *);

static void
again(struct patrol *p)
{
	int pause = p->hold->conf->haproxy.patrol_ms;

	if (!p->over && pause > 0 &&
	    p->hold->conf->haproxy.https_address[0] != '\0')
		loop_after(p->hold->base, &p->turn, pause, turn, p);
}

struct patrol *
patrol_new(struct hold *h)
{
	struct patrol *p = xcalloc(1, sizeof(*p));

	p->hold = h;
	LIST_INIT(&p->asked);
	again(p);
	return p;
}

static void
asked_free(struct patrol *p, struct asked *a)
{
	LIST_REMOVE(a, link);
	p->nasked--;
	if (a->handshake != NULL)
		handshake_cancel(a->handshake);
	loop_timer_free(&a->now);
	free(a);
}

void
patrol_free(struct patrol *p)
{
	while (!LIST_EMPTY(&p->asked))
		asked_free(p, LIST_FIRST(&p->asked));
	if (p->handshake != NULL)
		handshake_cancel(p->handshake);
	loop_timer_free(&p->turn);
	free(p);
}

void
patrol_gone(struct patrol *p, const struct held *x)
{
	if (p->next == x)
		p->next = x->hh.next;
	if (p->at != x)
		return;
	handshake_cancel(p->handshake);
	p->handshake = NULL;
	p->at = NULL;
	again(p);
}

/*
 * One that shows another is looked at again, as one that is new: HAProxy may be
 * between two processes.  No answer at all says nothing about certificates.
 */
static void
on_patrol(void *arg, const char *sha1, const struct err *e)
{
	struct patrol *p = arg;
	struct held *x = p->at;

	(void)e;
	p->handshake = NULL;
	p->at = NULL;
	if (sha1 != NULL && x->state == HELD_SERVED) {
		if (strcmp(sha1, x->sha1) == 0)
			x->shown = true;
		else
			held_prove_again(x, AGAIN_MS);
	}
	again(p);
}

static struct handshake *
shake(struct hold *h, const char *name, handshake_fn *fn, void *arg)
{
	char sni[HELD_SNI_MAX];

	held_sni(name, sni);
	return (files_is_second(name) ? handshake_start_rsa : handshake_start)(
	    h->base, h->conf->haproxy.https_address, sni,
	    h->conf->haproxy.command_timeout_ms, fn, arg);
}

static void
turn(void *arg)
{
	struct patrol *p = arg;
	struct held *x = p->next != NULL ? p->next : p->hold->names;

	if (x != NULL)
		p->next = x->hh.next;
	if (x == NULL || x->state != HELD_SERVED) {
		again(p);
		return;
	}
	p->at = x;
	p->handshake = shake(p->hold, x->name, on_patrol, p);
}

/* --- who asks ------------------------------------------------------------------- */

static void
tell(struct asked *a, const char *sha1, const char *error)
{
	struct patrol *p = a->hold->patrol;
	const struct held *x = held_find(a->hold, a->name);
	struct hold_shown s = { .name = a->name,
		.wanted = x != NULL ? x->sha1 : "",
		.shown = sha1 != NULL ? sha1 : "",
		.error = error };

	if (x != NULL) {
		s.version = x->version;
		s.trial = x->trial != NULL;
		if (sha1 != NULL && strcmp(sha1, x->sha1) == 0)
			s.since = x->served_at;
		if (s.error[0] == '\0' && x->error != NULL)
			s.error = x->error;
	}
	a->fn(a->arg, &s);
	asked_free(p, a);
}

/* A handshake that is cut by the end of the loop is never cleaned up. */
void
hold_leave(struct hold *h)
{
	h->patrol->over = true;
	loop_cancel(h->patrol->turn);
}

static void
on_asked(void *arg, const char *sha1, const struct err *e)
{
	struct asked *a = arg;

	a->handshake = NULL;
	tell(a, sha1, sha1 == NULL ? e->text : "");
}

static void
no_address(void *arg)
{
	tell(arg, NULL,
	    "haproxy.https_address is not set: there is nothing to ask");
}

int
hold_show(struct hold *h, const char *name, hold_shown_fn *fn, void *arg)
{
	struct patrol *p = h->patrol;
	struct asked *a;

	if (p->nasked == ASKED_MAX || strlen(name) >= sizeof(a->name))
		return -1;
	a = xcalloc(1, sizeof(*a));
	a->hold = h;
	a->fn = fn;
	a->arg = arg;
	memcpy(a->name, name, strlen(name) + 1);
	LIST_INSERT_HEAD(&p->asked, a, link);
	p->nasked++;
	if (h->conf->haproxy.https_address[0] == '\0')
		loop_after(h->base, &a->now, 0, no_address, a);
	else
		a->handshake = shake(h, name, on_asked, a);
	return 0;
}
