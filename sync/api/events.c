/*
 * Events: the newest ones; those that come are told by follow.c, to tokens for
 * some apps only as what has changed.
 */
#include <string.h>

#include "sync/api/auth.h"

#define EVENTS 100
#define EVENTS_MAX 1000

static void
got_events(void *arg, const struct line *line, size_t n, const struct err *e)
{
	struct request *q = arg;
	json_t *list;

	q->gather = NULL; /* it frees itself */
	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append(list, line[i].event);
	request_reply(q, 200, json_pack("{s:o}", "events", list));
}

void
events_list(struct request *q)
{
	const char *follow = target_query(&q->target, "follow");
	bool follows = follow != NULL && strcmp(follow, "0") != 0 &&
	               evhttp_request_get_command(q->http) != EVHTTP_REQ_HEAD;
	struct err e = { 0 };
	int64_t n;

	if (target_int(&q->target, "n", follows ? 0 : 1, EVENTS_MAX,
		follows ? 0 : EVENTS, &n, &e) == -1)
		request_error(q, 400, "bad_request", "%s", e.text);
	else if (auth_limited(q) && (!follows || n > 0))
		auth_refuse_limited(q);
	else if (follows)
		hub_follow(q->api->hub, q, (int)n);
	else
		q->gather =
		    gather_new(q->api->store, (int)n, (size_t)n, got_events, q);
}
