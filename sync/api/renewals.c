/*
 * What is ahead: how many certificates are renewed and how many end on each of
 * the coming days.  All domains are looked at for that, so what was found is
 * told for a while.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/api/request.h"
#include "sync/store_search.h"

#define DAYS 90
#define DAY_MS 86400000
#define FRESH_MS 30000

struct renewals {
	json_t *told;
	int64_t at; /* monotonic ms */
	int days;
};

void
renewals_free(struct renewals *r)
{
	if (r == NULL)
		return;
	json_decref(r->told);
	free(r);
}

static int
asked_days(const struct request *q, struct err *e)
{
	int64_t days;

	if (target_int(
		&q->target, "days", 1, STORE_AHEAD_DAYS, DAYS, &days, e) == -1)
		return -1;
	return (int)days;
}

/* Midnight, UTC. */
static int64_t
today(int64_t now)
{
	return now - now % DAY_MS;
}

static json_t *
day(int64_t at, int64_t renewals, int64_t ends, int64_t custom_ends)
{
	char text[STR_TIME_MAX], date[11];

	snprintf(date, sizeof(date), "%.10s", str_time(text, at));
	return json_pack("{s:s, s:I, s:I, s:I}", "date", date, "renewals",
	    (json_int_t)renewals, "ends", (json_int_t)ends, "custom_ends",
	    (json_int_t)custom_ends);
}

static json_t *
describe(const struct store_ahead *a, int days, int64_t now)
{
	json_t *list = json_array();

	for (int i = 1; i <= days; i++)
		json_array_append_new(
		    list, day(today(now) + (int64_t)(i - 1) * DAY_MS,
			      a->renewals[i], a->ends[i], a->custom_ends[i]));
	return json_pack("{s:o, s:{s:I, s:I, s:I}, s:o}", "at", json_time(now),
	    "before", "renewals", (json_int_t)a->renewals[0], "ends",
	    (json_int_t)a->ends[0], "custom_ends",
	    (json_int_t)a->custom_ends[0], "days", list);
}

static void
got_ahead(void *arg, const struct store_ahead *a, const struct err *e)
{
	struct request *q = arg;
	struct api *api = q->api;
	struct err unused = { 0 };
	int days = asked_days(q, &unused);

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	renewals_free(api->renewals);
	api->renewals = xcalloc(1, sizeof(*api->renewals));
	api->renewals->told = describe(a, days, loop_wall_ms());
	api->renewals->at = loop_now_ms();
	api->renewals->days = days;
	request_reply(q, 200, json_incref(api->renewals->told));
}

void
renewals_show(struct request *q)
{
	const struct renewals *r = q->api->renewals;
	struct err e = { 0 };
	int days = asked_days(q, &e);

	if (days == -1)
		request_error(q, 400, "bad_request", "%s", e.text);
	else if (r != NULL && r->days == days &&
		 loop_now_ms() - r->at < FRESH_MS)
		request_reply(q, 200, json_incref(r->told));
	else
		store_ahead(
		    q->api->store, today(loop_wall_ms()), days, got_ahead, q);
}
