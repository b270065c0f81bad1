/*
 * Cloudflare, API v4: https://developers.cloudflare.com/api/
 *
 * Records are objects, one for each value.  The global API key with its e-mail
 * address, or an API token, which needs Zone Read and DNS Edit.
 */
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/str.h"
#include "providers/providers.h"
#include "providers/step.h"
#include "providers/txt.h"

#define WAY_KEY 1u
#define WAY_TOKEN 2u

enum {
	EMAIL = 0,
	API_KEY,
	API_TOKEN
};
enum {
	PROBE = 0,
	ZONE,
	LIST,
	ADD,
	DELETE
};

/* The fields of an answer's error that we look at. */
struct problem {
	int code, cause;
	char text[STEP_SAID_MAX];
};

/* Never both forms: the key would be taken, and the token not be tried. */
static void
begin(const struct txt_record *t, struct http_msg_req *req, const char *method)
{
	char *const *credential = t->access->credential;

	step_start(t, req, method);
	if (credential[API_TOKEN][0] != '\0') {
		http_msg_header(
		    req, "Authorization: Bearer %s", credential[API_TOKEN]);
	} else {
		http_msg_header(req, "X-Auth-Email: %s", credential[EMAIL]);
		http_msg_header(req, "X-Auth-Key: %s", credential[API_KEY]);
	}
}

/* "errors": [{code, message, "error_chain": [{code, message}]}] */
static void
read_problem(json_t *answer, struct problem *p)
{
	const char *message = "", *cause = "";

	*p = (struct problem){ .code = 0 };
	json_unpack(answer, "{s:[{s?i,s?s}]}", "errors", "code", &p->code,
	    "message", &message);
	json_unpack(answer, "{s:[{s:[{s?i,s?s}]}]}", "errors", "error_chain",
	    "code", &p->cause, "message", &cause);
	if (cause[0] != '\0')
		snprintf(p->text, sizeof(p->text), "%s, %s", message, cause);
	else
		snprintf(p->text, sizeof(p->text), "%s", message);
}

/*
 * Is it the credentials as such?  6003 with its chain and 9106 are headers of
 * the wrong form (a token where the key belongs, most of the time), 9103 an
 * unknown pair, 9109 an unknown token.
 */
static bool
is_unknown(const struct problem *p)
{
	return p->code == 6003 || p->code == 9106 || p->code == 9103 ||
	       (p->code == 9109 && strstr(p->text, "Invalid access token"));
}

static int
refused(const struct txt_record *t, const struct http_msg_res *res,
    json_t *answer, struct err *e)
{
	struct problem p;
	int status = res->status;

	read_problem(answer, &p);
	json_decref(answer);
	if (status < 500 && is_unknown(&p))
		status = 401;
	/* The envelope may say no where the status says yes. */
	if (status < 400)
		status = 400;
	return step_refused_as(t, status, res, p.text, e);
}

/* Unwrap {"success": bool, "errors", "result"}; the caller owns *answer. */
static int
unwrap(const struct txt_record *t, const struct http_msg_res *res,
    json_t **answer, struct err *e)
{
	if (res->status / 100 != 2)
		return refused(t, res, step_json(res), e);
	*answer = step_accepted(t, res, e);
	if (*answer == NULL)
		return -1;
	if (!json_is_true(json_object_get(*answer, "success")))
		return refused(t, res, *answer, e);
	return 0;
}

static bool
has_more(json_t *answer, unsigned int page)
{
	json_int_t pages = 0;

	json_unpack(answer, "{s:{s:I}}", "result_info", "total_pages", &pages);
	return pages > (json_int_t)page;
}

static int
probe_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "GET");
	http_msg_url(req, "/zones?per_page=5");
	return 0;
}

static int
probe_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer;

	if (unwrap(t, res, &answer, e) == -1)
		return -1;
	json_decref(answer);
	t->step = PROVIDER_DONE;
	return 0;
}

static int
zone_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "GET");
	http_msg_url(req, "/zones?name=");
	http_msg_url_piece(req, t->zone);
	http_msg_url(req, "&page=%u&per_page=50", t->page);
	return 0;
}

/* Only an active zone is served; others of the name may stand before it. */
static int
zone_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	const char *id, *status;
	json_t *answer, *zone;
	bool more;
	size_t i;
	int rc;

	if (unwrap(t, res, &answer, e) == -1)
		return -1;
	json_array_foreach (json_object_get(answer, "result"), i, zone) {
		if (json_unpack(zone, "{s:s,s:s}", "id", &id, "status",
			&status) == -1 ||
		    strcmp(status, "active") != 0)
			continue;
		rc = str_copy(t->zone_id, sizeof(t->zone_id), id, e);
		json_decref(answer);
		t->step = PROVIDER_DONE;
		return rc;
	}
	more = has_more(answer, t->page);
	json_decref(answer);
	if (!more)
		return step_next_zone(t, e);
	t->page++;
	return 0;
}

static void
records_url(const struct txt_record *t, struct http_msg_req *req)
{
	http_msg_url(req, "/zones/");
	http_msg_url_piece(req, t->zone_id);
	http_msg_url(req, "/dns_records");
}

static int
list_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "GET");
	records_url(t, req);
	http_msg_url(req, "?type=TXT&name=");
	http_msg_url_piece(req, t->fqdn);
	http_msg_url(req, "&page=%u&per_page=100", t->page);
	return 0;
}

/* The id of the record with our value, bare or quoted; "" when none has. */
static int
find_value(struct txt_record *t, json_t *answer, struct err *e)
{
	const char *id, *content;
	json_t *record;
	size_t i;

	t->record_id[0] = '\0';
	json_array_foreach (json_object_get(answer, "result"), i, record) {
		if (json_unpack(record, "{s:s,s:s}", "id", &id, "content",
			&content) == 0 &&
		    txt_same(content, t->value))
			return str_copy(
			    t->record_id, sizeof(t->record_id), id, e);
	}
	return 0;
}

static int
list_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer;
	bool more;
	int rc;

	if (unwrap(t, res, &answer, e) == -1)
		return -1;
	rc = find_value(t, answer, e);
	more = has_more(answer, t->page);
	json_decref(answer);
	if (rc == -1)
		return -1;
	if (t->record_id[0] != '\0')
		t->step = t->op == PROVIDER_CREATE ? PROVIDER_DONE : DELETE;
	else if (more)
		t->page++;
	else
		t->step = t->op == PROVIDER_CREATE ? ADD : PROVIDER_DONE;
	return 0;
}

/* The dashboard warns about content without quotes. */
static int
add_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	struct buf quoted;

	(void)e;
	buf_init(&quoted, 4096);
	if (txt_quote(&quoted, t->value) == -1)
		req->too_long = true;
	begin(t, req, "POST");
	records_url(t, req);
	step_send_json(
	    req, json_pack("{s:s,s:s,s:s,s:i}", "type", "TXT", "name", t->fqdn,
		     "content", quoted.p, "ttl", t->access->provider->ttl));
	buf_clear(&quoted);
	return 0;
}

/* 81057 and 81058: it is there already; another of our nodes was faster. */
static int
add_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = step_json(res);
	struct problem p;
	const char *id = "";
	int rc;

	read_problem(answer, &p);
	json_decref(answer);
	if (p.code == 81057 || p.code == 81058) {
		t->step = PROVIDER_DONE;
		return 0;
	}
	if (unwrap(t, res, &answer, e) == -1)
		return -1;
	json_unpack(answer, "{s:{s:s}}", "result", "id", &id);
	rc = str_copy(t->record_id, sizeof(t->record_id), id, e);
	json_decref(answer);
	t->step = PROVIDER_DONE;
	return rc;
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
	json_t *answer;

	if (res->status != 404) {
		if (unwrap(t, res, &answer, e) == -1)
			return -1;
		json_decref(answer);
	}
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

const struct provider provider_cloudflare = {
	.name = "cloudflare",
	.base_url = "https://api.cloudflare.com/client/v4",
	.setting = {
		[EMAIL] = { .name = "DNS_CLOUDFLARE_EMAIL", .ways = WAY_KEY },
		[API_KEY] = { .name = "DNS_CLOUDFLARE_API_KEY",
		    .ways = WAY_KEY },
		[API_TOKEN] = { .name = "DNS_CLOUDFLARE_API_TOKEN",
		    .ways = WAY_TOKEN },
	},
	.nsettings = 3,
	.step = steps,
	.first = { PROBE, ZONE, LIST, LIST },
	.ttl = 120,
	.poll_ms = 2000,
	.limit_ms = 120000,
};
