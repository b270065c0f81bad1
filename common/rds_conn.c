#include "common/rds_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/rds_codec.h"
#include "common/rds_hello.h"
#include "common/rds_place.h"
#include "common/rds_slots.h"
#include "common/rds_wire.h"

#define CONN_MAGIC 0x5d5c0111u
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS 2000
#define STEADY_MS 2000 /* up for so long: the next pause is the first again */

/* hiredis moves the rest of its buffer once per kilobyte: keep that short. */
#define FEED_MAX 8192

struct rds_conn {
	unsigned magic;
	int holds;
	bool freed;
	struct event_base *base;
	struct rds_conf conf; /* with a place its url is url */
	char url[RDS_URL_MAX];
	struct rds_listener listener;
	int slot;     /* to be at who has it */
	bool seeking; /* the attempt waits to be told where */
	const struct rds_conn_user *user;
	void *arg;
	enum rds_conn_state state;
	struct rds_wire *wire;
	struct rds_reader *reader;
	struct rds_hello hello;
	struct event *timer; /* the attempt's deadline, or the pause's end */
	struct event *dropper;
	struct err why; /* we drop it */
	bool dropping;
	int64_t pause_ms, up_at, heard_at;
	rds_state_fn *tell;
	void *tell_arg;
	bool told_up;
	char told[sizeof(((struct err *)NULL)->text)];
};

static void on_opened(void *arg);
static bool on_bytes(void *arg, const char *bytes, size_t len);
static void on_broke(void *arg, const struct err *why);
static void on_attempt(void *arg);
static void on_moved(void *arg);

static const struct rds_wire_user wire_user = {
	.opened = on_opened,
	.bytes = on_bytes,
	.broke = on_broke,
};

struct rds_conn *
rds_conn_new(struct event_base *base, const struct rds_conf *conf,
    const struct rds_conn_user *user, void *arg, rds_state_fn *state,
    void *state_arg)
{
	struct rds_conn *c = xcalloc(1, sizeof(*c));

	c->magic = CONN_MAGIC;
	c->base = base;
	c->conf = *conf;
	c->user = user;
	c->arg = arg;
	c->tell = state;
	c->tell_arg = state_arg;
	c->state = RDS_CONN_CONNECTING;
	if (conf->place != NULL) {
		c->conf.url = c->url;
		c->slot = conf->key != NULL
		              ? rds_slot(conf->key, strlen(conf->key))
		              : RDS_SLOT_ANY;
		c->listener = (struct rds_listener){ .moved = on_moved };
		c->listener.arg = c;
		rds_place_join(conf->place, &c->listener);
	}
	c->wire = rds_wire_new(base, &c->conf, &wire_user, c);
	loop_after(base, &c->timer, 0, on_attempt, c);
	return c;
}

/* --- life ---------------------------------------------------------------- */

static void
release(struct rds_conn *c)
{
	const struct rds_conn_user *user = c->user;
	void *arg = c->arg;

	rds_wire_free(c->wire);
	rds_reader_free(c->reader);
	c->magic = 0;
	free(c);
	user->release(arg);
}

void
rds_conn_hold(struct rds_conn *c)
{
	c->holds++;
}

void
rds_conn_unhold(struct rds_conn *c)
{
	if (--c->holds == 0 && c->freed)
		release(c);
}

void
rds_conn_free(struct rds_conn *c)
{
	assert(c->magic == CONN_MAGIC && !c->freed);
	c->freed = true;
	if (c->conf.place != NULL)
		rds_place_leave(c->conf.place, &c->listener);
	c->state = RDS_CONN_PAUSED;
	rds_wire_close(c->wire);
	loop_timer_free(&c->timer);
	loop_timer_free(&c->dropper);
	if (c->holds == 0)
		release(c);
}

bool
rds_conn_freed(const struct rds_conn *c)
{
	return c->freed;
}

/* --- attempts ------------------------------------------------------------ */

/* Where Redis is now; -1 and why while nobody can tell. */
static int
find(const struct rds_conn *c, char url[RDS_URL_MAX], struct err *e)
{
	return rds_place_url(c->conf.place, c->slot, url, e);
}

static void
on_late(void *arg)
{
	struct rds_conn *c = arg;
	char url[RDS_URL_MAX] = "";
	struct err e;

	if (!c->seeking || find(c, url, &e) == 0)
		err_set(&e, ERR_AGAIN,
		    "no connection to Redis at %s within %d ms", c->conf.url,
		    c->conf.connect_timeout_ms);
	on_broke(c, &e);
}

static void
on_attempt(void *arg)
{
	struct rds_conn *c = arg;
	struct err e;

	assert(c->magic == CONN_MAGIC);
	c->state = RDS_CONN_CONNECTING;
	c->url[0] = '\0';
	c->seeking = c->conf.place != NULL && find(c, c->url, &e) == -1;
	if (!c->seeking && rds_wire_open(c->wire, &e) == -1) {
		on_broke(c, &e);
		return;
	}
	/* One deadline for the connection, TLS and what is said first. */
	loop_after(c->base, &c->timer, c->conf.connect_timeout_ms, on_late, c);
}

/* Not at the old place any more, and at once at the new one. */
static void
on_moved(void *arg)
{
	struct rds_conn *c = arg;
	char url[RDS_URL_MAX];
	struct err e;

	assert(c->magic == CONN_MAGIC);
	memcpy(url, c->url, sizeof(url));
	if (find(c, url, &e) == -1)
		return;
	if (c->seeking || c->state == RDS_CONN_PAUSED) {
		c->pause_ms = 0;
		c->state = RDS_CONN_CONNECTING;
		loop_after(c->base, &c->timer, 0, on_attempt, c);
	} else if (strcmp(url, c->url) != 0) {
		c->pause_ms = 0;
		err_set(&e, ERR_AGAIN, "Redis has moved to %s", url);
		rds_conn_drop(c, &e);
	}
}

/* After a failure: full jitter around a pause that doubles. */
static void
pause_then_try(struct rds_conn *c)
{
	int64_t ms = c->pause_ms > 0 ? c->pause_ms : PAUSE_FIRST_MS;

	c->state = RDS_CONN_PAUSED;
	c->pause_ms = ms * 2 < PAUSE_MAX_MS ? ms * 2 : PAUSE_MAX_MS;
	ms = ms / 2 + loop_random((uint32_t)(ms / 2) + 1);
	loop_after(c->base, &c->timer, ms, on_attempt, c);
}

static void
on_broke(void *arg, const struct err *why)
{
	struct rds_conn *c = arg;
	struct err e = *why; /* it may be c's own */

	assert(c->magic == CONN_MAGIC);
	rds_wire_close(c->wire);
	loop_cancel(c->dropper);
	c->dropping = false;
	if (c->conf.place != NULL && !c->seeking)
		rds_place_doubt(c->conf.place, c->url);
	c->seeking = false;
	if (c->state == RDS_CONN_UP && loop_now_ms() - c->up_at > STEADY_MS)
		c->pause_ms = 0;
	pause_then_try(c);
	rds_conn_hold(c);
	c->user->down(c->arg, &e);
	rds_conn_unhold(c);
}

static void
on_drop(void *arg)
{
	struct rds_conn *c = arg;

	on_broke(c, &c->why);
}

void
rds_conn_drop(struct rds_conn *c, const struct err *why)
{
	if (c->dropping || c->freed || c->state == RDS_CONN_PAUSED)
		return;
	c->dropping = true;
	c->why = *why;
	loop_after(c->base, &c->dropper, 0, on_drop, c);
}

void
rds_conn_tell(struct rds_conn *c, bool up, const struct err *why)
{
	const char *text = why != NULL ? why->text : "";

	if (c->freed || c->tell == NULL)
		return;
	if (up == c->told_up && strcmp(text, c->told) == 0)
		return;
	c->told_up = up;
	memcpy(c->told, text, strlen(text) + 1);
	c->tell(c->tell_arg, up, why);
}

/* --- bytes --------------------------------------------------------------- */

enum rds_conn_state
rds_conn_state(const struct rds_conn *c)
{
	return c->state;
}

int64_t
rds_conn_heard_at(const struct rds_conn *c)
{
	return c->heard_at;
}

struct buf *
rds_conn_out(struct rds_conn *c)
{
	return rds_wire_out(c->wire);
}

void
rds_conn_kick(struct rds_conn *c)
{
	rds_wire_kick(c->wire);
}

int
rds_conn_send(struct rds_conn *c, const struct rds_cmd *cmd)
{
	if (rds_encode(rds_wire_out(c->wire), cmd) == -1)
		return -1;
	rds_wire_kick(c->wire);
	return 0;
}

static void
ask(struct rds_conn *c)
{
	struct rds_cmd cmd;

	rds_hello_ask(&c->hello, &cmd);
	rds_conn_send(c, &cmd); /* into an empty output */
}

static void
on_opened(void *arg)
{
	struct rds_conn *c = arg;

	assert(c->magic == CONN_MAGIC);
	rds_reader_free(c->reader);
	c->reader = rds_reader_new();
	rds_hello_init(&c->hello, &c->conf);
	ask(c);
}

/* A reply to what was said first. */
static void
greeted(struct rds_conn *c, const struct rds_reply *reply)
{
	struct err e;

	rds_wire_wipe(c->wire); /* the password */
	if (rds_hello_got(&c->hello, reply, &e) == -1) {
		rds_conn_drop(c, &e);
		return;
	}
	if (c->hello.step != RDS_HELLO_DONE) {
		ask(c);
		return;
	}
	loop_cancel(c->timer);
	c->state = RDS_CONN_UP;
	c->up_at = c->heard_at;
	c->user->up(c->arg);
}

static void
feed(struct rds_conn *c, const char *bytes, size_t len)
{
	const struct rds_reply *reply;
	struct err e;
	int rc;

	if (rds_reader_feed(c->reader, bytes, len, &e) == -1) {
		rds_conn_drop(c, &e);
		return;
	}
	while ((rc = rds_reader_next(c->reader, &reply, &e)) == 1) {
		if (c->state == RDS_CONN_UP)
			c->user->reply(c->arg, reply);
		else
			greeted(c, reply);
		if (c->freed || c->dropping)
			return;
	}
	if (rc == -1)
		rds_conn_drop(c, &e);
}

static bool
on_bytes(void *arg, const char *bytes, size_t len)
{
	struct rds_conn *c = arg;
	bool alive;

	assert(c->magic == CONN_MAGIC);
	/* What comes after we gave up the connection is not listened to. */
	if (c->dropping)
		return false;
	rds_conn_hold(c);
	c->heard_at = loop_now_ms();
	while (len > 0 && !c->freed && !c->dropping) {
		size_t n = len < FEED_MAX ? len : FEED_MAX;

		feed(c, bytes, n);
		bytes += n;
		len -= n;
	}
	alive = !c->freed && !c->dropping;
	rds_conn_unhold(c);
	return alive;
}
