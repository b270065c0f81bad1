/* How far webhooks are: a stream of events is their queue. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/store_call.h"

static void
field_name(int partition, char out[static 16])
{
	snprintf(out, 16, "p%d", partition);
}

static void
got_cursor(struct call *c, const struct rds_reply *r, const struct err *e)
{
	c->tell.text(
	    c->arg, r != NULL && r->type == RDS_STRING ? r->str : "", e);
}

void
store_webhook_cursor(
    struct store *s, int partition, store_text_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX], field[16];
	struct rds_cmd cmd;

	c->tell.text = fn;
	field_name(partition, field);
	rds_cmd(&cmd, "HGET");
	rds_arg(&cmd, store_key(s, KEY_WEBHOOK, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, field);
	call_send(c, &cmd, got_cursor);
}

void
store_webhook_done(struct store *s, int partition, int64_t epoch,
    const char *id, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX], field[16];
	struct rds_cmd cmd;

	c->tell.done = fn;
	field_name(partition, field);
	call_function(&cmd, "certfleet_webhook", 1);
	rds_arg(&cmd, store_key(s, KEY_WEBHOOK, key, sizeof(key), 0, NULL));
	rds_arg_int(&cmd, epoch);
	rds_arg(&cmd, field);
	rds_arg(&cmd, id);
	call_send(c, &cmd, call_done);
}

/* XRANGE: the oldest first. */
static void
got_events(struct call *c, const struct rds_reply *r, const struct err *e)
{
	call_events(c, r, false, e);
}

void
store_events_from(struct store *s, int partition, const char *id, int n,
    store_events_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.events = fn;
	rds_cmd(&cmd, "XRANGE");
	rds_arg(
	    &cmd, store_key(s, KEY_EVENTS, key, sizeof(key), partition, NULL));
	rds_arg(&cmd, id);
	rds_arg(&cmd, "+");
	rds_arg(&cmd, "COUNT");
	rds_arg_int(&cmd, n);
	call_send(c, &cmd, got_events);
}
