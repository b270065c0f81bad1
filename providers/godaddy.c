/*
 * GoDaddy, Domains API v1: https://developer.godaddy.com/doc/endpoint/domains
 *
 * A record set is replaced as a whole and nothing guards it, so each write is
 * looked at again.  Accounts with few domains may only call what is about one
 * record set; so nothing else is called.
 */
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/str.h"
#include "providers/providers.h"
#include "providers/step.h"
#include "providers/txt.h"

#define RETRY_MAX_S 3600
#define SOMEONES_ZONE "example.com"

enum {
	API_KEY = 0,
	SECRET
};
enum {
	PROBE = 0,
	ZONE,
	READ,
	WRITE
};

static void
begin(const struct txt_record *t, struct http_msg_req *req, const char *method,
    const char *zone, const char *relative)
{
	char *const *credential = t->access->credential;

	step_start(t, req, method);
	http_msg_url(req, "/domains/");
	http_msg_url_piece(req, zone);
	http_msg_url(req, "/records/TXT/");
	http_msg_url_piece(req, relative);
	http_msg_header(req, "Authorization: sso-key %s:%s",
	    credential[API_KEY], credential[SECRET]);
}

static bool
is_malformed(json_t *answer)
{
	const char *code = "";

	json_unpack(answer, "{s:s}", "code", &code);
	return strcmp(code, "MALFORMED_CREDENTIALS") == 0;
}

/* {code, message, retryAfterSec} */
static int
refused(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = step_json(res);
	const char *message = "";
	json_int_t retry_s = 0;
	int status = is_malformed(answer) ? 401 : res->status;
	struct buf said;

	json_unpack(answer, "{s:s}", "message", &message);
	json_unpack(answer, "{s:I}", "retryAfterSec", &retry_s);
	buf_init(&said, HTTP_MSG_BODY_MAX);
	if (status == 403)
		buf_puts(
		    &said, "accounts need 10 domains or a plan for this, ");
	buf_puts(&said, message);
	step_refused_as(t, status, res, said.p, e);
	if (e->kind == ERR_LIMITED && e->retry_ms == 0 && retry_s > 0)
		e->retry_ms =
		    1000 * (retry_s < RETRY_MAX_S ? retry_s : RETRY_MAX_S);
	buf_wipe(&said);
	json_decref(answer);
	return -1;
}

/* There is no harmless question but one about another's domain. */
static int
probe_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "GET", SOMEONES_ZONE, "_acme-challenge");
	return 0;
}

/* Whoever is told that it is not his has been recognised. */
static int
probe_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status / 100 != 2 && res->status != 403 && res->status != 404)
		return refused(t, res, e);
	t->step = PROVIDER_DONE;
	return 0;
}

/* Zones are registered domains: none begins with an underscore. */
static int
zone_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	char relative[254];

	while (t->zone[0] == '_')
		if (step_next_zone(t, e) == -1)
			return -1;
	begin(t, req, "GET", t->zone, step_relative(t, relative, "@"));
	return 0;
}

/* The list, the caller owns it. */
static json_t *
unwrap(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *list;

	if (res->status / 100 != 2) {
		refused(t, res, e);
		return NULL;
	}
	list = step_accepted(t, res, e);
	if (list == NULL || json_is_array(list))
		return list;
	json_decref(list);
	err_set(e, ERR_AGAIN,
	    "godaddy answered with something else than a "
	    "list of records");
	return NULL;
}

static int
next_zone(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int rc;

	do
		rc = step_not_this_zone(t, res, e);
	while (rc == 0 && t->zone[0] == '_');
	return rc;
}

/* 422: no domain at all, they think. */
static int
zone_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *list;

	if (res->status == 404 || res->status == 403 || res->status == 422)
		return next_zone(t, res, e);
	list = unwrap(t, res, e);
	if (list == NULL)
		return -1;
	json_decref(list);
	t->step = PROVIDER_DONE;
	return str_copy(t->zone_id, sizeof(t->zone_id), t->zone, e);
}

static int
read_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	char relative[254];

	(void)e;
	begin(t, req, "GET", t->zone, step_relative(t, relative, "@"));
	return 0;
}

static const char *
data_of(json_t *record)
{
	const char *data = "";

	json_unpack(record, "{s:s}", "data", &data);
	return data;
}

static bool
has_ours(const struct txt_record *t)
{
	json_t *record;
	size_t i;

	json_array_foreach (t->set, i, record)
		if (txt_same(data_of(record), t->value))
			return true;
	return false;
}

static int
read_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *list;

	step_keep_set(t, NULL);
	if (res->status != 404 || t->op != PROVIDER_REMOVE) {
		list = unwrap(t, res, e);
		if (list == NULL)
			return -1;
		step_keep_set(t, list);
	}
	t->step =
	    has_ours(t) == (t->op == PROVIDER_CREATE) ? PROVIDER_DONE : WRITE;
	return 0;
}

/*
 * The records that shall be there: with ours, or without it.  What is empty
 * was left behind by others in place of a removal, and is not accepted back.
 */
static json_t *
new_records(const struct txt_record *t, struct http_msg_req *req)
{
	json_t *records = json_array(), *record;
	struct buf data;
	size_t i;

	json_array_foreach (t->set, i, record)
		if (data_of(record)[0] != '\0' &&
		    !txt_same(data_of(record), t->value))
			json_array_append(records, record);
	if (t->op == PROVIDER_REMOVE)
		return records;
	buf_init(&data, 4096);
	if ((str_only(t->value, strlen(t->value), B64URL_CHARS)
		    ? buf_puts(&data, t->value)
		    : txt_quote(&data, t->value)) == -1)
		req->too_long = true;
	json_array_append_new(records, json_pack("{s:s,s:i}", "data", data.p,
					   "ttl", t->access->provider->ttl));
	buf_clear(&data);
	return records;
}

static int
write_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	json_t *records;
	char relative[254];

	(void)e;
	begin(t, req, "PUT", t->zone, step_relative(t, relative, "@"));
	records = new_records(t, req);
	if (json_array_size(records) > 0) {
		step_send_json(req, records);
		return 0;
	}
	json_decref(records);
	begin(t, req, "DELETE", t->zone, relative);
	return 0;
}

static int
write_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	bool gone = t->op == PROVIDER_REMOVE && res->status == 404;

	if (res->status / 100 != 2 && res->status != 409 && !gone)
		return refused(t, res, e);
	return step_conflict(t, READ, e);
}

static const struct provider_step steps[] = {
	/* clang-format off */
	[PROBE] = { probe_ask, probe_got },
	[ZONE]  = { zone_ask,  zone_got },
	[READ]  = { read_ask,  read_got },
	[WRITE] = { write_ask, write_got },
	/* clang-format on */
};

const struct provider provider_godaddy = {
	.name = "godaddy",
	.base_url = "https://api.godaddy.com/v1",
	.setting = {
		[API_KEY] = { .name = "DNS_GODADDY_API_KEY", .ways = 1 },
		[SECRET] = { .name = "DNS_GODADDY_API_SECRET", .ways = 1 },
	},
	.nsettings = 2,
	.step = steps,
	.first = { PROBE, ZONE, READ, READ },
	.ttl = 600,
	.poll_ms = 2000,
	.limit_ms = 600000,
};
