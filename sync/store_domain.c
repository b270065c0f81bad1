/* Domains in the store: add, remove, read, list, the leader's update. */
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/mem.h"
#include "sync/store_call.h"

#define PAGE 64 /* records asked for in one call */

/* SADD or SREM of an app's set. */
static void
app_set(struct store *s, const char *command, const char *app, const char *name)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, command);
	rds_arg(&cmd, store_key(s, KEY_APP, key, sizeof(key), 0, app));
	rds_arg(&cmd, name);
	call_forget(s, &cmd);
}

void
store_add(struct store *s, const struct domain *d, store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	char apps[KEY_MAX];
	struct rds_cmd cmd;

	/*
	 * The app's set first: were we to die in between, a name too many in
	 * it is passed over, one too few would never be listed.
	 */
	rds_cmd(&cmd, "SADD");
	rds_arg(&cmd, store_key(s, KEY_APPS, apps, sizeof(apps), 0, NULL));
	rds_arg(&cmd, d->app);
	call_forget(s, &cmd);
	app_set(s, "SADD", d->app, d->name);

	domain_keys(s, d->name, &k);
	c->tell.yes = fn;
	call_function(&cmd, "certfleet_add", 5);
	rds_arg(&cmd, k.domain);
	rds_arg(&cmd, k.due);
	rds_arg(&cmd, k.events);
	rds_arg(&cmd, k.removed);
	rds_arg(&cmd, k.timeline);
	rds_arg(&cmd, d->name);
	rds_arg(&cmd, "now");
	rds_arg(&cmd, "app");
	rds_arg(&cmd, d->app);
	rds_arg(&cmd, "letsencrypt");
	rds_arg(&cmd, d->letsencrypt ? "1" : "0");
	rds_arg(&cmd, "created_at");
	rds_arg_int(&cmd, d->created_at);
	domain_args(d, &cmd);
	call_send(c, &cmd, call_yes);
}

void
store_remove(struct store *s, const char *name, const char *app,
    store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.yes = fn;
	call_function(&cmd, "certfleet_remove", 10);
	rds_arg(&cmd, k.domain);
	rds_arg(&cmd, k.cert);
	rds_arg(&cmd, k.order);
	rds_arg(&cmd, k.due);
	rds_arg(&cmd, k.index);
	rds_arg(&cmd, k.gen);
	rds_arg(&cmd, k.events);
	rds_arg(&cmd, k.removed);
	rds_arg(&cmd, k.timeline);
	rds_arg(&cmd, k.custom);
	rds_arg(&cmd, name);
	call_send(c, &cmd, call_yes);
	app_set(s, "SREM", app, name);
}

static void
got_domain(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct domain d;
	struct err bad;

	if (e != NULL || r->nitems == 0) {
		c->tell.domain(c->arg, NULL, e);
		return;
	}
	domain_init(&d);
	if (reply_domain(r, &d, &bad) == -1)
		c->tell.domain(c->arg, NULL, &bad);
	else
		c->tell.domain(c->arg, &d, NULL);
	domain_clear(&d);
}

void
store_get(struct store *s, const char *name, store_domain_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.domain = fn;
	rds_cmd(&cmd, "HGETALL");
	rds_arg(&cmd, store_key(s, KEY_DOMAIN, key, sizeof(key),
			  domain_partition(name, s->partitions), name));
	call_send(c, &cmd, got_domain);
}

void
store_update(struct store *s, const struct domain *d, int64_t next_at,
    const char *event_type, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;
	size_t at, n;

	domain_keys(s, d->name, &k);
	c->tell.done = fn;
	call_function(&cmd, "certfleet_update", 4);
	rds_arg(&cmd, k.domain);
	rds_arg(&cmd, k.due);
	rds_arg(&cmd, k.events);
	rds_arg(&cmd, k.timeline);
	rds_arg_int(&cmd, d->epoch);
	rds_arg(&cmd, d->name);
	if (next_at > 0)
		rds_arg_int(&cmd, next_at);
	else
		rds_arg(&cmd, next_at == 0 ? "-" : "");
	rds_arg(&cmd, event_type != NULL ? event_type : "");
	at = cmd.argc;
	rds_arg_int(&cmd, 0); /* how many fields follow: known below */
	n = domain_args(d, &cmd);
	call_arg_set(&cmd, at, (int64_t)n);
	domain_absent_args(d, &cmd);
	call_send(c, &cmd, call_done);
}

/* --- the list: apps, their names, then the records by pages --------------- */

struct names {
	char **name;
	size_t n, room;
};

struct list {
	struct names names;
	struct domain **found;
	size_t nfound, asked;
	struct err e; /* the first failure */
	char *app;    /* NULL: all */
};

static void
drop_list(struct call *c)
{
	struct list *l = c->state;

	for (size_t i = 0; i < l->names.n; i++)
		free(l->names.name[i]);
	for (size_t i = 0; i < l->nfound; i++) {
		domain_clear(l->found[i]);
		free(l->found[i]);
	}
	free(l->names.name);
	free(l->found);
	free(l->app);
	free(l);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct domain *const *)a)->name,
	    (*(struct domain *const *)b)->name);
}

static void
list_tell(struct call *c)
{
	struct list *l = c->state;

	if (l->e.kind != ERR_NONE) {
		c->tell.list(c->arg, NULL, 0, &l->e);
		return;
	}
	if (l->nfound > 0)
		qsort(l->found, l->nfound, sizeof(struct domain *), by_name);
	c->tell.list(
	    c->arg, (const struct domain *const *)l->found, l->nfound, NULL);
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

	if (l->asked == l->names.n || l->e.kind != ERR_NONE) {
		list_tell(c);
		return;
	}
	key = xcalloc(PAGE, sizeof(*key));
	p = domain_partition(l->names.name[l->asked], s->partitions);
	rds_cmd(&cmd, "FCALL");
	rds_arg(&cmd, "certfleet_records");
	at = cmd.argc;
	rds_arg_int(&cmd, 0);
	for (; l->asked < l->names.n && n < PAGE; l->asked++, n++) {
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

static void
names_take(struct names *names, const char *name)
{
	if (names->n == STORE_LIST_MAX)
		return;
	if (names->n == names->room) {
		names->room = names->room > 0 ? names->room * 2 : 64;
		names->name =
		    xrealloc(names->name, names->room * sizeof(char *));
	}
	names->name[names->n++] = xstrdup(name);
}

/* Sorted, each once: a name can stand in two apps' sets (see store_add). */
static void
names_sort(struct names *names)
{
	size_t n = 0;

	if (names->n == 0)
		return;
	qsort(names->name, names->n, sizeof(char *), by_text);
	for (size_t i = 1; i < names->n; i++) {
		if (strcmp(names->name[n], names->name[i]) == 0)
			free(names->name[i]);
		else
			names->name[++n] = names->name[i];
	}
	names->n = n + 1;
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
			names_take(&l->names, r->item[i].str);
	if (c->waiting > 0)
		return;
	names_sort(&l->names);
	l->found = xcalloc(l->names.n, sizeof(struct domain *));
	list_pages(c);
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

void
store_list(struct store *s, const char *app, store_list_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct list *l = xcalloc(1, sizeof(*l));
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->state = l;
	c->drop = drop_list;
	c->tell.list = fn;
	l->app = xstrdup(app);
	if (app != NULL) {
		ask_names(c, app);
		return;
	}
	rds_cmd(&cmd, "SMEMBERS");
	rds_arg(&cmd, store_key(s, KEY_APPS, key, sizeof(key), 0, NULL));
	call_send(c, &cmd, got_apps);
}
