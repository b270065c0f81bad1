/*
 * When would these names get their certificates?  The buckets of all of them
 * are looked at, then sync/plan.c goes through the weeks.
 */
#include <stdbool.h>
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

#define IN_FLIGHT_MAX 16

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

/* One look: at a bucket with its spends, or at those of several names. */
struct look {
	struct plan_request *plan; /* NULL: free */
	size_t at;                 /* in the row of all */
	size_t n;
	struct limit limit[STORE_LIMITS_PEEK_MAX];
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
	size_t next; /* bucket to look at */
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

/*
 * All buckets in one row: the account's, the domains', two for each name.  With
 * listed the times of their spends are wanted, else there are many of them.
 * Which one it is, and of what: -1 behind the last one.
 */
static int
bucket_at(const struct plan_request *p, size_t at, size_t *of, bool *listed)
{
	*of = 0;
	*listed = at <= p->ndomains;
	if (at == 0)
		return LIMIT_ORDERS;
	if (*listed) {
		*of = at - 1;
		return LIMIT_DOMAIN;
	}
	at -= p->ndomains + 1;
	*of = at / 2;
	if (*of >= p->nnames)
		return -1;
	return at % 2 == 0 ? LIMIT_SET : LIMIT_FAILURES;
}

static void
keep_listed(struct plan_request *p, const struct look *k,
    const struct store_limit *found)
{
	struct plan_bucket *b = k->at == 0 ? &p->orders : &p->domain[k->at - 1];

	plan_bucket_init(
	    b, &k->limit[0], found->spent, found->nspent, found->blocked_until);
}

static void
keep_name(struct plan_request *p, size_t at, const struct store_limit *found)
{
	bool listed;
	size_t of;
	int bucket = bucket_at(p, at, &of, &listed);
	struct plan_name *n = &p->name[of];

	if (found->free_at <= n->ready)
		return;
	n->ready = found->free_at;
	n->own = (enum limit_bucket)bucket;
}

/* It may begin the next look, or be the last one. */
static void
looked(struct look *k, const struct err *e)
{
	struct plan_request *p = k->plan;

	p->waiting--;
	if (e != NULL)
		p->e = *e;
	k->plan = NULL;
	go_on(p);
}

static void
got_look(void *arg, const struct store_limit *found, const struct err *e)
{
	struct look *k = arg;

	if (e == NULL)
		keep_listed(k->plan, k, found);
	looked(k, e);
}

static void
got_looks(void *arg, const struct store_limit *found, size_t n, bool granted,
    const struct err *e)
{
	struct look *k = arg;
	struct err other;

	(void)granted;
	if (e == NULL && n != k->n) {
		err_set(&other, ERR_BUG, "Redis answers for other limits");
		e = &other;
	}
	for (size_t i = 0; e == NULL && i < n; i++)
		keep_name(k->plan, k->at + i, &found[i]);
	looked(k, e);
}

/* As many as fit into the look; false when there is nothing left to look at. */
static bool
next_look(struct plan_request *p, struct look *k)
{
	const struct conf *conf = p->request->api->conf;
	bool listed = false;
	struct limit *l;
	const char *name;
	int bucket;
	size_t of;

	k->at = p->next;
	k->n = 0;
	while (!listed && k->n < STORE_LIMITS_PEEK_MAX &&
	       (bucket = bucket_at(p, p->next, &of, &listed)) != -1) {
		l = &k->limit[k->n++];
		name = bucket == LIMIT_ORDERS   ? ""
		       : bucket == LIMIT_DOMAIN ? p->domain_name[of]
		                                : p->text[of];
		limit_of(conf, conf->acme.directory, (enum limit_bucket)bucket,
		    name, l);
		/* Its own are the same names: the last needs a place, too. */
		if (bucket == LIMIT_SET && l->max > (int64_t)more(p))
			l->max -= (int64_t)more(p);
		p->next++;
	}
	k->plan = k->n > 0 ? p : NULL;
	return k->n > 0;
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
	struct look *k;

	while (p->e.kind == ERR_NONE && p->waiting < IN_FLIGHT_MAX &&
	       next_look(p, k = free_look(p))) {
		p->waiting++;
		if (k->at <= p->ndomains)
			store_limit_peek(store, &k->limit[0],
			    STORE_LIMIT_SPENT_MAX, got_look, k);
		else
			store_limits_peek(store, k->limit, k->n, got_looks, k);
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
