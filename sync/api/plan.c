/*
 * When would these names get their certificates?  The buckets of all of them
 * are looked at, then sync/plan.c goes through the weeks.
 */
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/table.h"
#include "sync/api/request.h"
#include "sync/key.h"
#include "sync/limit.h"
#include "sync/plan.h"
#include "sync/store_limit.h"

#define IN_FLIGHT_MAX 64

/* A name of the list, or what is wrong with it. */
struct entry {
	UT_hash_handle hh;
	char name[DOMAIN_NAME_MAX];
	size_t at;   /* in names */
	char *error; /* NULL: it is one */
};

struct registered {
	UT_hash_handle hh;
	size_t at; /* in domain */
	char name[DOMAIN_NAME_MAX];
};

/* One look at a bucket. */
struct look {
	struct plan_request *plan; /* NULL: free */
	enum limit_bucket bucket;
	size_t at; /* in domain, or in names */
	struct limit limit;
};

struct plan_request {
	struct request *request;
	struct entry *entry, *by_name;
	size_t nentries;
	struct plan_name *name; /* those without an error */
	const char **text;      /* their names */
	size_t nnames;
	struct registered *registered;
	const char **domain_name;
	struct plan_bucket orders, *domain;
	size_t ndomains;
	size_t next; /* look */
	struct look look[IN_FLIGHT_MAX];
	size_t waiting; /* looks that have not been answered */
	struct err e;   /* the first failure */
	int64_t now;
};

static void go_on(struct plan_request *);

void
plan_request_free(struct plan_request *p)
{
	struct registered *r, *next;

	if (p == NULL)
		return;
	HASH_CLEAR(hh, p->by_name);
	HASH_ITER (hh, p->registered, r, next) {
		HASH_DEL(p->registered, r);
		free(r);
	}
	for (size_t i = 0; i < p->nentries; i++)
		free(p->entry[i].error);
	plan_bucket_clear(&p->orders);
	for (size_t i = 0; i < p->ndomains; i++)
		plan_bucket_clear(&p->domain[i]);
	free(p->entry);
	free(p->name);
	free(p->text);
	free(p->domain);
	free(p->domain_name);
	free(p);
}

/* --- the list -------------------------------------------------------------------- */

static size_t
domain_of(struct plan_request *p, const char *name)
{
	const char *registered = domain_registered(name);
	struct registered *r;

	HASH_FIND_STR(p->registered, registered, r);
	if (r != NULL)
		return r->at;
	r = xcalloc(1, sizeof(*r));
	memcpy(r->name, registered, strlen(registered) + 1);
	r->at = p->ndomains++;
	p->domain_name[r->at] = r->name;
	HASH_ADD_STR(p->registered, name, r);
	return r->at;
}

/* Certificates of a name after its first one. */
static size_t
more(const struct plan_request *p)
{
	const char *key_type = p->request->api->conf->acme.key_type;

	return strcmp(key_type, KEY_DUAL) == 0 ? 1 : 0;
}

static void
take_name(struct plan_request *p, struct entry *x, const char *text)
{
	struct err e = { 0 };
	struct entry *twin;

	if (domain_normalise(text, x->name, &e) == -1) {
		x->error = xstrdup(e.text);
		return;
	}
	HASH_FIND_STR(p->by_name, x->name, twin);
	if (twin != NULL) {
		x->error = xstrdup("is in the list twice");
		return;
	}
	HASH_ADD_STR(p->by_name, name, x);
	x->at = p->nnames++;
	p->text[x->at] = x->name;
	p->name[x->at] = (struct plan_name){ .domain = domain_of(p, x->name),
		.own = LIMIT_BUCKETS,
		.more = more(p) };
}

static void
take_list(struct plan_request *p, const json_t *list)
{
	size_t n = json_array_size(list), i;
	const json_t *text;

	p->entry = xcalloc(n + 1, sizeof(*p->entry));
	p->name = xcalloc(n + 1, sizeof(*p->name));
	p->text = xcalloc(n + 1, sizeof(*p->text));
	p->domain = xcalloc(n + 1, sizeof(*p->domain));
	p->domain_name = xcalloc(n + 1, sizeof(*p->domain_name));
	p->nentries = n;
	json_array_foreach (list, i, text)
		take_name(p, &p->entry[i], json_string_value(text));
}

/* --- the answer -------------------------------------------------------------------- */

static json_t *
answer_name(const struct plan_request *p, const json_t *asked, size_t i)
{
	const struct entry *x = &p->entry[i];
	const struct plan_name *n;

	if (x->error != NULL)
		return json_pack("{s:o, s:o}", "name",
		    json_text(json_string_value(asked)), "error",
		    json_text(x->error));
	n = &p->name[x->at];
	return json_pack("{s:s, s:s, s:o, s:b, s:o}", "name", x->name,
	    "registered_domain", p->domain_name[n->domain], "at",
	    json_time(n->at), "now", (int)(n->at <= p->now), "waits_for",
	    n->why != LIMIT_BUCKETS ? json_string(limit_name(n->why))
				    : json_null());
}

static void
answer(struct plan_request *p)
{
	struct request *q = p->request;
	const json_t *list = json_object_get(q->body, "names"), *asked;
	json_t *plan = json_array();
	size_t i;

	plan_run(
	    &p->orders, p->domain, p->ndomains, p->name, p->nnames, p->now);
	json_array_foreach (list, i, asked)
		json_array_append_new(plan, answer_name(p, asked, i));
	request_reply(q, 200,
	    json_pack("{s:o, s:o}", "now", json_time(p->now), "plan", plan));
}

/* --- the buckets ---------------------------------------------------------------------- */

static void
keep(struct plan_request *p, const struct look *k,
    const struct store_limit *found)
{
	struct plan_name *n;

	switch (k->bucket) {
	case LIMIT_ORDERS:
		plan_bucket_init(&p->orders, &k->limit, found->spent,
		    found->nspent, found->blocked_until);
		break;
	case LIMIT_DOMAIN:
		plan_bucket_init(&p->domain[k->at], &k->limit, found->spent,
		    found->nspent, found->blocked_until);
		break;
	case LIMIT_SET:
	case LIMIT_FAILURES:
		n = &p->name[k->at];
		if (found->free_at > n->ready) {
			n->ready = found->free_at;
			n->own = k->bucket;
		}
		break;
	case LIMIT_BUCKETS:
		break;
	}
}

static void
got_look(void *arg, const struct store_limit *found, const struct err *e)
{
	struct look *k = arg;
	struct plan_request *p = k->plan;

	p->waiting--;
	if (e != NULL)
		p->e = *e;
	else
		keep(p, k, found);
	k->plan = NULL;
	go_on(p);
}

/* The looks in one row: the account, the domains, two for each name. */
static bool
next_look(struct plan_request *p, struct look *k)
{
	const struct conf *conf = p->request->api->conf;
	size_t at = p->next;
	const char *of = "";

	k->bucket = LIMIT_ORDERS;
	if (at > 0 && at <= p->ndomains) {
		k->bucket = LIMIT_DOMAIN;
		k->at = at - 1;
		of = p->domain_name[k->at];
	} else if (at > p->ndomains) {
		at -= p->ndomains + 1;
		k->bucket = at % 2 == 0 ? LIMIT_SET : LIMIT_FAILURES;
		k->at = at / 2;
		if (k->at >= p->nnames)
			return false;
		of = p->text[k->at];
	}
	limit_of(conf, conf->acme.directory, k->bucket, of, &k->limit);
	/* Its own are the same names: the last of them needs a place, too. */
	if (k->bucket == LIMIT_SET && k->limit.max > (int64_t)more(p))
		k->limit.max -= (int64_t)more(p);
	p->next++;
	k->plan = p;
	return true;
}

/* There is one while fewer than all are waiting. */
static struct look *
free_look(struct plan_request *p)
{
	size_t i = 0;

	while (i < IN_FLIGHT_MAX - 1 && p->look[i].plan != NULL)
		i++;
	return &p->look[i];
}

static void
go_on(struct plan_request *p)
{
	struct store *store = p->request->api->store;
	bool listed;
	struct look *k;

	while (p->e.kind == ERR_NONE && p->waiting < IN_FLIGHT_MAX &&
	       next_look(p, k = free_look(p))) {
		p->waiting++;
		listed = k->bucket == LIMIT_ORDERS || k->bucket == LIMIT_DOMAIN;
		store_limit_peek(store, &k->limit,
		    listed ? STORE_LIMIT_SPENT_MAX : 0, got_look, k);
	}
	if (p->waiting > 0)
		return;
	if (p->e.kind != ERR_NONE)
		request_store_error(p->request, &p->e);
	else
		answer(p);
}

void
plan_make(struct request *q)
{
	const json_t *list = json_object_get(q->body, "names"), *one;
	struct plan_request *p;
	size_t i;

	if (!json_is_array(list)) {
		request_error(q, 400, "bad_request",
		    "names must be a list of names, as in "
		    "{\"names\":[\"www.shop.example\"]}");
		return;
	}
	json_array_foreach (list, i, one)
		if (!json_is_string(one)) {
			request_error(q, 400, "bad_request",
			    "names must be a list of texts");
			return;
		}
	p = xcalloc(1, sizeof(*p));
	p->request = q;
	p->now = loop_wall_ms();
	q->plan = p;
	take_list(p, list);
	go_on(p);
}
