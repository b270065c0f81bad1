/*
 * DNSimple, API v2: https://developer.dnsimple.com/v2/
 *
 * Records are objects, one for each value.  A token belongs to an account or
 * to a user with several; so who it is comes first, and a zone's id is the
 * account that has it.
 */
#include <stdio.h>
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/str.h"
#include "providers/providers.h"
#include "providers/step.h"
#include "providers/txt.h"

/* The quota is one by the hour, and Retry-After is not said. */
#define RETRY_MS 600000

enum {
	PROBE = 0,
	ZONE,
	LIST,
	ADD,
	DELETE
};

static void
begin(const struct txt_record *t, struct http_msg_req *req, const char *method)
{
	step_start(t, req, method);
	http_msg_header(
	    req, "Authorization: Bearer %s", t->access->credential[0]);
	http_msg_header(req, "Accept: application/json");
}

/* {"message", "errors": {field: [text]}}; 412: not in the account's plan. */
static int
refused(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = step_json(res), *texts;
	const char *message = "", *field;
	struct buf said;

	json_unpack(answer, "{s:s}", "message", &message);
	buf_init(&said, HTTP_MSG_BODY_MAX);
	buf_puts(&said, message);
	json_object_foreach (json_object_get(answer, "errors"), field, texts) {
		const char *s = json_string_value(json_array_get(texts, 0));

		buf_putf(&said, ", %s %s", field, s != NULL ? s : "");
	}
	step_refused_as(
	    t, res->status == 412 ? 402 : res->status, res, said.p, e);
	if (e->kind == ERR_LIMITED && e->retry_ms == 0)
		e->retry_ms = RETRY_MS;
	buf_wipe(&said);
	json_decref(answer);
	return -1;
}

/* The member "data" is what matters; the caller owns the answer. */
static json_t *
unwrap(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status / 100 == 2)
		return step_accepted(t, res, e);
	refused(t, res, e);
	return NULL;
}

/* An empty list of accounts: the token is a user's, who is to be asked. */
static int
login_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	json_t *accounts = t->access->accounts;

	(void)e;
	begin(t, req, "GET");
	if (accounts != NULL && json_array_size(accounts) == 0)
		http_msg_url(req, "/accounts");
	else
		http_msg_url(req, "/whoami");
	return 0;
}

/* {account: {id}}, with null instead for a user, or [{id}]. */
static json_t *
ids_of(json_t *data)
{
	json_t *ids = json_array(), *account;
	json_int_t id;
	size_t i;

	if (json_unpack(data, "{s:{s:I}}", "account", "id", &id) == 0)
		json_array_append_new(ids, json_integer(id));
	json_array_foreach (data, i, account)
		if (json_unpack(account, "{s:I}", "id", &id) == 0)
			json_array_append_new(ids, json_integer(id));
	return ids;
}

/* By what it is: others with this access may have asked meanwhile. */
static int
login_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	struct provider_access *a = t->access;
	json_t *answer = unwrap(t, res, e), *data;
	bool list;

	if (answer == NULL)
		return -1;
	data = json_object_get(answer, "data");
	list = json_is_array(data);
	json_decref(a->accounts);
	a->accounts = ids_of(data);
	json_decref(answer);
	if (json_array_size(a->accounts) > 0)
		a->until_s = INT64_MAX;
	else if (list)
		return err_set(e, ERR_CONFIG,
		    "dnsimple: the token in DNS_DNSIMPLE_OAUTH_TOKEN has no "
		    "account");
	return 0;
}

static void
zones_url(const struct txt_record *t, struct http_msg_req *req, size_t account)
{
	http_msg_url(req, "/%" JSON_INTEGER_FORMAT "/zones",
	    json_integer_value(json_array_get(t->access->accounts, account)));
}

static int
probe_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "GET");
	zones_url(t, req, 0);
	http_msg_url(req, "?per_page=1");
	return 0;
}

static int
probe_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = unwrap(t, res, e);

	if (answer == NULL)
		return -1;
	json_decref(answer);
	t->step = PROVIDER_DONE;
	return 0;
}

/* A page is an account here: the zone is looked for in each. */
static int
zone_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "GET");
	zones_url(t, req, t->page - 1);
	http_msg_url(req, "/");
	http_msg_url_piece(req, t->zone);
	return 0;
}

static int
next_zone(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (t->page >= json_array_size(t->access->accounts))
		return step_not_this_zone(t, res, e);
	if (res->status == 403)
		t->conflicts++;
	t->page++;
	return 0;
}

/* What is not served, or is copied from elsewhere, is of no use. */
static int
zone_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int active = 1, secondary = 0;
	json_int_t account = 0;
	json_t *answer;

	if (res->status == 404 || res->status == 403)
		return next_zone(t, res, e);
	answer = unwrap(t, res, e);
	if (answer == NULL)
		return -1;
	json_unpack(answer, "{s:{s:I,s?b,s?b}}", "data", "account_id", &account,
	    "active", &active, "secondary", &secondary);
	json_decref(answer);
	if (account == 0)
		return err_set(
		    e, ERR_AGAIN, "dnsimple answered without a zone");
	if (!active || secondary)
		return next_zone(t, res, e);
	snprintf(
	    t->zone_id, sizeof(t->zone_id), "%" JSON_INTEGER_FORMAT, account);
	t->step = PROVIDER_DONE;
	return 0;
}

static void
records_url(const struct txt_record *t, struct http_msg_req *req)
{
	http_msg_url(req, "/");
	http_msg_url_piece(req, t->zone_id);
	http_msg_url(req, "/zones/");
	http_msg_url_piece(req, t->zone);
	http_msg_url(req, "/records");
}

static int
list_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	char relative[254];

	(void)e;
	begin(t, req, "GET");
	records_url(t, req);
	http_msg_url(req, "?name=");
	http_msg_url_piece(req, step_relative(t, relative, ""));
	http_msg_url(req, "&type=TXT&page=%u&per_page=100", t->page);
	return 0;
}

static void
keep_id(struct txt_record *t, json_int_t id)
{
	snprintf(
	    t->record_id, sizeof(t->record_id), "%" JSON_INTEGER_FORMAT, id);
}

/* The id of the record with our value; "" when none has it. */
static void
find_value(struct txt_record *t, json_t *records)
{
	const char *content;
	json_t *record;
	json_int_t id;
	size_t i;

	t->record_id[0] = '\0';
	json_array_foreach (records, i, record)
		if (json_unpack(record, "{s:I,s:s}", "id", &id, "content",
			&content) == 0 &&
		    txt_same(content, t->value)) {
			keep_id(t, id);
			return;
		}
}

static int
list_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = unwrap(t, res, e);
	json_int_t pages = 0;

	if (answer == NULL)
		return -1;
	find_value(t, json_object_get(answer, "data"));
	json_unpack(answer, "{s:{s:I}}", "pagination", "total_pages", &pages);
	json_decref(answer);
	if (t->record_id[0] != '\0')
		t->step = t->op == PROVIDER_CREATE ? PROVIDER_DONE : DELETE;
	else if (pages > (json_int_t)t->page)
		t->page++;
	else
		t->step = t->op == PROVIDER_CREATE ? ADD : PROVIDER_DONE;
	return 0;
}

static int
add_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	char relative[254];
	struct buf content;
	bool bare = str_only(t->value, strlen(t->value), B64URL_CHARS);

	(void)e;
	buf_init(&content, 4096);
	begin(t, req, "POST");
	records_url(t, req);
	if ((bare ? buf_puts(&content, t->value)
		  : txt_quote(&content, t->value)) == -1)
		req->too_long = true;
	step_send_json(
	    req, json_pack("{s:s,s:s,s:s,s:i}", "name",
		     step_relative(t, relative, ""), "type", "TXT", "content",
		     content.p, "ttl", t->access->provider->ttl));
	buf_clear(&content);
	return 0;
}

/* 400 is also said of what is there by now: once, look again. */
static int
add_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_int_t id = 0;
	json_t *answer;

	if (res->status == 400 && t->conflicts++ == 0) {
		t->step = LIST;
		t->page = 1;
		return 0;
	}
	answer = unwrap(t, res, e);
	if (answer == NULL)
		return -1;
	json_unpack(answer, "{s:{s:I}}", "data", "id", &id);
	json_decref(answer);
	keep_id(t, id);
	t->step = PROVIDER_DONE;
	return 0;
}

static int
delete_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "DELETE");
	records_url(t, req);
	http_msg_url(req, "/");
	http_msg_url_piece(req, t->record_id);
	return 0;
}

/* Already gone is as good as removed. */
static int
delete_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status / 100 != 2 && res->status != 404)
		return refused(t, res, e);
	t->record_id[0] = '\0';
	t->step = PROVIDER_DONE;
	return 0;
}

static const struct provider_step steps[] = {
	/* clang-format off */
	[PROBE]  = { probe_ask,  probe_got },
	[ZONE]   = { zone_ask,   zone_got },
	[LIST]   = { list_ask,   list_got },
	[ADD]    = { add_ask,    add_got },
	[DELETE] = { delete_ask, delete_got },
	/* clang-format on */
};

const struct provider provider_dnsimple = {
	.name = "dnsimple",
	.base_url = "https://api.dnsimple.com/v2",
	.setting = {
		{ .name = "DNS_DNSIMPLE_OAUTH_TOKEN", .ways = 1 },
	},
	.nsettings = 1,
	.step = steps,
	.first = { PROBE, ZONE, LIST, LIST },
	.login = { login_ask, login_got },
	.ttl = 60,
	.poll_ms = 2000,
	.limit_ms = 120000,
};
