#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/rds.h"
#include "common/rds_codec.h"
#include "common/rds_conn.h"

struct rds_sub {
	struct event_base *base;
	struct rds_conn *conn;
	char **channel;
	size_t nchannels, nconfirmed;
	rds_message_fn *message;
	void *arg;
	struct event *timer;
	int patience_ms;  /* between two signs of life */
	int64_t asked_at; /* when the last sign was asked for */
};

static void on_up(void *arg);
static void on_down(void *arg, const struct err *why);
static void on_reply(void *arg, const struct rds_reply *);
static void on_release(void *arg);

static const struct rds_conn_user conn_user = {
	.up = on_up,
	.down = on_down,
	.reply = on_reply,
	.release = on_release,
};

struct rds_sub *
rds_sub_new(struct event_base *base, const struct rds_conf *conf,
    const char *const *channels, size_t nchannels, rds_message_fn *message,
    rds_state_fn *state, void *arg)
{
	struct rds_sub *s = xcalloc(1, sizeof(*s));
	struct rds_conf own = *conf;

	own.load_library = false;
	s->base = base;
	s->message = message;
	s->arg = arg;
	s->patience_ms = 2 * conf->command_timeout_ms;
	s->channel = xcalloc(nchannels, sizeof(*s->channel));
	for (size_t i = 0; i < nchannels; i++)
		s->channel[i] = xstrdup(channels[i]);
	s->nchannels = nchannels;
	s->conn = rds_conn_new(base, &own, &conn_user, s, state, arg);
	return s;
}

void
rds_sub_free(struct rds_sub *s)
{
	if (s == NULL)
		return;
	loop_timer_free(&s->timer);
	rds_conn_free(s->conn);
}

static void
on_release(void *arg)
{
	struct rds_sub *s = arg;

	for (size_t i = 0; i < s->nchannels; i++)
		free(s->channel[i]);
	free(s->channel);
	free(s);
}

/*
 * Who only listens does not notice that nobody speaks any more: ask for a sign
 * of life, and drop the connection when there was none since the last time.
 */
static void
on_patience(void *arg)
{
	struct rds_sub *s = arg;
	struct rds_cmd c;
	struct err e;

	if (rds_conn_heard_at(s->conn) < s->asked_at) {
		err_set(&e, ERR_AGAIN, "Redis has stopped answering");
		rds_conn_drop(s->conn, &e);
		return;
	}
	s->asked_at = loop_now_ms();
	rds_cmd(&c, "PING");
	rds_conn_send(s->conn, &c);
	loop_after(s->base, &s->timer, s->patience_ms, on_patience, s);
}

static void
on_up(void *arg)
{
	struct rds_sub *s = arg;
	struct rds_cmd c;

	s->nconfirmed = 0;
	s->asked_at = loop_now_ms();
	rds_cmd(&c, "SUBSCRIBE");
	for (size_t i = 0; i < s->nchannels; i++)
		rds_arg(&c, s->channel[i]);
	rds_conn_send(s->conn, &c);
	loop_after(s->base, &s->timer, s->patience_ms, on_patience, s);
}

static void
on_down(void *arg, const struct err *why)
{
	struct rds_sub *s = arg;

	loop_cancel(s->timer);
	rds_conn_tell(s->conn, false, why);
}

static bool
is_word(const struct rds_reply *r, const char *word)
{
	return r->type == RDS_STRING && strcmp(r->str, word) == 0;
}

static void
on_reply(void *arg, const struct rds_reply *r)
{
	struct rds_sub *s = arg;
	const struct rds_reply *item = r->item;
	struct err e;

	if (r->type == RDS_ERROR) {
		rds_reply_err(r, &e);
		err_prefix(&e, "Redis refuses to subscribe");
		rds_conn_drop(s->conn, &e);
		return;
	}
	if (r->type != RDS_ARRAY || r->nitems < 2)
		return;
	if (is_word(&item[0], "subscribe")) {
		if (++s->nconfirmed == s->nchannels)
			rds_conn_tell(s->conn, true, NULL);
		return;
	}
	if (is_word(&item[0], "message") && r->nitems == 3 &&
	    item[1].type == RDS_STRING && item[2].type == RDS_STRING)
		s->message(s->arg, item[1].str, item[2].str, item[2].len);
}
