/*
 * OVH: https://eu.api.ovh.com/ and https://ca.api.ovh.com/
 *
 * Records are objects; nothing is published before the zone is refreshed.  A
 * consumer key has rules about methods and paths, and many may not GET: then
 * the zone is what DNS says, and a record is removed by the id it was made
 * with.  Requests are signed with the provider's time, so that is asked first.
 */
#include <stdio.h>
#include <string.h>

#include "common/b64.h"
#include "common/str.h"
#include "providers/ovh_call.h"
#include "providers/providers.h"
#include "providers/step.h"
#include "providers/txt.h"

enum {
	PROBE = 0,
	ZONES,
	ZONE,
	LIST,
	RECORD,
	ADD,
	DELETE,
	REFRESH
};

static int
time_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	ovh_begin(t, req, "GET");
	http_msg_url(req, "/auth/time");
	return 0;
}

static int
time_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int64_t server_s;

	if (res->status / 100 != 2)
		return ovh_refused(t, res, e);
	if (str_int(res->body, 1, INT64_MAX / 2, &server_s) == -1)
		return err_set(e, ERR_AGAIN,
		    "ovh answered the question for its time with nonsense");
	t->access->clock_s = server_s - t->now_s;
	t->access->until_s = INT64_MAX;
	return 0;
}

static int
zones_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	ovh_begin(t, req, "GET");
	http_msg_url(req, "/domain/zone");
	return ovh_sign_request(t, req);
}

/* A key that may not do this has been recognised all the same. */
static int
probe_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (ovh_clock_is_wrong(t, res))
		return 0;
	if (res->status / 100 != 2 && !ovh_not_granted(res))
		return ovh_refused(t, res, e);
	t->step = PROVIDER_DONE;
	return 0;
}

static bool
in_list(json_t *list, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach (list, i, entry) {
		const char *s = json_string_value(entry);

		if (s != NULL && strcasecmp(s, name) == 0)
			return true;
	}
	return false;
}

static int
zone_found(struct txt_record *t, struct err *e)
{
	t->step = PROVIDER_DONE;
	return str_copy(t->zone_id, sizeof(t->zone_id), t->zone, e);
}

static int
zones_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *list;
	int rc = 0;

	if (ovh_clock_is_wrong(t, res))
		return 0;
	if (ovh_not_granted(res)) {
		t->step = ZONE;
		return 0;
	}
	if (res->status / 100 != 2)
		return ovh_refused(t, res, e);
	list = step_accepted(t, res, e);
	if (list == NULL)
		return -1;
	while (rc == 0 && !in_list(list, t->zone))
		rc = step_next_zone(t, e);
	json_decref(list);
	return rc == 0 ? zone_found(t, e) : -1;
}

static void
zone_url(struct txt_record *t, struct http_msg_req *req, const char *method)
{
	ovh_begin(t, req, method);
	http_msg_url(req, "/domain/zone/");
	http_msg_url_piece(req, t->zone);
}

static int
zone_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	zone_url(t, req, "GET");
	return ovh_sign_request(t, req);
}

/* With a key that may see nothing, DNS has the last word. */
static int
zone_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status / 100 == 2)
		return zone_found(t, e);
	if (res->status == 404)
		return step_next_zone(t, e);
	if (ovh_not_granted(res) && t->soa_zone[0] != '\0' &&
	    strcmp(t->zone, t->soa_zone) == 0)
		return zone_found(t, e);
	return ovh_refused(t, res, e);
}

static int
list_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	char relative[254];

	(void)e;
	zone_url(t, req, "GET");
	http_msg_url(req, "/record?fieldType=TXT&subDomain=");
	http_msg_url_piece(req, step_relative(t, relative, ""));
	return ovh_sign_request(t, req);
}

/* Without a look: add, or remove what we know the number of. */
static int
go_on_blind(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (t->op == PROVIDER_REMOVE && t->record_id[0] == '\0')
		return ovh_refused(t, res, e);
	if (t->op == PROVIDER_REMOVE)
		t->step = DELETE;
	else
		t->step = t->record_id[0] == '\0' ? ADD : REFRESH;
	return 0;
}

/*
 * Look at the next record of the list; behind the last, ours is not there.  A
 * removal refreshes nevertheless: an earlier one may have stopped before.
 */
static void
next_record(struct txt_record *t)
{
	if (t->page++ < json_array_size(t->set))
		t->step = RECORD;
	else
		t->step = t->op == PROVIDER_CREATE ? ADD : REFRESH;
}

static int
list_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *ids;

	if (ovh_clock_is_wrong(t, res))
		return 0;
	if (ovh_not_granted(res))
		return go_on_blind(t, res, e);
	if (res->status / 100 != 2)
		return ovh_refused(t, res, e);
	ids = step_accepted(t, res, e);
	if (ids == NULL)
		return -1;
	step_keep_set(t, ids);
	t->page = 0;
	next_record(t);
	return 0;
}

static int
record_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	zone_url(t, req, "GET");
	http_msg_url(req, "/record/%" JSON_INTEGER_FORMAT,
	    json_integer_value(json_array_get(t->set, t->page - 1)));
	return ovh_sign_request(t, req);
}

static int
record_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	const char *target = "";
	json_int_t id = 0;
	json_t *record;

	if (ovh_not_granted(res))
		return go_on_blind(t, res, e);
	if (res->status == 404) {
		next_record(t);
		return 0;
	}
	if (res->status / 100 != 2)
		return ovh_refused(t, res, e);
	record = step_accepted(t, res, e);
	if (record == NULL)
		return -1;
	json_unpack(record, "{s:s,s:I}", "target", &target, "id", &id);
	if (id > 0 && txt_same(target, t->value)) {
		snprintf(t->record_id, sizeof(t->record_id),
		    "%" JSON_INTEGER_FORMAT, id);
		/* It may be there since a crash, and not be published. */
		t->step = t->op == PROVIDER_CREATE ? REFRESH : DELETE;
	} else {
		next_record(t);
	}
	json_decref(record);
	return 0;
}

static int
add_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	char relative[254];
	struct buf target;
	bool bare = str_only(t->value, strlen(t->value), B64URL_CHARS);

	(void)e;
	buf_init(&target, 4096);
	zone_url(t, req, "POST");
	http_msg_url(req, "/record");
	if ((bare ? buf_puts(&target, t->value)
		  : txt_quote(&target, t->value)) == -1)
		req->too_long = true;
	step_send_json(
	    req, json_pack("{s:s,s:s,s:s,s:i}", "fieldType", "TXT", "subDomain",
		     step_relative(t, relative, ""), "target", target.p, "ttl",
		     t->access->provider->ttl));
	buf_clear(&target);
	return ovh_sign_request(t, req);
}

static int
add_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *record;
	json_int_t id = 0;

	if (ovh_clock_is_wrong(t, res))
		return 0;
	if (res->status / 100 != 2)
		return ovh_refused(t, res, e);
	record = step_accepted(t, res, e);
	if (record == NULL)
		return -1;
	json_unpack(record, "{s:I}", "id", &id);
	json_decref(record);
	snprintf(
	    t->record_id, sizeof(t->record_id), "%" JSON_INTEGER_FORMAT, id);
	t->step = REFRESH;
	return 0;
}

static int
delete_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	zone_url(t, req, "DELETE");
	http_msg_url(req, "/record/");
	http_msg_url_piece(req, t->record_id);
	return ovh_sign_request(t, req);
}

/* Already gone is as good as removed. */
static int
delete_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (ovh_clock_is_wrong(t, res))
		return 0;
	if (res->status / 100 != 2 && res->status != 404)
		return ovh_refused(t, res, e);
	t->record_id[0] = '\0';
	t->step = REFRESH;
	return 0;
}

static int
refresh_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	zone_url(t, req, "POST");
	http_msg_url(req, "/refresh");
	return ovh_sign_request(t, req);
}

static int
refresh_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status / 100 != 2)
		return ovh_refused(t, res, e);
	t->step = PROVIDER_DONE;
	return 0;
}

static const struct provider_step steps[] = {
	/* clang-format off */
	[PROBE]   = { zones_ask,   probe_got },
	[ZONES]   = { zones_ask,   zones_got },
	[ZONE]    = { zone_ask,    zone_got },
	[LIST]    = { list_ask,    list_got },
	[RECORD]  = { record_ask,  record_got },
	[ADD]     = { add_ask,     add_got },
	[DELETE]  = { delete_ask,  delete_got },
	[REFRESH] = { refresh_ask, refresh_got },
	/* clang-format on */
};

const struct provider provider_ovh = {
	.name = "ovh",
	.base_url = "https://eu.api.ovh.com/1.0",
	.setting = {
		[OVH_ENDPOINT] = { .name = "DNS_OVH_ENDPOINT", .ways = 1,
		    .plain = true },
		[OVH_APPLICATION] = { .name = "DNS_OVH_APPLICATION_KEY",
		    .ways = 1 },
		[OVH_SECRET] = { .name = "DNS_OVH_APPLICATION_SECRET",
		    .ways = 1 },
		[OVH_CONSUMER] = { .name = "DNS_OVH_CONSUMER_KEY", .ways = 1 },
	},
	.nsettings = 4,
	.check = ovh_check,
	.step = steps,
	.first = { PROBE, ZONES, LIST, LIST },
	.login = { time_ask, time_got },
	.ttl = 60,
	.poll_ms = 4000,
	.limit_ms = 600000,
};
