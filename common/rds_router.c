#include "common/rds_router.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds_cluster.h"
#include "common/rds_place.h"
#include "common/rds_slots.h"
#include "common/table.h"

#define HOPS_MAX 5
#define ROUTED_MAX 20000
#define PAUSE_FIRST_MS 25
#define PAUSE_MAX_MS 400

/* One server.  Freed when it is no master any more and owes no reply. */
struct member {
	UT_hash_handle hh;
	struct rds_router *router;
	struct rds *rds;
	size_t in_flight;
	bool up;
	struct err why; /* it is not */
	char url[RDS_URL_MAX];
};

/* A command, kept until it is answered: it may have to be said again. */
struct routed {
	UT_hash_handle hh;
	struct rds_router *router;
	uint64_t id, sent; /* sent: its id there */
	rds_fn *fn;
	void *arg;
	struct member *at;   /* NULL: it waits for its timer */
	struct event *timer; /* of a pause */
	struct err why;      /* it waits */
	int64_t deadline, pause_ms;
	int slot, hops;
	size_t argc;
	size_t len[RDS_ARGS_MAX];
	char bytes[];
};

struct rds_router {
	struct event_base *base;
	struct rds_conf conf;
	struct rds_cluster *cluster;
	struct rds_listener listener;
	struct member *members;
	struct routed *routed;
	uint64_t last_id;
	rds_state_fn *state;
	void *arg;
	bool told, told_up;
	struct event *teller;
};

static void on_moved(void *);
static void on_tell(void *);
static void dispatch(struct routed *);
static void on_pause(void *);

struct rds_router *
rds_router_new(struct event_base *base, const struct rds_conf *conf,
    struct rds_cluster *cluster, rds_state_fn *state, void *arg)
{
	struct rds_router *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->conf = *conf;
	r->conf.place = NULL;
	r->conf.cluster = true;
	r->cluster = cluster;
	r->state = state;
	r->arg = arg;
	r->listener = (struct rds_listener){ .moved = on_moved, .arg = r };
	rds_place_join(conf->place, &r->listener);
	on_moved(r);
	/* Who cannot be asked for so long is away. */
	loop_after(base, &r->teller, conf->connect_timeout_ms, on_tell, r);
	return r;
}

static void
member_free(struct member *m)
{
	HASH_DEL(m->router->members, m);
	rds_free(m->rds);
	free(m);
}

static void
routed_free(struct routed *x)
{
	HASH_DEL(x->router->routed, x);
	loop_timer_free(&x->timer);
	free(x);
}

void
rds_router_free(struct rds_router *r)
{
	struct member *m, *next_member;
	struct routed *x, *next;

	rds_place_leave((struct rds_place *)r->cluster, &r->listener);
	HASH_ITER (hh, r->routed, x, next)
		routed_free(x);
	HASH_ITER (hh, r->members, m, next_member)
		member_free(m);
	loop_timer_free(&r->teller);
	free(r);
}

/* --- the members ----------------------------------------------------------- */

/* The first master that is not connected, or NULL; *known: there are any. */
static const char *
missing(const struct rds_router *r, bool *known, struct err *why)
{
	const struct rds_slots *slots = rds_cluster_slots(r->cluster);
	struct member *m;

	*known = slots->n > 0;
	for (size_t i = 0; i < slots->n; i++) {
		HASH_FIND_STR(r->members, slots->url[i], m);
		if (m == NULL || !m->up) {
			if (m != NULL)
				*why = m->why;
			return slots->url[i];
		}
	}
	return NULL;
}

bool
rds_router_up(const struct rds_router *r)
{
	struct err why;
	bool known;

	return missing(r, &known, &why) == NULL && known;
}

/* The last thing a turn does: whoever is told may free us. */
static void
on_tell(void *arg)
{
	struct rds_router *r = arg;
	char url[RDS_URL_MAX] = "";
	struct err why = { 0 };
	bool known, up = missing(r, &known, &why) == NULL && known;

	if (r->state == NULL || (r->told && up == r->told_up))
		return;
	if (!up && !known)
		rds_place_url(
		    (struct rds_place *)r->cluster, RDS_SLOT_ANY, url, &why);
	/* One that is being connected for the first time has no reason yet. */
	if (!up && why.kind == ERR_NONE)
		return;
	r->told = true;
	r->told_up = up;
	r->state(r->arg, up, up ? NULL : &why);
}

static void
tell(struct rds_router *r)
{
	loop_after(r->base, &r->teller, 0, on_tell, r);
}

static void
on_member(void *arg, bool up, const struct err *why)
{
	struct member *m = arg;

	m->up = up;
	if (!up) {
		m->why = *why;
		rds_place_doubt((struct rds_place *)m->router->cluster, m->url);
	}
	tell(m->router);
}

static struct member *
member(struct rds_router *r, const char *url)
{
	struct rds_conf conf = r->conf;
	struct member *m;

	HASH_FIND_STR(r->members, url, m);
	if (m != NULL)
		return m;
	m = xcalloc(1, sizeof(*m));
	m->router = r;
	memcpy(m->url, url, strlen(url) + 1);
	HASH_ADD_STR(r->members, url, m);
	conf.url = m->url;
	m->rds = rds_new(r->base, &conf, on_member, m);
	return m;
}

/* Every master is connected to, also to have the functions. */
static void
on_moved(void *arg)
{
	struct rds_router *r = arg;
	const struct rds_slots *slots = rds_cluster_slots(r->cluster);
	struct member *m, *next_member;
	struct routed *x, *next;

	for (size_t i = 0; i < slots->n; i++)
		member(r, slots->url[i]);
	HASH_ITER (hh, r->members, m, next_member)
		if (m->in_flight == 0 && !rds_slots_has(slots, m->url))
			member_free(m);
	HASH_ITER (hh, r->routed, x, next)
		if (x->at == NULL)
			loop_after(r->base, &x->timer, 0, on_pause, x);
	tell(r);
}

/* --- commands ------------------------------------------------------------ */

static struct routed *
copy(const struct rds_cmd *c)
{
	struct routed *x;
	size_t total = 0;

	for (size_t i = 0; i < c->argc; i++)
		total += c->len[i];
	x = xcalloc(1, sizeof(*x) + total + 1);
	x->argc = c->argc;
	total = 0;
	for (size_t i = 0; i < c->argc; i++) {
		x->len[i] = c->len[i];
		memcpy(x->bytes + total, c->argv[i], c->len[i]);
		total += c->len[i];
	}
	return x;
}

static void
again(const struct routed *x, struct rds_cmd *c)
{
	size_t at = 0;

	c->argc = x->argc;
	for (size_t i = 0; i < x->argc; i++) {
		c->argv[i] = x->bytes + at;
		c->len[i] = x->len[i];
		at += x->len[i];
	}
}

uint64_t
rds_router_send(struct rds_router *r, const struct rds_cmd *c, int timeout_ms,
    rds_fn *fn, void *arg)
{
	struct routed *x = copy(c);

	x->router = r;
	x->id = ++r->last_id;
	x->fn = fn;
	x->arg = arg;
	x->slot = rds_slot_of(c);
	x->deadline =
	    loop_now_ms() +
	    (timeout_ms > 0 ? timeout_ms : r->conf.command_timeout_ms);
	HASH_ADD(hh, r->routed, id, sizeof(x->id), x);
	if (HASH_COUNT(r->routed) > ROUTED_MAX) {
		x->deadline = 0;
		err_set(&x->why, ERR_AGAIN, "too much waits for Redis");
		loop_after(r->base, &x->timer, 0, on_pause, x);
	} else {
		dispatch(x);
	}
	return r->last_id;
}

void
rds_router_cancel(struct rds_router *r, uint64_t id)
{
	struct routed *x;

	HASH_FIND(hh, r->routed, &id, sizeof(id), x);
	if (x == NULL)
		return;
	if (x->at != NULL) {
		rds_cancel(x->at->rds, x->sent);
		x->at->in_flight--;
	}
	routed_free(x);
}

/* The last thing a turn does: whoever is told may free us. */
static void
answer(struct routed *x, const struct rds_reply *reply, const struct err *e)
{
	rds_fn *fn = x->fn;
	void *arg = x->arg;

	routed_free(x);
	fn(arg, reply, e);
}

/* Later, or when something has moved; at its deadline why is the answer. */
static void
put_off(struct routed *x, const struct err *why)
{
	int64_t left = x->deadline - loop_now_ms(), ms = x->pause_ms;

	x->why = *why;
	x->why.kind = ERR_AGAIN;
	ms = ms > 0 ? ms : PAUSE_FIRST_MS;
	x->pause_ms = ms * 2 < PAUSE_MAX_MS ? ms * 2 : PAUSE_MAX_MS;
	if (ms > left)
		ms = left > 0 ? left : 0;
	loop_after(x->router->base, &x->timer, ms, on_pause, x);
}

static void
on_pause(void *arg)
{
	struct routed *x = arg;
	struct err why = x->why;

	if (x->deadline <= loop_now_ms())
		answer(x, NULL, &why);
	else
		dispatch(x);
}

static void on_reply(void *, const struct rds_reply *, const struct err *);

static void
on_asking(void *arg, const struct rds_reply *reply, const struct err *e)
{
	(void)arg, (void)reply, (void)e;
}

static void
send_to(struct routed *x, const char *url, bool asking)
{
	struct member *m = member(x->router, url);
	int64_t left = x->deadline - loop_now_ms();
	struct rds_cmd c;

	/* What has moved may just have woken it. */
	loop_cancel(x->timer);
	x->at = m;
	m->in_flight++;
	if (asking) {
		rds_cmd(&c, "ASKING");
		rds_send(m->rds, &c, 0, on_asking, NULL);
	}
	again(x, &c);
	x->sent = rds_send(m->rds, &c, left > 0 ? (int)left : 1, on_reply, x);
}

static void
dispatch(struct routed *x)
{
	char url[RDS_URL_MAX] = "";
	struct err e;

	if (rds_place_url(
		(struct rds_place *)x->router->cluster, x->slot, url, &e) == -1)
		put_off(x, &e);
	else
		send_to(x, url, false);
}

/* The server that answered is not who has the slot, or has it only half. */
static bool
follow(struct routed *x, const char *asked, const struct err *e)
{
	struct rds_cluster *cluster = x->router->cluster;
	bool asking = strcmp(e->type, "ASK") == 0;
	struct rds_redirect to;

	if (!asking && strcmp(e->type, "MOVED") != 0)
		return false;
	if (x->hops++ >= HOPS_MAX || rds_redirect_parse(&to, e->text, asked,
					 rds_cluster_tls(cluster)) == -1)
		return false;
	log_debug("redis=%s slot=%d %s=%s", asked, to.slot,
	    asking ? "ask" : "moved", to.url);
	if (!asking)
		rds_cluster_set(cluster, to.slot, to.url);
	send_to(x, to.url, asking);
	return true;
}

/* Nothing was done, and soon it may be. */
static bool
passes(const struct err *e)
{
	static const char *const types[] = { "TRYAGAIN", "CLUSTERDOWN",
		"LOADING", "READONLY", "MASTERDOWN" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], e->type) == 0)
			return true;
	return false;
}

static void
on_reply(void *arg, const struct rds_reply *reply, const struct err *e)
{
	struct routed *x = arg;
	struct member *m = x->at;
	char asked[RDS_URL_MAX];

	/* What follows may free the member, and its url. */
	memcpy(asked, m->url, sizeof(asked));
	m->in_flight--;
	x->at = NULL;
	if (e != NULL && follow(x, asked, e))
		return;
	if (e != NULL && passes(e) && x->deadline > loop_now_ms()) {
		rds_place_doubt((struct rds_place *)x->router->cluster, asked);
		put_off(x, e);
		return;
	}
	answer(x, reply, e);
}
