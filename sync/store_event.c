/* What has happened, of a partition and of a domain. */
#include <stdlib.h>

#include "common/mem.h"
#include "sync/store_call.h"

void
call_events(struct call *c, const struct rds_reply *r, bool newest_first,
    const struct err *e)
{
	struct store_event *event;
	const char **field;
	size_t nfields = 0, n = 0, at = 0;

	if (e != NULL) {
		c->tell.events(c->arg, NULL, 0, e);
		return;
	}
	for (size_t i = 0; i < r->nitems; i++)
		if (r->item[i].nitems == 2)
			nfields += r->item[i].item[1].nitems;
	event = xcalloc(r->nitems, sizeof(*event));
	field = xcalloc(nfields, sizeof(*field));
	for (size_t i = 0; i < r->nitems; i++) {
		const struct rds_reply *entry =
		    &r->item[newest_first ? r->nitems - 1 - i : i];
		const struct rds_reply *list;

		if (entry->nitems != 2 || entry->item[0].type != RDS_STRING)
			continue;
		list = &entry->item[1];
		event[n].id = entry->item[0].str;
		event[n].field = field + at;
		event[n].nfields = list->nitems / 2;
		for (size_t j = 0; j < list->nitems; j++)
			field[at++] = list->item[j].str;
		n++;
	}
	c->tell.events(c->arg, event, n, NULL);
	free(field);
	free(event);
}

/* XREVRANGE has the newest first; people read downwards. */
static void
got_newest(struct call *c, const struct rds_reply *r, const struct err *e)
{
	call_events(c, r, true, e);
}

void
call_range(
    struct store *s, const char *key, int n, store_events_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct rds_cmd cmd;

	c->tell.events = fn;
	rds_cmd(&cmd, "XREVRANGE");
	rds_arg(&cmd, key);
	rds_arg(&cmd, "+");
	rds_arg(&cmd, "-");
	rds_arg(&cmd, "COUNT");
	rds_arg_int(&cmd, n);
	call_send(c, &cmd, got_newest);
}

void
store_events(
    struct store *s, int partition, int n, store_events_fn *fn, void *arg)
{
	char key[KEY_MAX];

	call_range(s,
	    store_key(s, KEY_EVENTS, key, sizeof(key), partition, NULL), n, fn,
	    arg);
}

void
store_timeline(struct store *s, const char *name, store_names_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.names = fn;
	rds_cmd(&cmd, "LRANGE");
	rds_arg(&cmd, k.timeline);
	rds_arg(&cmd, "0");
	rds_arg_int(&cmd, STORE_TIMELINE_MAX - 1);
	call_send(c, &cmd, call_names);
}
