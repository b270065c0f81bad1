/*
 * Google Cloud DNS, API v1: https://cloud.google.com/dns/docs/reference/rest/v1
 *
 * A change deletes the set exactly as it was read and adds the new one, in one
 * transaction: compare-and-swap.  It is pending until the name servers have
 * it.  A token is got with an assertion signed by the service account's key;
 * with the operator's base_url it is asked for there, at /token.
 */
#include <string.h>

#include "common/buf.h"
#include "common/str.h"
#include "providers/gcloud_key.h"
#include "providers/oauth.h"
#include "providers/providers.h"
#include "providers/step.h"
#include "providers/txt.h"

#define GRANT "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define TRACK_MS 2500
#define TRACK_LIMIT_MS 60000

enum {
	PROBE = 0,
	ZONE,
	READ,
	CHANGE,
	TRACK
};

/* Also that the key can sign: that is found out here, not at night. */
static int
check(const char *const *credential, struct provider_vars *bad, struct err *e)
{
	struct gcloud_key key;
	struct buf out;
	int rc;

	buf_init(&out, HTTP_MSG_BODY_MAX);
	rc = gcloud_key_parse(&key, credential[0], e);
	if (rc == 0)
		rc = gcloud_key_assert(&key, 0, &out, e);
	gcloud_key_clear(&key);
	buf_wipe(&out);
	if (rc == -1)
		bad->name[bad->n++] = "DNS_GCLOUD_JSON_KEYS";
	return rc;
}

static int
token_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	const struct provider_access *a = t->access;
	struct gcloud_key key;
	struct buf out;
	int rc;

	buf_init(&out, HTTP_MSG_BODY_MAX);
	rc = gcloud_key_parse(&key, a->credential[0], e);
	if (rc == 0)
		rc = gcloud_key_assert(&key, t->now_s, &out, e);
	if (rc == 0) {
		http_msg_start(req, "POST",
		    a->base_url != NULL ? a->base_url : key.token_uri);
		if (a->base_url != NULL)
			http_msg_url(req, "/token");
		http_msg_header(
		    req, "Content-Type: application/x-www-form-urlencoded");
		http_msg_form(req, "grant_type", GRANT);
		http_msg_form(req, "assertion", out.p);
	}
	gcloud_key_clear(&key);
	buf_wipe(&out);
	return rc;
}

/* Begin a request below the project. */
static int
begin(const struct txt_record *t, struct http_msg_req *req, const char *method,
    struct err *e)
{
	struct gcloud_key key;

	if (gcloud_key_parse(&key, t->access->credential[0], e) == -1) {
		gcloud_key_clear(&key);
		return -1;
	}
	step_start(t, req, method);
	http_msg_url(req, "/projects/");
	http_msg_url_piece(req, key.project);
	http_msg_url(req, "/managedZones");
	http_msg_header(req, "Authorization: Bearer %s", t->access->token);
	gcloud_key_clear(&key);
	return 0;
}

static int
begin_in_zone(const struct txt_record *t, struct http_msg_req *req,
    const char *method, const char *path, struct err *e)
{
	if (begin(t, req, method, e) == -1)
		return -1;
	http_msg_url(req, "/");
	http_msg_url_piece(req, t->zone_id);
	http_msg_url(req, "%s", path);
	return 0;
}

/* {"error": {"message", "errors": [{"reason"}]}}; 403 can be a quota. */
static int
refused(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = step_json(res);
	const char *message = "", *reason = "";
	int status = res->status;

	json_unpack(answer, "{s:{s?s,s?[{s?s}]}}", "error", "message", &message,
	    "errors", "reason", &reason);
	if (status == 403 && (strstr(reason, "ateLimitExceeded") != NULL ||
				 strcmp(reason, "quotaExceeded") == 0))
		status = 429;
	step_refused_as(t, status, res, message, e);
	json_decref(answer);
	return -1;
}

static json_t *
unwrap(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status / 100 == 2)
		return step_accepted(t, res, e);
	refused(t, res, e);
	return NULL;
}

static int
probe_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	if (begin(t, req, "GET", e) == -1)
		return -1;
	http_msg_url(req, "?maxResults=1");
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

static int
zone_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	if (begin(t, req, "GET", e) == -1)
		return -1;
	http_msg_url(req, "?dnsName=");
	http_msg_url_piece(req, t->zone);
	http_msg_url(req, ".");
	if (t->cursor[0] != '\0') {
		http_msg_url(req, "&pageToken=");
		http_msg_url_piece(req, t->cursor);
	}
	return 0;
}

/* Several zones may have the name; only a public one is seen by a CA. */
static int
find_zone(struct txt_record *t, json_t *answer, struct err *e)
{
	const char *name, *visibility, *next = "";
	json_t *zone;
	size_t i;

	json_array_foreach (json_object_get(answer, "managedZones"), i, zone) {
		visibility = "public";
		if (json_unpack(zone, "{s:s,s?s}", "name", &name, "visibility",
			&visibility) == -1 ||
		    strcmp(visibility, "public") != 0)
			continue;
		t->step = PROVIDER_DONE;
		return str_copy(t->zone_id, sizeof(t->zone_id), name, e);
	}
	json_unpack(answer, "{s:s}", "nextPageToken", &next);
	if (next[0] == '\0')
		return step_next_zone(t, e);
	return str_copy(t->cursor, sizeof(t->cursor), next, e);
}

static int
zone_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = unwrap(t, res, e);
	int rc;

	if (answer == NULL)
		return -1;
	rc = find_zone(t, answer, e);
	json_decref(answer);
	return rc;
}

static int
read_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	if (begin_in_zone(t, req, "GET", "/rrsets?name=", e) == -1)
		return -1;
	http_msg_url_piece(req, t->fqdn);
	http_msg_url(req, ".&type=TXT");
	return 0;
}

static size_t
position(const struct txt_record *t)
{
	json_t *values = json_object_get(t->set, "rrdatas");
	size_t i, n = json_array_size(values);

	for (i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(values, i));

		if (s != NULL && txt_same(s, t->value))
			break;
	}
	return i;
}

static int
read_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = unwrap(t, res, e), *set, *values;
	bool has;

	if (answer == NULL)
		return -1;
	set = json_array_get(json_object_get(answer, "rrsets"), 0);
	values = json_object_get(set, "rrdatas");
	step_keep_set(t, json_incref(set));
	json_decref(answer);
	if (set != NULL && values == NULL)
		return err_set(e, ERR_REFUSED,
		    "gcloud: %.80s has TXT records with a routing policy; "
		    "remove them, or delegate the name by a CNAME",
		    t->fqdn);
	has = position(t) < json_array_size(values);
	t->step = has == (t->op == PROVIDER_CREATE) ? PROVIDER_DONE : CHANGE;
	return 0;
}

/* The set that shall be there, NULL: none. */
static json_t *
new_set(const struct txt_record *t)
{
	json_t *ttl = json_object_get(t->set, "ttl");
	json_t *values = json_object_get(t->set, "rrdatas");
	struct buf quoted;

	values = values != NULL ? json_copy(values) : json_array();
	if (t->op == PROVIDER_REMOVE) {
		json_array_remove(values, position(t));
	} else {
		buf_init(&quoted, 4096);
		if (txt_quote(&quoted, t->value) == 0)
			json_array_append_new(values, json_string(quoted.p));
		buf_clear(&quoted);
	}
	if (json_array_size(values) == 0) {
		json_decref(values);
		return NULL;
	}
	return json_pack("{s:s+,s:s,s:o,s:o}", "name", t->fqdn, ".", "type",
	    "TXT", "ttl",
	    ttl != NULL ? json_incref(ttl)
			: json_integer(t->access->provider->ttl),
	    "rrdatas", values);
}

static int
change_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	json_t *change, *set;

	if (begin_in_zone(t, req, "POST", "/changes", e) == -1)
		return -1;
	change = json_object();
	set = new_set(t);
	if (t->set != NULL)
		json_object_set_new(
		    change, "deletions", json_pack("[O]", t->set));
	if (set != NULL)
		json_object_set_new(change, "additions", json_pack("[o]", set));
	step_send_json(req, change);
	return 0;
}

/* 409: is there by now; 412: is another one by now; 404: is gone by now. */
static int
change_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	const char *id = "", *status = "";
	json_t *answer;
	int rc;

	if (res->status == 409 || res->status == 412 || res->status == 404)
		return step_conflict(t, READ, e);
	answer = unwrap(t, res, e);
	if (answer == NULL)
		return -1;
	json_unpack(answer, "{s?s,s?s}", "id", &id, "status", &status);
	rc = str_copy(t->change, sizeof(t->change), id, e);
	t->step = PROVIDER_DONE;
	if (t->op == PROVIDER_CREATE && strcmp(status, "pending") == 0) {
		t->step = TRACK;
		t->wait_ms = TRACK_MS;
	}
	json_decref(answer);
	return rc;
}

static int
track_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	if (begin_in_zone(t, req, "GET", "/changes/", e) == -1)
		return -1;
	http_msg_url_piece(req, t->change);
	return 0;
}

/* Whatever is wrong here: the name servers have the last word anyway. */
static int
track_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = step_json(res);
	const char *status = "";
	bool over;

	(void)e;
	json_unpack(answer, "{s:s}", "status", &status);
	over = strcmp(status, "pending") != 0 && res->status != 429 &&
	       res->status < 500;
	json_decref(answer);
	if (over || !step_poll(t, TRACK_MS, TRACK_LIMIT_MS))
		t->step = PROVIDER_DONE;
	return 0;
}

static const struct provider_step steps[] = {
	/* clang-format off */
	[PROBE]  = { probe_ask,  probe_got },
	[ZONE]   = { zone_ask,   zone_got },
	[READ]   = { read_ask,   read_got },
	[CHANGE] = { change_ask, change_got },
	[TRACK]  = { track_ask,  track_got },
	/* clang-format on */
};

const struct provider provider_gcloud = {
	.name = "gcloud",
	.base_url = "https://dns.googleapis.com/dns/v1",
	.setting = {
		{ .name = "DNS_GCLOUD_JSON_KEYS", .ways = 1, .lines = true },
	},
	.nsettings = 1,
	.check = check,
	.step = steps,
	.first = { PROBE, ZONE, READ, READ },
	.login = { token_ask, oauth_got },
	.ttl = 60,
	.poll_ms = 5000,
	.limit_ms = 180000,
};
