/*
 * A search: first the names, then their records.
 *
 * Without apps each partition looks through its own names, in their order, and
 * stops when it has as many as are wanted: the first of all of these are the
 * page.  An app has its domains in a set without order: then all of its names
 * are read, which are few, and records until there are enough.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/names.h"
#include "sync/store_call.h"
#include "sync/store_search.h"

#define LOOK 1000 /* names that Redis looks at in one call */
#define PAGE 64   /* records asked for in one call */

struct search {
	struct names names;
	struct domain **found;
	size_t nfound, asked;
	bool more;     /* than names has */
	int partition; /* whose names are being asked for */
	size_t app;    /* or which app's */
	size_t npart;  /* names that it has given */
	/* What is looked for. */
	struct names apps;
	char text[DOMAIN_NAME_MAX], after[DOMAIN_NAME_MAX];
	int status;
	size_t limit;
};

static void
drop_search(struct call *c)
{
	struct search *s = c->state;

	for (size_t i = 0; i < s->nfound; i++) {
		domain_clear(s->found[i]);
		free(s->found[i]);
	}
	names_clear(&s->names);
	names_clear(&s->apps);
	free(s->found);
	free(s);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(struct domain *const *)a)->name,
	    (*(struct domain *const *)b)->name);
}

/* The name to go on after, "" when all have been looked at. */
static const char *
next_name(const struct search *s)
{
	if (s->asked < s->names.n || s->more)
		return s->asked > 0 ? s->names.name[s->asked - 1] : "";
	return "";
}

static void
tell(struct call *c)
{
	struct search *s = c->state;

	if (s->nfound > 1)
		qsort(s->found, s->nfound, sizeof(struct domain *), by_name);
	c->tell.found(c->arg, (const struct domain *const *)s->found, s->nfound,
	    next_name(s), c->failed.kind != ERR_NONE ? &c->failed : NULL);
}

/* --- records ------------------------------------------------------------------ */

static bool
wanted(const struct search *s, const struct domain *d)
{
	if (s->status >= 0 && (int)d->status != s->status)
		return false;
	for (size_t i = 0; i < s->apps.n; i++)
		if (strcmp(s->apps.name[i], d->app) == 0)
			return true;
	return s->apps.n == 0;
}

static void
take(struct call *c, const struct rds_reply *r)
{
	struct search *s = c->state;
	struct domain *d;
	struct err e;

	if (r->type != RDS_STRING || s->nfound == s->limit)
		return;
	d = xcalloc(1, sizeof(*d));
	domain_init(d);
	if (domain_unpack(d, r->str, r->len, &e) == -1) {
		c->failed = e;
	} else if (wanted(s, d)) {
		s->found[s->nfound++] = d;
		return;
	}
	domain_clear(d);
	free(d);
}

static void ask_records(struct call *);

static void
got_records(struct call *c, const struct rds_reply *r, const struct err *e)
{
	if (e != NULL)
		c->failed = *e;
	for (size_t i = 0; e == NULL && i < r->nitems; i++)
		take(c, &r->item[i]);
	ask_records(c);
}

/*
 * Keys of one call are of one partition, and no more of them are asked for than
 * may still be found: so what was asked for is what was looked at.
 */
static void
ask_records(struct call *c)
{
	struct search *s = c->state;
	size_t most = s->limit - s->nfound, n = 0, at;
	char(*key)[KEY_MAX];
	struct rds_cmd cmd;
	int p;

	if (s->asked == s->names.n || most == 0 || c->failed.kind != ERR_NONE) {
		tell(c);
		return;
	}
	if (most > PAGE)
		most = PAGE;
	key = xcalloc(PAGE, sizeof(*key));
	p = domain_partition(s->names.name[s->asked], c->store->partitions);
	rds_cmd(&cmd, "FCALL_RO");
	rds_arg(&cmd, "certfleet_records");
	at = cmd.argc;
	rds_arg_int(&cmd, 0);
	for (; s->asked < s->names.n && n < most; s->asked++, n++) {
		const char *name = s->names.name[s->asked];

		if (domain_partition(name, c->store->partitions) != p)
			break;
		rds_arg(&cmd,
		    store_key(c->store, KEY_DOMAIN, key[n], KEY_MAX, p, name));
	}
	call_arg_set(&cmd, at, (int64_t)n);
	call_send(c, &cmd, got_records);
	free(key);
}

/* All names are there: those of the page stay. */
static void
begin_records(struct call *c)
{
	struct search *s = c->state;

	names_sort(&s->names);
	if (s->apps.n == 0 && s->names.n > s->limit) {
		while (s->names.n > s->limit)
			free(s->names.name[--s->names.n]);
		s->more = true;
	}
	s->found = xcalloc(s->limit, sizeof(struct domain *));
	ask_records(c);
}

/* --- names -------------------------------------------------------------------- */

static void ask_part(struct call *, const char *after);

/* { the name to go on after, name... } */
static void
got_part(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct search *s = c->state;
	const char *next = "";

	if (e != NULL)
		c->failed = *e;
	for (size_t i = 0; e == NULL && i < r->nitems; i++) {
		if (r->item[i].type != RDS_STRING)
			continue;
		if (i == 0) {
			next = r->item[i].str;
			continue;
		}
		names_add(&s->names, r->item[i].str, STORE_LIST_MAX);
		s->npart++;
	}
	if (*next != '\0' && s->npart < s->limit) {
		ask_part(c, next);
		return;
	}
	s->more = s->more || *next != '\0';
	s->npart = 0;
	if (e == NULL && ++s->partition < c->store->partitions)
		ask_part(c, s->after);
	else
		begin_records(c);
}

static void
ask_part(struct call *c, const char *after)
{
	struct search *s = c->state;
	char key[KEY_MAX];
	struct rds_cmd cmd;

	call_function(&cmd, "certfleet_find", 1);
	call_read_only(&cmd);
	rds_arg(&cmd, store_key(c->store, KEY_NAMES, key, sizeof(key),
			  s->partition, NULL));
	rds_arg(&cmd, after);
	rds_arg_int(&cmd, LOOK);
	rds_arg_int(&cmd, (int64_t)(s->limit - s->npart));
	rds_arg(&cmd, s->text);
	rds_arg(&cmd, s->status >= 0
			  ? domain_status_name((enum domain_status)s->status)
			  : "");
	call_send(c, &cmd, got_part);
}

static void ask_app(struct call *);

static void
got_app(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct search *s = c->state;
	const char *name;

	if (e != NULL)
		c->failed = *e;
	for (size_t i = 0; e == NULL && i < r->nitems; i++) {
		name = r->item[i].type == RDS_STRING ? r->item[i].str : "";
		if (strcmp(name, s->after) > 0 && strstr(name, s->text) != NULL)
			names_add(&s->names, name, STORE_LIST_MAX);
	}
	if (e == NULL && ++s->app < s->apps.n)
		ask_app(c);
	else
		begin_records(c);
}

static void
ask_app(struct call *c)
{
	struct search *s = c->state;
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "SMEMBERS");
	rds_arg(&cmd, store_key(c->store, KEY_APP, key, sizeof(key), 0,
			  s->apps.name[s->app]));
	call_send(c, &cmd, got_app);
}

void
store_find(struct store *store, const struct store_search *wanted,
    store_found_fn *fn, void *arg)
{
	struct call *c = call_new(store, arg);
	struct search *s = xcalloc(1, sizeof(*s));
	struct err too_long;

	c->state = s;
	c->drop = drop_search;
	c->tell.found = fn;
	s->status = wanted->status;
	s->limit = wanted->limit;
	for (size_t i = 0; i < wanted->napps; i++)
		names_add(&s->apps, wanted->app[i], STORE_SEARCH_APPS);
	str_copy(s->text, sizeof(s->text), wanted->text, &too_long);
	str_copy(s->after, sizeof(s->after), wanted->after, &too_long);
	if (s->apps.n > 0)
		ask_app(c);
	else
		ask_part(c, s->after);
}
