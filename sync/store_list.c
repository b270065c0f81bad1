/*
 * Many domains at a time: all of an app, a page, how many there are.  A list is
 * names first, then their records in calls of a few, so that neither Redis nor
 * our loop works on it for long.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "sync/names.h"
#include "sync/store_call.h"

#define PAGE 64 /* records asked for in one call */

struct list {
	struct names names;
	struct domain **found;
	size_t nfound, asked, end; /* records of names asked to end */
	size_t offset, limit;
	bool paged, fill;
	int64_t total; /* or of those that were filled in */
	struct err e;  /* the first failure */
	char *app;     /* NULL: all */
};

static void
drop_list(struct call *c)
{
	struct list *l = c->state;

	names_clear(&l->names);
	for (size_t i = 0; i < l->nfound; i++) {
		domain_clear(l->found[i]);
		free(l->found[i]);
	}
	free(l->found);
	free(l->app);
	free(l);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct domain *const *)a)->name,
	    (*(struct domain *const *)b)->name);
}

static void
filled(struct store *s, int64_t n, const struct err *e)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	s->filling = false;
	if (e != NULL) {
		log_warn("domains not listed anew yet: %s", e->text);
		return;
	}
	s->named = true;
	if (n > 0)
		log_info("domains=%lld listed that an older version had not",
		    (long long)n);
	call_function(&cmd, "certfleet_named", 1);
	rds_arg(&cmd, store_key(s, KEY_META, key, sizeof(key), 0, NULL));
	call_forget(s, &cmd);
}

static void
list_tell(struct call *c)
{
	struct list *l = c->state;
	const struct err *e = l->e.kind != ERR_NONE ? &l->e : NULL;

	if (l->fill) {
		filled(c->store, l->total, e);
		return;
	}
	if (l->nfound > 0)
		qsort(l->found, l->nfound, sizeof(struct domain *), by_name);
	if (l->paged)
		c->tell.page(c->arg, (const struct domain *const *)l->found,
		    l->nfound, l->total, e);
	else
		c->tell.list(c->arg, (const struct domain *const *)l->found,
		    l->nfound, e);
}

static void
list_take(struct list *l, const struct rds_reply *r)
{
	struct domain *d;
	struct err e;

	if (r->type != RDS_STRING || l->nfound == STORE_LIST_MAX)
		return;
	d = xcalloc(1, sizeof(*d));
	domain_init(d);
	if (domain_unpack(d, r->str, r->len, &e) == -1) {
		l->e = e;
	} else if (l->app == NULL || strcmp(l->app, d->app) == 0) {
		l->found[l->nfound++] = d;
		return;
	}
	domain_clear(d);
	free(d);
}

static void list_pages(struct call *);

static void
got_page(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct list *l = c->state;

	if (e != NULL)
		l->e = *e;
	else if (l->fill)
		l->total += reply_int(r);
	for (size_t i = 0; e == NULL && i < r->nitems; i++)
		list_take(l, &r->item[i]);
	list_pages(c);
}

/* Ask for the next page; keys of one call are of one partition. */
static void
list_pages(struct call *c)
{
	struct list *l = c->state;
	struct store *s = c->store;
	char(*key)[KEY_MAX];
	struct rds_cmd cmd;
	size_t n = 0, at;
	int p;

	if (l->asked == l->end || l->e.kind != ERR_NONE) {
		list_tell(c);
		return;
	}
	key = xcalloc(PAGE, sizeof(*key));
	p = domain_partition(l->names.name[l->asked], s->partitions);
	rds_cmd(&cmd, l->fill ? "FCALL" : "FCALL_RO");
	rds_arg(&cmd, l->fill ? "certfleet_fill" : "certfleet_records");
	at = cmd.argc;
	rds_arg_int(&cmd, 0);
	for (; l->asked < l->end && n < PAGE; l->asked++, n++) {
		const char *name = l->names.name[l->asked];

		if (domain_partition(name, s->partitions) != p)
			break;
		rds_arg(
		    &cmd, store_key(s, KEY_DOMAIN, key[n], KEY_MAX, p, name));
	}
	call_arg_set(&cmd, at, (int64_t)n);
	call_send(c, &cmd, got_page);
	free(key);
}

/* All names are known: those of the page are left, then their records. */
static void
list_begin(struct call *c)
{
	struct list *l = c->state;

	/* A name can stand in two apps' sets (see store_add). */
	names_sort(&l->names);
	l->end = l->names.n;
	if (l->paged && l->app != NULL)
		l->total = (int64_t)l->names.n;
	if (l->paged) {
		l->asked = l->offset < l->end ? l->offset : l->end;
		if (l->end - l->asked > l->limit)
			l->end = l->asked + l->limit;
	}
	l->found = xcalloc(l->end - l->asked, sizeof(struct domain *));
	list_pages(c);
}

/* Names of one app; when the last app has answered, the records. */
static void
got_names(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct list *l = c->state;

	if (e != NULL)
		l->e = *e;
	for (size_t i = 0; e == NULL && i < r->nitems; i++)
		if (r->item[i].type == RDS_STRING)
			names_add(&l->names, r->item[i].str, STORE_LIST_MAX);
	if (c->waiting > 0)
		return;
	list_begin(c);
}

static void
ask_names(struct call *c, const char *app)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "SMEMBERS");
	rds_arg(&cmd, store_key(c->store, KEY_APP, key, sizeof(key), 0, app));
	call_send(c, &cmd, got_names);
}

static void
got_apps(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct list *l = c->state;

	if (e != NULL)
		l->e = *e;
	for (size_t i = 0; e == NULL && i < r->nitems; i++)
		if (r->item[i].type == RDS_STRING)
			ask_names(c, r->item[i].str);
	if (c->waiting == 0)
		list_tell(c);
}

static struct call *
list_new(struct store *s, const char *app, void *arg)
{
	struct call *c = call_new(s, arg);
	struct list *l = xcalloc(1, sizeof(*l));

	c->state = l;
	c->drop = drop_list;
	l->app = xstrdup(app);
	return c;
}

static void
ask_apps(struct call *c)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "SMEMBERS");
	rds_arg(&cmd, store_key(c->store, KEY_APPS, key, sizeof(key), 0, NULL));
	call_send(c, &cmd, got_apps);
}

void
store_list(struct store *s, const char *app, store_list_fn *fn, void *arg)
{
	struct call *c = list_new(s, app, arg);

	c->tell.list = fn;
	if (app != NULL)
		ask_names(c, app);
	else
		ask_apps(c);
}

/*
 * Apps have always had sets of their domains: what those lead to and has no
 * name beside it is of before there were such.
 */
void
store_fill(struct store *s)
{
	struct call *c;
	struct list *l;

	if (s->named || s->filling)
		return;
	s->filling = true;
	c = list_new(s, NULL, NULL);
	l = c->state;
	l->fill = true;
	ask_apps(c);
}

/* ZCARD is an integer, ZRANGE a list: two replies for each partition. */
static void
got_named(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct list *l = c->state;

	if (e == NULL && r->type == RDS_INTEGER) {
		l->total += r->integer;
		return;
	}
	got_names(c, r, e);
}

/*
 * One partition has its names in order already.  Of several each gives as many
 * as could come first.
 */
static void
ask_page(struct call *c, int partition)
{
	struct list *l = c->state;
	struct store *s = c->store;
	char key[KEY_MAX];
	struct rds_cmd cmd;

	store_key(s, KEY_NAMES, key, sizeof(key), partition, NULL);
	rds_cmd(&cmd, "ZCARD");
	rds_arg(&cmd, key);
	call_send(c, &cmd, got_named);
	rds_cmd(&cmd, "ZRANGE");
	rds_arg(&cmd, key);
	rds_arg_int(&cmd, s->partitions == 1 ? (int64_t)l->offset : 0);
	rds_arg_int(&cmd, (int64_t)(l->offset + l->limit) - 1);
	call_send(c, &cmd, got_named);
}

void
store_page(struct store *s, const char *app, size_t offset, size_t limit,
    store_page_fn *fn, void *arg)
{
	struct call *c = list_new(s, app, arg);
	struct list *l = c->state;

	c->tell.page = fn;
	l->paged = true;
	l->offset = offset;
	l->limit = limit;
	if (app != NULL) {
		ask_names(c, app);
		return;
	}
	for (int p = 0; p < s->partitions; p++)
		ask_page(c, p);
	if (s->partitions == 1)
		l->offset = 0;
}

/* --- how many ---------------------------------------------------------------- */

static void
got_counts(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_counts *counts = c->state;
	int status;

	if (e != NULL)
		c->failed = *e;
	for (size_t i = 0; e == NULL && i + 1 < r->nitems; i += 2) {
		status = domain_status_parse(r->item[i].str);
		if (status < 0)
			continue;
		counts->status[status] += reply_int(&r->item[i + 1]);
		counts->total += reply_int(&r->item[i + 1]);
	}
	if (c->waiting > 0)
		return;
	c->tell.counts(
	    c->arg, counts, c->failed.kind != ERR_NONE ? &c->failed : NULL);
}

static void
drop_counts(struct call *c)
{
	free(c->state);
}

void
store_counts(struct store *s, store_counts_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX], names[KEY_MAX];
	struct rds_cmd cmd;

	c->state = xcalloc(1, sizeof(struct store_counts));
	c->drop = drop_counts;
	c->tell.counts = fn;
	for (int p = 0; p < s->partitions; p++) {
		call_function(&cmd, "certfleet_count", 2);
		rds_arg(&cmd,
		    store_key(s, KEY_NAMES, names, sizeof(names), p, NULL));
		rds_arg(
		    &cmd, store_key(s, KEY_COUNTS, key, sizeof(key), p, NULL));
		call_send(c, &cmd, got_counts);
	}
}
