/*
 * Azure DNS, Resource Manager API of 2018-05-01:
 * https://learn.microsoft.com/rest/api/dns/
 *
 * A record set is replaced as a whole, guarded by its etag.  A token is got
 * with the client's secret; with the operator's base_url it is asked for
 * there, under the same path.
 */
#include <string.h>
#include <strings.h>

#include "common/str.h"
#include "providers/oauth.h"
#include "providers/providers.h"
#include "providers/step.h"
#include "providers/txt.h"

#define LOGIN "https://login.microsoftonline.com"
#define VERSION "?api-version=2018-05-01"

enum {
	CLIENT_ID = 0,
	CLIENT_SECRET,
	SUBSCRIPTION,
	TENANT,
	GROUP
};
enum {
	PROBE = 0,
	ZONE,
	READ,
	WRITE
};

static int
token_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	const struct provider_access *a = t->access;

	(void)e;
	http_msg_start(req, "POST", a->base_url != NULL ? a->base_url : LOGIN);
	http_msg_url(req, "/");
	http_msg_url_piece(req, a->credential[TENANT]);
	http_msg_url(req, "/oauth2/v2.0/token");
	http_msg_header(req, "Content-Type: application/x-www-form-urlencoded");
	http_msg_form(req, "grant_type", "client_credentials");
	http_msg_form(req, "client_id", a->credential[CLIENT_ID]);
	http_msg_form(req, "client_secret", a->credential[CLIENT_SECRET]);
	http_msg_form(req, "scope", "https://management.azure.com/.default");
	return 0;
}

/* Begin a request for the zones of the resource group, or one of them. */
static void
begin(const struct txt_record *t, struct http_msg_req *req, const char *method,
    const char *zone)
{
	const struct provider_access *a = t->access;

	step_start(t, req, method);
	http_msg_url(req, "/subscriptions/");
	http_msg_url_piece(req, a->credential[SUBSCRIPTION]);
	http_msg_url(req, "/resourceGroups/");
	http_msg_url_piece(req, a->credential[GROUP]);
	http_msg_url(req, "/providers/Microsoft.Network/dnsZones");
	if (zone != NULL) {
		http_msg_url(req, "/");
		http_msg_url_piece(req, zone);
	}
	http_msg_header(req, "Authorization: Bearer %s", a->token);
}

/* {code, message}, or the same in "error". */
struct problem {
	json_t *answer; /* owns the texts */
	const char *code, *message;
};

static void
read_problem(const struct http_msg_res *res, struct problem *p)
{
	json_t *inner;

	p->code = p->message = "";
	p->answer = step_json(res);
	inner = json_object_get(p->answer, "error");
	json_unpack(inner != NULL ? inner : p->answer, "{s?s,s?s}", "code",
	    &p->code, "message", &p->message);
}

static int
refused(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status = res->status;
	struct problem p;

	read_problem(res, &p);
	/* 409: the owner put a lock on it, nobody is faster. */
	if (strcmp(p.code, "ScopeLocked") == 0)
		status = 423;
	step_refused_as(t, status, res, p.message, e);
	json_decref(p.answer);
	return -1;
}

/* 404 that is about more than what was asked for. */
static bool
is_elsewhere(const struct http_msg_res *res)
{
	struct problem p;
	bool is;

	read_problem(res, &p);
	is = strcmp(p.code, "SubscriptionNotFound") == 0 ||
	     strcmp(p.code, "ResourceGroupNotFound") == 0;
	json_decref(p.answer);
	return is;
}

static int
elsewhere(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (refused(t, res, e) == -1)
		e->kind = ERR_CONFIG;
	return err_prefix(
	    e, "DNS_AZURE_SUBSCRIPTION_ID or DNS_AZURE_RESOURCE_GROUP");
}

static int
probe_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "GET", NULL);
	http_msg_url(req, VERSION "&%%24top=1");
	return 0;
}

/* The token proved the secret; a role may be for one zone only. */
static int
probe_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (is_elsewhere(res))
		return elsewhere(t, res, e);
	if (res->status / 100 != 2 && res->status != 403)
		return refused(t, res, e);
	t->step = PROVIDER_DONE;
	return 0;
}

static int
zone_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "GET", t->zone);
	http_msg_url(req, VERSION);
	return 0;
}

/*
 * A role for one zone makes all others forbidden, there or not.  So what is
 * forbidden is the error only when nothing is found.
 */
static int
next_zone(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status == 403)
		t->conflicts++;
	if (step_next_zone(t, e) == 0)
		return 0;
	if (t->conflicts > 0)
		err_set(e, ERR_CONFIG,
		    "azure: no zone for %.80s in resource group %.80s, or the "
		    "credentials may not read it",
		    t->fqdn, t->access->credential[GROUP]);
	return -1;
}

static int
zone_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	const char *type = "";
	json_t *answer;

	if (is_elsewhere(res))
		return elsewhere(t, res, e);
	if (res->status == 404 || res->status == 403)
		return next_zone(t, res, e);
	if (res->status / 100 != 2)
		return refused(t, res, e);
	answer = step_accepted(t, res, e);
	if (answer == NULL)
		return -1;
	json_unpack(answer, "{s:{s:s}}", "properties", "zoneType", &type);
	if (strcasecmp(type, "Private") == 0) {
		json_decref(answer);
		return next_zone(t, res, e);
	}
	json_decref(answer);
	t->step = PROVIDER_DONE;
	return str_copy(t->zone_id, sizeof(t->zone_id), t->zone, e);
}

static void
begin_set(
    const struct txt_record *t, struct http_msg_req *req, const char *method)
{
	char relative[254];

	begin(t, req, method, t->zone);
	http_msg_url(req, "/TXT/");
	http_msg_url_piece(req, step_relative(t, relative, "@"));
	http_msg_url(req, VERSION);
}

static int
read_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin_set(t, req, "GET");
	return 0;
}

/* A record is an array of strings without quotation marks. */
static bool
is_ours(const struct txt_record *t, json_t *record)
{
	const char *rest = t->value;
	json_t *part;
	size_t i;

	json_array_foreach (json_object_get(record, "value"), i, part) {
		size_t len = json_string_length(part);

		if (!json_is_string(part) ||
		    strncmp(rest, json_string_value(part), len) != 0)
			return false;
		rest += len;
	}
	return i > 0 && *rest == '\0';
}

static size_t
position(const struct txt_record *t)
{
	json_t *records = json_object_get(t->set, "TXTRecords");
	size_t i, n = json_array_size(records);

	for (i = 0; i < n; i++)
		if (is_ours(t, json_array_get(records, i)))
			break;
	return i;
}

static int
keep_set(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = step_accepted(t, res, e), *properties;
	const char *etag = "";
	int rc;

	if (answer == NULL)
		return -1;
	json_unpack(answer, "{s:s}", "etag", &etag);
	properties = json_object_get(answer, "properties");
	rc = str_copy(t->etag, sizeof(t->etag), etag, e);
	if (rc == 0 && (etag[0] == '\0' || !json_is_object(properties)))
		rc = err_set(e, ERR_AGAIN,
		    "azure answered with a record set without etag");
	if (rc == 0)
		step_keep_set(t, json_incref(properties));
	json_decref(answer);
	return rc;
}

static int
read_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	bool has;

	step_keep_set(t, NULL);
	t->etag[0] = '\0';
	if (res->status == 404 && is_elsewhere(res))
		return elsewhere(t, res, e);
	if (res->status != 404) {
		if (res->status / 100 != 2)
			return refused(t, res, e);
		if (keep_set(t, res, e) == -1)
			return -1;
	}
	has = position(t) <
	      json_array_size(json_object_get(t->set, "TXTRecords"));
	t->step = has == (t->op == PROVIDER_CREATE) ? PROVIDER_DONE : WRITE;
	return 0;
}

/* The value as strings of at most 255 bytes. */
static json_t *
new_record(const struct txt_record *t)
{
	json_t *strings = json_array();

	for (const char *p = t->value; *p != '\0';) {
		size_t len = strnlen(p, TXT_STRING_MAX);

		json_array_append_new(strings, json_stringn(p, len));
		p += len;
	}
	return json_pack("{s:o}", "value", strings);
}

/* The records that shall be there: with ours, or without it. */
static json_t *
new_records(const struct txt_record *t)
{
	json_t *old = json_object_get(t->set, "TXTRecords");
	json_t *records = old != NULL ? json_copy(old) : json_array();

	if (t->op == PROVIDER_REMOVE)
		json_array_remove(records, position(t));
	else
		json_array_append_new(records, new_record(t));
	return records;
}

/* TTL and metadata of others are kept. */
static int
write_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	json_t *records = new_records(t), *properties;
	json_t *ttl = json_object_get(t->set, "TTL");
	json_t *metadata = json_object_get(t->set, "metadata");
	bool empty = json_array_size(records) == 0;

	(void)e;
	begin_set(t, req, empty ? "DELETE" : "PUT");
	if (t->etag[0] != '\0')
		http_msg_header(req, "If-Match: %s", t->etag);
	else
		http_msg_header(req, "If-None-Match: *");
	if (empty) {
		json_decref(records);
		return 0;
	}
	properties = json_pack("{s:o}", "TTL",
	    ttl != NULL ? json_incref(ttl)
			: json_integer(t->access->provider->ttl));
	if (metadata != NULL)
		json_object_set(properties, "metadata", metadata);
	json_object_set_new(properties, "TXTRecords", records);
	step_send_json(req, json_pack("{s:o}", "properties", properties));
	return 0;
}

static int
write_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	bool gone = t->op == PROVIDER_REMOVE && res->status == 404;

	if (res->status == 412)
		return step_conflict(t, READ, e);
	if (res->status / 100 != 2 && !gone)
		return refused(t, res, e);
	t->step = PROVIDER_DONE;
	return 0;
}

static const struct provider_step steps[] = {
	/* clang-format off */
	[PROBE] = { probe_ask, probe_got },
	[ZONE]  = { zone_ask,  zone_got },
	[READ]  = { read_ask,  read_got },
	[WRITE] = { write_ask, write_got },
	/* clang-format on */
};

const struct provider provider_azure = {
	.name = "azure",
	.base_url = "https://management.azure.com",
	.setting = {
		[CLIENT_ID] = { .name = "DNS_AZURE_CLIENT_ID", .ways = 1 },
		[CLIENT_SECRET] = { .name = "DNS_AZURE_CLIENT_SECRET",
		    .ways = 1 },
		[SUBSCRIPTION] = { .name = "DNS_AZURE_SUBSCRIPTION_ID",
		    .ways = 1, .plain = true },
		[TENANT] = { .name = "DNS_AZURE_TENANT_ID", .ways = 1 },
		[GROUP] = { .name = "DNS_AZURE_RESOURCE_GROUP", .ways = 1,
		    .plain = true },
	},
	.nsettings = 5,
	.step = steps,
	.first = { PROBE, ZONE, READ, READ },
	.login = { token_ask, oauth_got },
	.ttl = 60,
	.poll_ms = 2000,
	.limit_ms = 120000,
};
