#include "agent/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "agent/lookup.h"
#include "agent/session.h"
#include "common/buf.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"

#define READ_MAX 65536       /* one wake-up: so that all get their turn */
#define HELLO_MS 5000        /* a new connection says HELLO by then */
#define IDLE_MS (300 * 1000) /* HAProxy's own "timeout idle" is far less */
#define LINGER_MS 1000       /* our last word is read by then */
#define LOG_EVERY_MS 1000    /* what peers can cause is logged this often */
#define WAITING_RESUME (SESSION_WAITING_MAX / 2)

/* Each phase has its own patience, so each list is in order of deadlines. */
enum phase {
	PHASE_HELLO = 0, /* accepted */
	PHASE_OPEN,      /* since its last activity */
	PHASE_LINGER,    /* we have said our last word */
	/* must stay last */
	PHASES
};
static const int64_t patience_ms[PHASES] = { HELLO_MS, IDLE_MS, LINGER_MS };

struct conn {
	TAILQ_ENTRY(conn) next;  /* of its phase */
	TAILQ_ENTRY(conn) other; /* of all->answers, when has_answers */
	struct conns *all;
	struct event *readable; /* pending: is_reading */
	struct event *writable; /* pending: is_blocked; NULL until then */
	struct session session;
	struct lookup_asker asker;
	struct buf in;  /* what session_take() left */
	struct buf out; /* what is not sent yet */
	int64_t active_at;
	int fd;
	enum phase phase;
	bool is_reading, is_blocked, has_answers;
	bool is_full; /* too many wait: frames may be left in in */
};
TAILQ_HEAD(conn_list, conn);

struct conns {
	struct event_base *base;
	struct lookup *lookup;
	uint32_t frame_max;
	unsigned int n, max;
	unsigned int refused; /* since the log was told */
	int64_t logged_at;
	struct conn_list list[PHASES];
	struct event *sweep; /* set to the first deadline */
	struct conn_list answers;
	struct event *flush; /* active when answers is not empty */
	/* Shared by all, each used only within one wake-up. */
	int64_t now;
	size_t in_size;
	uint8_t *in;
	uint8_t *out; /* SESSION_OUT_MAX(in_size) bytes */
};

static void on_readable(evutil_socket_t, short, void *);
static void on_writable(evutil_socket_t, short, void *);
static void on_flush(evutil_socket_t, short, void *);
static void on_sweep(void *);
static void work(struct conn *, size_t len);
static void find_answer(
    void *, const struct session_notify *, struct spop_str, struct answer *);
static void on_answer(struct lookup_asker *, const struct session_notify *,
    const struct answer *);

struct conns *
conns_new(
    struct event_base *base, const struct conf *conf, struct lookup *lookup)
{
	struct conns *all = xcalloc(1, sizeof(*all));

	all->base = base;
	all->lookup = lookup;
	all->frame_max = (uint32_t)conf->agent.max_frame_size;
	all->max = (unsigned int)conf->agent.max_connections;
	all->logged_at = INT64_MIN / 2;
	for (int i = 0; i < PHASES; i++)
		TAILQ_INIT(&all->list[i]);
	TAILQ_INIT(&all->answers);
	all->flush = event_new(base, -1, 0, on_flush, all);
	if (all->flush == NULL)
		abort();
	all->in_size = READ_MAX + SPOP_LENGTH + all->frame_max;
	all->in = xmalloc(all->in_size);
	all->out = xmalloc(SESSION_OUT_MAX(all->in_size));
	return all;
}

static void
drop(struct conn *c)
{
	struct conns *all = c->all;

	lookup_forget(all->lookup, &c->asker);
	if (c->has_answers)
		TAILQ_REMOVE(&all->answers, c, other);
	TAILQ_REMOVE(&all->list[c->phase], c, next);
	all->n--;
	event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	buf_clear(&c->in);
	buf_clear(&c->out);
	close(c->fd);
	free(c);
}

void
conns_free(struct conns *all)
{
	if (all == NULL)
		return;
	for (int i = 0; i < PHASES; i++)
		while (!TAILQ_EMPTY(&all->list[i]))
			drop(TAILQ_FIRST(&all->list[i]));
	loop_timer_free(&all->sweep);
	event_free(all->flush);
	free(all->in);
	free(all->out);
	free(all);
}

unsigned int
conns_count(const struct conns *all)
{
	return all->n;
}

/* True at most once a second: peers cannot fill the log. */
static bool
may_log(struct conns *all)
{
	int64_t now = loop_now_ms();

	if (now - all->logged_at < LOG_EVERY_MS)
		return false;
	all->logged_at = now;
	return true;
}

/* Set the timer to the first deadline there is. */
static void
set_sweep(struct conns *all, int64_t now)
{
	int64_t at, first = INT64_MAX;
	struct conn *c;

	for (int i = 0; i < PHASES; i++) {
		c = TAILQ_FIRST(&all->list[i]);
		at = c != NULL ? c->active_at + patience_ms[i] : INT64_MAX;
		if (at < first)
			first = at;
	}
	if (first < INT64_MAX)
		loop_after(all->base, &all->sweep, first - now, on_sweep, all);
}

static void
on_sweep(void *arg)
{
	struct conns *all = arg;
	int64_t now = loop_now_ms();
	struct conn *c;

	for (int i = 0; i < PHASES; i++)
		while ((c = TAILQ_FIRST(&all->list[i])) != NULL &&
		       now >= c->active_at + patience_ms[i]) {
			log_debug("fd=%d waited=%lld ms, closed", c->fd,
			    (long long)patience_ms[i]);
			drop(c);
		}
	set_sweep(all, now);
}

/*
 * Begin to wait.  The timer is set only when nobody waited in that phase: the
 * deadlines behind the first one are later.
 */
static void
begin_phase(struct conn *c, enum phase phase)
{
	struct conns *all = c->all;
	bool is_first = TAILQ_EMPTY(&all->list[phase]);

	c->phase = phase;
	c->active_at = all->now;
	TAILQ_INSERT_TAIL(&all->list[phase], c, next);
	if (is_first)
		set_sweep(all, all->now);
}

/* Something happened: the deadline is put off. */
static void
enter(struct conn *c, enum phase phase)
{
	struct conn_list *list = &c->all->list[phase];
	bool is_there = c->phase == phase;

	TAILQ_REMOVE(&c->all->list[c->phase], c, next);
	if (!is_there) {
		begin_phase(c, phase);
		return;
	}
	/* The timer finds out when it comes. */
	c->active_at = c->all->now;
	TAILQ_INSERT_TAIL(list, c, next);
}

void
conns_add(struct conns *all, int fd)
{
	struct conn *c;

	if (all->n >= all->max) {
		close(fd);
		all->refused++;
		if (may_log(all)) {
			log_warn("connections=%u refused=%u agent.max_"
				 "connections is reached",
			    all->n, all->refused);
			all->refused = 0;
		}
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->all = all;
	c->fd = fd;
	c->asker.answered = on_answer;
	session_init(&c->session, all->frame_max, find_answer, c);
	buf_init(&c->in, all->in_size);
	/* What one read and all that waits can make. */
	buf_init(&c->out, SESSION_OUT_MAX(all->in_size) +
			      (SESSION_WAITING_MAX + 1) * SESSION_FRAME_MAX);
	c->readable =
	    event_new(all->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	if (c->readable == NULL)
		abort();
	event_add(c->readable, NULL);
	c->is_reading = true;
	all->n++;
	all->now = loop_now_ms();
	begin_phase(c, PHASE_HELLO);
}

/* Read only when there is nothing to send and not too much is awaited. */
static void
set_events(struct conn *c)
{
	bool read =
	    !c->is_blocked && (!c->is_full || c->session.state == SESSION_OVER);

	if (read == c->is_reading)
		return;
	c->is_reading = read;
	if (read)
		event_add(c->readable, NULL);
	else
		event_del(c->readable);
}

/*
 * Send bytes behind what is not sent yet, in one call.  Return -1 when the
 * connection is gone.
 */
static int
send_out(struct conn *c, const uint8_t *bytes, size_t len)
{
	const void *p = bytes;
	size_t sent = 0;
	ssize_t n;

	if (c->out.len > 0) {
		if (buf_put(&c->out, bytes, len) == -1)
			return -1;
		p = c->out.p;
		len = c->out.len;
	}
	if (len > 0 && !c->is_blocked) {
		n = send(c->fd, p, len, MSG_NOSIGNAL);
		if (n == -1 && errno != EAGAIN && errno != EINTR)
			return -1;
		sent = n > 0 ? (size_t)n : 0;
	}
	if (sent == len) {
		if (c->out.room > 0)
			buf_clear(&c->out);
	} else if (c->out.len > 0) {
		buf_drop(&c->out, sent);
	} else if (buf_put(&c->out, bytes + sent, len - sent) == -1) {
		return -1;
	}
	if (c->out.len > 0 && !c->is_blocked) {
		if (c->writable == NULL)
			c->writable = event_new(
			    c->all->base, c->fd, EV_WRITE, on_writable, c);
		if (c->writable == NULL)
			abort();
		event_add(c->writable, NULL);
		c->is_blocked = true;
	}
	return 0;
}

/*
 * After our last word the peer closes.  Closing first would throw away what it
 * has not read, when bytes of its own are still on their way.
 */
static void
say_goodbye(struct conn *c)
{
	if (c->phase != PHASE_LINGER) {
		if (c->session.status != SPOP_NORMAL && may_log(c->all))
			log_warn(
			    "fd=%d status=%d reason=\"%s\" sent DISCONNECT",
			    c->fd, (int)c->session.status, c->session.reason);
		lookup_forget(c->all->lookup, &c->asker);
		enter(c, PHASE_LINGER);
	}
	if (!c->is_blocked)
		shutdown(c->fd, SHUT_WR);
}

/* Let the session have the first len bytes of the shared buffer. */
static void
work(struct conn *c, size_t len)
{
	struct conns *all = c->all;
	struct spop_out out = { all->out,
		all->out + SESSION_OUT_MAX(all->in_size) };
	size_t used;

	all->now = loop_now_ms();
	used = session_take(&c->session, all->in, len, &out);
	c->is_full = c->session.nwaiting >= SESSION_WAITING_MAX;
	if (c->in.room > 0)
		buf_clear(&c->in);
	if (buf_put(&c->in, all->in + used, len - used) == -1 ||
	    send_out(c, all->out, (size_t)(out.p - all->out)) == -1) {
		drop(c);
		return;
	}
	if (c->session.state == SESSION_OVER)
		say_goodbye(c);
	else if (c->session.state == SESSION_OPEN)
		enter(c, PHASE_OPEN);
	set_events(c);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct conns *all = c->all;
	size_t have = c->in.len;
	ssize_t n;

	(void)what;
	memcpy(all->in, c->in.p, have);
	n = recv(fd, all->in + have, all->in_size - have, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		drop(c);
	else if (c->session.state != SESSION_OVER)
		work(c, have + (size_t)n);
}

/* Answers left, or output: take what was left, or read again. */
static void
go_on(struct conn *c)
{
	size_t len = c->in.len;

	if (c->session.state == SESSION_OVER)
		say_goodbye(c);
	if (!c->is_blocked && c->is_full &&
	    c->session.nwaiting <= WAITING_RESUME) {
		memcpy(c->all->in, c->in.p, len);
		work(c, len);
	} else {
		set_events(c);
	}
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd, (void)what;
	c->all->now = loop_now_ms();
	c->is_blocked = false;
	if (send_out(c, NULL, 0) == -1)
		drop(c);
	else
		go_on(c);
}

static void
find_answer(void *arg, const struct session_notify *n, struct spop_str token,
    struct answer *a)
{
	struct conn *c = arg;

	lookup_ask(c->all->lookup, &c->asker, n, token, c->all->now, a);
}

/*
 * Many answers come in one turn of the loop: they leave together, at the end of
 * the same turn.
 */
static void
on_answer(struct lookup_asker *asker, const struct session_notify *n,
    const struct answer *a)
{
	struct conn *c = (struct conn *)(void *)((char *)asker -
						 offsetof(struct conn, asker));
	struct conns *all = c->all;
	uint8_t frame[SESSION_FRAME_MAX];
	struct spop_out out = { frame, frame + sizeof(frame) };

	session_answer(&c->session, n, a, &out);
	/* The cap has room for every answer that may wait. */
	if (buf_put(&c->out, frame, (size_t)(out.p - frame)) == -1)
		abort();
	if (c->has_answers)
		return;
	c->has_answers = true;
	if (TAILQ_EMPTY(&all->answers))
		event_active(all->flush, 0, 0);
	TAILQ_INSERT_TAIL(&all->answers, c, other);
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct conns *all = arg;
	struct conn *c;

	(void)fd, (void)what;
	all->now = loop_now_ms();
	while ((c = TAILQ_FIRST(&all->answers)) != NULL) {
		TAILQ_REMOVE(&all->answers, c, other);
		c->has_answers = false;
		if (send_out(c, NULL, 0) == -1)
			drop(c);
		else
			go_on(c);
	}
}

void
conns_end(struct conns *all)
{
	uint8_t frame[SESSION_FRAME_MAX];
	struct conn *c, *next;

	all->now = loop_now_ms();
	for (int i = 0; i < PHASE_LINGER; i++)
		for (c = TAILQ_FIRST(&all->list[i]); c != NULL; c = next) {
			struct spop_out out = { frame, frame + sizeof(frame) };

			next = TAILQ_NEXT(c, next);
			session_end(
			    &c->session, SPOP_NORMAL, "agent stops", &out);
			if (send_out(c, frame, (size_t)(out.p - frame)) == -1) {
				drop(c);
				continue;
			}
			say_goodbye(c);
			set_events(c);
		}
}
