/*
 * Reading a stream: find out where it ends, then XREAD from the last entry
 * seen, for ever.
 *
 * "$" cannot be used with XREAD itself: what is added between two calls would
 * be lost.  And where the stream ends is asked after each connect, since a
 * stream that ends before our last entry is another one (a failover went
 * back): reading goes on at its end, and state(up) has said that something may
 * have been missed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/rds.h"
#include "common/rds_codec.h"
#include "common/rds_conn.h"
#include "common/str.h"

#define BLOCK_MS 5000
#define ENTRIES_MAX 100 /* in one reply */
#define ID_MAX 48

struct rds_stream {
	struct event_base *base;
	struct rds_conn *conn;
	char *key;
	char last_id[ID_MAX]; /* "$" until it is known */
	bool at_end;          /* the stream's end has been asked for */
	rds_entry_fn *entry;
	void *arg;
	struct event *timer;
	int command_timeout_ms;
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

struct rds_stream *
rds_stream_new(struct event_base *base, const struct rds_conf *conf,
    const char *key, const char *last_id, rds_entry_fn *entry,
    rds_state_fn *state, void *arg)
{
	struct rds_stream *s = xcalloc(1, sizeof(*s));
	struct rds_conf own = *conf;
	struct err ignored;

	own.load_library = false;
	s->base = base;
	s->key = xstrdup(key);
	own.key = s->key;
	s->entry = entry;
	s->arg = arg;
	s->command_timeout_ms = conf->command_timeout_ms;
	/* An id that is none would be refused by Redis for ever. */
	if (str_copy(s->last_id, sizeof(s->last_id), last_id, &ignored) == -1 ||
	    s->last_id[0] == '\0')
		memcpy(s->last_id, "$", sizeof("$"));
	s->conn = rds_conn_new(base, &own, &conn_user, s, state, arg);
	return s;
}

void
rds_stream_free(struct rds_stream *s)
{
	if (s == NULL)
		return;
	loop_timer_free(&s->timer);
	rds_conn_free(s->conn);
}

static void
on_release(void *arg)
{
	struct rds_stream *s = arg;

	free(s->key);
	free(s);
}

static void
on_silence(void *arg)
{
	struct rds_stream *s = arg;
	struct err e;

	err_set(&e, ERR_AGAIN, "Redis has stopped answering");
	rds_conn_drop(s->conn, &e);
}

static void
ask(struct rds_stream *s, const struct rds_cmd *c, int may_block_ms)
{
	rds_conn_send(s->conn, c);
	loop_after(s->base, &s->timer, may_block_ms + s->command_timeout_ms,
	    on_silence, s);
}

static void
ask_end(struct rds_stream *s)
{
	struct rds_cmd c;

	s->at_end = false;
	rds_cmd(&c, "XREVRANGE");
	rds_arg(&c, s->key);
	rds_arg(&c, "+");
	rds_arg(&c, "-");
	rds_arg(&c, "COUNT");
	rds_arg(&c, "1");
	ask(s, &c, 0);
}

static void
ask_more(struct rds_stream *s)
{
	struct rds_cmd c;

	rds_cmd(&c, "XREAD");
	rds_arg(&c, "COUNT");
	rds_arg_int(&c, ENTRIES_MAX);
	rds_arg(&c, "BLOCK");
	rds_arg_int(&c, BLOCK_MS);
	rds_arg(&c, "STREAMS");
	rds_arg(&c, s->key);
	rds_arg(&c, s->last_id);
	ask(s, &c, BLOCK_MS);
}

static void
on_up(void *arg)
{
	ask_end(arg);
}

static void
on_down(void *arg, const struct err *why)
{
	struct rds_stream *s = arg;

	loop_cancel(s->timer);
	rds_conn_tell(s->conn, false, why);
}

/* Is id a ("1700000000000-3", or without the last part) after b? */
static bool
is_after(const char *a, const char *b)
{
	uint64_t ms[2], n[2];
	const char *id[2] = { a, b };
	char *end;

	for (int i = 0; i < 2; i++) {
		ms[i] = strtoull(id[i], &end, 10);
		n[i] = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;
	}
	return ms[0] != ms[1] ? ms[0] > ms[1] : n[0] > n[1];
}

/* An entry of a reply is [id, [field, value...]]. */
static bool
is_entry(const struct rds_reply *r)
{
	return r->type == RDS_ARRAY && r->nitems == 2 &&
	       r->item[0].type == RDS_STRING && r->item[0].len < ID_MAX;
}

static void
got_end(struct rds_stream *s, const struct rds_reply *r)
{
	const char *end = "0-0";

	if (r->type == RDS_ARRAY && r->nitems == 1 && is_entry(&r->item[0]))
		end = r->item[0].item[0].str;
	if (strcmp(s->last_id, "$") == 0 || is_after(s->last_id, end))
		snprintf(s->last_id, sizeof(s->last_id), "%s", end);
	s->at_end = true;
	ask_more(s);
	rds_conn_tell(s->conn, true, NULL);
}

/* Nothing came, or [[key, [entry...]]]. */
static void
got_more(struct rds_stream *s, const struct rds_reply *r)
{
	const struct rds_reply *entries = NULL;

	if (r->type == RDS_ARRAY && r->nitems == 1 &&
	    r->item[0].type == RDS_ARRAY && r->item[0].nitems == 2)
		entries = &r->item[0].item[1];
	if (entries != NULL && entries->type == RDS_ARRAY) {
		for (size_t i = 0; i < entries->nitems; i++) {
			const struct rds_reply *entry = &entries->item[i];

			if (!is_entry(entry))
				continue;
			memcpy(s->last_id, entry->item[0].str,
			    entry->item[0].len + 1);
			s->entry(s->arg, s->last_id, &entry->item[1]);
			if (rds_conn_freed(s->conn))
				return;
		}
	}
	ask_more(s);
}

static void
on_reply(void *arg, const struct rds_reply *r)
{
	struct rds_stream *s = arg;
	struct err e;

	loop_cancel(s->timer);
	if (r->type == RDS_ERROR) {
		rds_reply_err(r, &e);
		err_prefix(&e, "Redis refuses to read %s", s->key);
		rds_conn_drop(s->conn, &e);
	} else if (!s->at_end) {
		got_end(s, r);
	} else {
		got_more(s, r);
	}
}
