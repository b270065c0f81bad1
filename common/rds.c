#include "common/rds.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds_cluster.h"
#include "common/rds_codec.h"
#include "common/rds_conn.h"
#include "common/rds_router.h"
#include "common/rds_wire.h"

#define PENDING_FIRST 64 /* a power of two */
#define PENDING_MAX 20000
#define REFUSED_ID ((uint64_t)1 << 63)

/* A command whose reply is to come.  fn NULL: nobody waits for it any more. */
struct pending {
	rds_fn *fn;
	void *arg;
	int64_t deadline;
	size_t len; /* bytes, while it waits for the connection */
	bool sent;
};

/* A command that could not be taken: fn hears of it in the next turn. */
struct refused {
	TAILQ_ENTRY(refused) link;
	uint64_t id;
	rds_fn *fn;
	void *arg;
	const char *why;
};

/*
 * Redis answers in the order it was asked: the commands are a ring, and a
 * command's id is its place in it.  There is one timer for all deadlines; due
 * is never later than the first of them.
 */
struct rds {
	struct rds_router *router; /* of a Cluster: nothing else is in use */
	struct event_base *base;
	struct rds_conn *conn;
	int command_timeout_ms;
	struct pending *ring;
	size_t room; /* a power of two */
	uint64_t head, tail;
	struct buf waiting; /* commands for when the connection is up */
	struct event *timer;
	int64_t due;
	TAILQ_HEAD(, refused) refused;
	uint64_t last_refused;
	struct event *refuser;
};

static void on_up(void *arg);
static void on_down(void *arg, const struct err *why);
static void on_reply(void *arg, const struct rds_reply *);
static void on_release(void *arg);
static void on_due(void *arg);
static void on_refused(void *arg);
static uint64_t send_here(
    struct rds *, const struct rds_cmd *, int timeout_ms, rds_fn *, void *arg);

static const struct rds_conn_user conn_user = {
	.up = on_up,
	.down = on_down,
	.reply = on_reply,
	.release = on_release,
};

struct rds *
rds_new(struct event_base *base, const struct rds_conf *conf,
    rds_state_fn *state, void *arg)
{
	struct rds *r = xcalloc(1, sizeof(*r));
	struct rds_cluster *cluster = rds_cluster_of(conf->place);

	if (cluster != NULL) {
		r->router = rds_router_new(base, conf, cluster, state, arg);
		return r;
	}
	r->base = base;
	r->command_timeout_ms = conf->command_timeout_ms;
	r->room = PENDING_FIRST;
	r->ring = xcalloc(r->room, sizeof(*r->ring));
	r->head = r->tail = 1; /* 0 is never an id */
	r->due = INT64_MAX;
	buf_init(&r->waiting, RDS_OUT_MAX);
	TAILQ_INIT(&r->refused);
	r->conn = rds_conn_new(base, conf, &conn_user, r, state, arg);
	return r;
}

void
rds_free(struct rds *r)
{
	struct refused *f;

	if (r == NULL)
		return;
	if (r->router != NULL) {
		rds_router_free(r->router);
		free(r);
		return;
	}
	loop_timer_free(&r->timer);
	loop_timer_free(&r->refuser);
	while ((f = TAILQ_FIRST(&r->refused)) != NULL) {
		TAILQ_REMOVE(&r->refused, f, link);
		free(f);
	}
	r->head = r->tail;
	buf_wipe(&r->waiting);
	rds_conn_free(r->conn);
}

static void
on_release(void *arg)
{
	struct rds *r = arg;

	free(r->ring);
	free(r);
}

bool
rds_up(const struct rds *r)
{
	if (r->router != NULL)
		return rds_router_up(r->router);
	return rds_conn_state(r->conn) == RDS_CONN_UP;
}

/* --- sending ------------------------------------------------------------- */

static struct pending *
at(const struct rds *r, uint64_t id)
{
	return &r->ring[id & (r->room - 1)];
}

static void
grow(struct rds *r)
{
	struct pending *old = r->ring;
	size_t room = r->room;

	r->ring = xcalloc(2 * room, sizeof(*r->ring));
	r->room = 2 * room;
	for (uint64_t id = r->head; id != r->tail; id++)
		*at(r, id) = old[id & (room - 1)];
	free(old);
}

static uint64_t
refuse(struct rds *r, const char *why, rds_fn *fn, void *arg)
{
	struct refused *f = xcalloc(1, sizeof(*f));

	*f = (struct refused){ .fn = fn, .arg = arg, .why = why };
	f->id = REFUSED_ID | ++r->last_refused;
	TAILQ_INSERT_TAIL(&r->refused, f, link);
	if (TAILQ_FIRST(&r->refused) == f)
		loop_after(r->base, &r->refuser, 0, on_refused, r);
	return f->id;
}

/* Only those that were there: callbacks may be refused again. */
static void
on_refused(void *arg)
{
	struct rds *r = arg;
	uint64_t last = REFUSED_ID | r->last_refused;
	struct refused *f;
	struct err e;

	rds_conn_hold(r->conn);
	while ((f = TAILQ_FIRST(&r->refused)) != NULL && f->id <= last) {
		TAILQ_REMOVE(&r->refused, f, link);
		err_set(&e, ERR_AGAIN, "%s", f->why);
		f->fn(f->arg, NULL, &e);
		free(f);
	}
	if (TAILQ_FIRST(&r->refused) != NULL)
		loop_after(r->base, &r->refuser, 0, on_refused, r);
	rds_conn_unhold(r->conn);
}

static void
wake_at(struct rds *r, int64_t due, int64_t now)
{
	if (due >= r->due)
		return;
	r->due = due;
	loop_after(r->base, &r->timer, due - now, on_due, r);
}

uint64_t
rds_send(struct rds *r, const struct rds_cmd *c, int timeout_ms, rds_fn *fn,
    void *arg)
{
	assert(fn != NULL);
	if (r->router != NULL)
		return rds_router_send(r->router, c, timeout_ms, fn, arg);
	return send_here(r, c, timeout_ms, fn, arg);
}

static uint64_t
send_here(struct rds *r, const struct rds_cmd *c, int timeout_ms, rds_fn *fn,
    void *arg)
{
	enum rds_conn_state state = rds_conn_state(r->conn);
	bool up = state == RDS_CONN_UP;
	struct buf *out = up ? rds_conn_out(r->conn) : &r->waiting;
	int64_t now = loop_now_ms();
	size_t len = out->len;
	struct pending *p;

	if (timeout_ms <= 0)
		timeout_ms = r->command_timeout_ms;
	if (state == RDS_CONN_PAUSED)
		return refuse(r, "no connection to Redis", fn, arg);
	if (r->tail - r->head >= PENDING_MAX || rds_encode(out, c) == -1)
		return refuse(r, "too much waits for Redis", fn, arg);
	if (r->tail - r->head == r->room)
		grow(r);
	p = at(r, r->tail);
	*p = (struct pending){ .fn = fn, .arg = arg, .sent = up };
	p->deadline = now + timeout_ms;
	p->len = out->len - len;
	wake_at(r, p->deadline, now);
	if (up)
		rds_conn_kick(r->conn);
	return r->tail++;
}

void
rds_cancel(struct rds *r, uint64_t id)
{
	struct refused *f;

	if (r->router != NULL) {
		rds_router_cancel(r->router, id);
		return;
	}
	if (id - r->head < r->tail - r->head) {
		at(r, id)->fn = NULL;
		return;
	}
	if ((id & REFUSED_ID) == 0)
		return;
	TAILQ_FOREACH (f, &r->refused, link) {
		if (f->id == id) {
			TAILQ_REMOVE(&r->refused, f, link);
			free(f);
			return;
		}
	}
}

/* --- the connection ------------------------------------------------------ */

/* What waited goes out, but for what nobody waits for any more. */
static void
on_up(void *arg)
{
	struct rds *r = arg;
	struct buf *out = rds_conn_out(r->conn);
	const char *next = r->waiting.p;

	for (uint64_t id = r->head; id != r->tail; id++) {
		struct pending *p = at(r, id);

		if (p->fn != NULL && buf_put(out, next, p->len) == 0)
			p->sent = true;
		next += p->len;
	}
	buf_wipe(&r->waiting);
	rds_conn_kick(r->conn);
	rds_conn_tell(r->conn, true, NULL);
}

static void
on_down(void *arg, const struct err *why)
{
	struct rds *r = arg;
	struct err e = *why;
	struct pending p;

	e.kind = ERR_AGAIN;
	e.type[0] = '\0';
	buf_wipe(&r->waiting);
	while (r->head != r->tail) {
		p = *at(r, r->head++);
		if (p.fn != NULL)
			p.fn(p.arg, NULL, &e);
	}
	rds_conn_tell(r->conn, false, why);
}

/* Given up before there was a connection: no reply will come. */
static void
pass_unsent(struct rds *r)
{
	while (r->head != r->tail && !at(r, r->head)->sent)
		r->head++;
}

static void
on_reply(void *arg, const struct rds_reply *reply)
{
	struct rds *r = arg;
	struct pending p;
	struct err e;

	pass_unsent(r);
	if (r->head == r->tail) {
		err_set(&e, ERR_BUG, "Redis sent a reply to no command");
		rds_conn_drop(r->conn, &e);
		return;
	}
	p = *at(r, r->head++);
	if (reply->type != RDS_ERROR) {
		if (p.fn != NULL)
			p.fn(p.arg, reply, NULL);
		return;
	}
	rds_reply_err(reply, &e);
	/*
	 * The master has become a replica, or has lost our functions: a new
	 * connection finds another, or loads them.
	 */
	if (strcmp(e.type, "READONLY") == 0 ||
	    strstr(e.text, "Function not found") != NULL)
		rds_conn_drop(r->conn, &e);
	if (p.fn != NULL)
		p.fn(p.arg, NULL, &e);
}

/* --- deadlines ----------------------------------------------------------- */

/* May move the ring and free the client. */
static void
expire(struct pending *p)
{
	rds_fn *fn = p->fn;
	struct err e;

	p->fn = NULL;
	err_set(&e, ERR_AGAIN, "Redis did not answer in time");
	fn(p->arg, NULL, &e);
}

/*
 * A server that owes an answer and has said nothing for twice the time that
 * commands are given hangs.  Returns when to look again.
 */
static int64_t
check_silence(struct rds *r, int64_t now)
{
	int64_t since = rds_conn_heard_at(r->conn);
	struct err e;

	if (!rds_up(r))
		return INT64_MAX;
	pass_unsent(r);
	if (r->head == r->tail)
		return INT64_MAX;
	if (at(r, r->head)->deadline > since)
		since = at(r, r->head)->deadline;
	since += 2 * (int64_t)r->command_timeout_ms;
	if (since > now)
		return since;
	err_set(&e, ERR_AGAIN, "Redis has stopped answering");
	rds_conn_drop(r->conn, &e);
	return INT64_MAX;
}

static void
on_due(void *arg)
{
	struct rds *r = arg;
	int64_t now = loop_now_ms(), next = INT64_MAX, silence;

	rds_conn_hold(r->conn);
	r->due = INT64_MAX;
	for (uint64_t id = r->head; id != r->tail && !rds_conn_freed(r->conn);
	     id++) {
		struct pending *p = at(r, id);

		if (p->fn == NULL)
			continue;
		if (p->deadline <= now)
			expire(p);
		else if (p->deadline < next)
			next = p->deadline;
	}
	if (!rds_conn_freed(r->conn)) {
		silence = check_silence(r, now);
		next = silence < next ? silence : next;
		if (next != INT64_MAX)
			wake_at(r, next, now);
	}
	rds_conn_unhold(r->conn);
}
