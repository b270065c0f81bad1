/* What is left of the CA's limits: of the account, or also of a name. */
#include "sync/api/request.h"
#include "sync/limit.h"
#include "sync/store_limit.h"

static void ask(struct request *);

/* The bucket that is asked for next; false when all have answered. */
static bool
next_limit(struct request *q, struct limit *l)
{
	static const enum limit_bucket order[] = { LIMIT_ORDERS, LIMIT_DOMAIN,
		LIMIT_SET, LIMIT_FAILURES };
	size_t at = json_array_size(json_object_get(q->reply, "limits"));
	const struct conf *conf = q->api->conf;

	if (at >= (q->name[0] != '\0' ? sizeof(order) / sizeof(order[0]) : 1))
		return false;
	limit_of(conf, conf->acme.directory, order[at], q->name, l);
	return true;
}

static json_t *
json_limit(const struct limit *l, const struct store_limit *found)
{
	char of[DOMAIN_NAME_MAX];
	json_int_t max = l->max, used = found->used, left = found->left;

	limit_subject(l, of);
	return json_pack("{s:s, s:o, s:o, s:I, s:o, s:I, s:o, s:o}", "limit",
	    limit_name(l->bucket), "of", json_text(of), "max",
	    max > 0 ? json_integer(max) : json_null(), "used", used, "left",
	    max > 0 ? json_integer(left) : json_null(), "window_s",
	    (json_int_t)(l->window_ms / 1000), "next_free_at",
	    json_time(found->free_at), "blocked_until",
	    json_time(found->blocked_until));
}

static void
got_limit(void *arg, const struct store_limit *found, const struct err *e)
{
	struct request *q = arg;
	struct limit l;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	if (next_limit(q, &l))
		json_array_append_new(
		    json_object_get(q->reply, "limits"), json_limit(&l, found));
	ask(q);
}

static void
ask(struct request *q)
{
	struct limit l;
	json_t *reply;

	if (next_limit(q, &l)) {
		store_limit_peek(q->api->store, &l, 0, got_limit, q);
		return;
	}
	reply = q->reply;
	q->reply = NULL;
	request_reply(q, 200, reply);
}

void
limits_show(struct request *q)
{
	const char *name = target_query(&q->target, "domain");
	struct err e = { 0 };

	if (name != NULL && domain_normalise(name, q->name, &e) == -1) {
		request_error(q, 400, "bad_request", "%s", e.text);
		return;
	}
	q->reply = json_pack("{s:s, s:o, s:o, s:[]}", "directory",
	    q->api->conf->acme.directory, "domain", json_text(q->name),
	    "registered_domain",
	    name != NULL ? json_text(domain_registered(q->name)) : json_null(),
	    "limits");
	ask(q);
}
