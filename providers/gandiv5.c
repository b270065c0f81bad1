/*
 * Gandi LiveDNS, API v5: https://api.gandi.net/docs/livedns/
 *
 * A record set is replaced as a whole and nothing guards it, so each write is
 * looked at again.  With an API key, or with a personal access token, which
 * may be bound to some domains only.
 */
#include "common/buf.h"
#include "common/str.h"
#include "providers/providers.h"
#include "providers/step.h"
#include "providers/txt.h"

#define WAY_KEY 1u
#define WAY_TOKEN 2u

enum {
	API_KEY = 0,
	TOKEN
};
enum {
	PROBE = 0,
	ZONE,
	READ,
	WRITE
};

static void
begin(const struct txt_record *t, struct http_msg_req *req, const char *method)
{
	char *const *credential = t->access->credential;

	step_start(t, req, method);
	http_msg_url(req, "/domains");
	if (credential[TOKEN][0] != '\0')
		http_msg_header(
		    req, "Authorization: Bearer %s", credential[TOKEN]);
	else
		http_msg_header(
		    req, "Authorization: Apikey %s", credential[API_KEY]);
}

/* {message}, or {"errors": [{name, description}]} */
static int
refused(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	const char *message = "", *name = "", *description = "";
	json_t *answer = step_json(res);
	struct buf said;

	json_unpack(answer, "{s?s}", "message", &message);
	json_unpack(answer, "{s:[{s?s,s?s}]}", "errors", "name", &name,
	    "description", &description);
	buf_init(&said, HTTP_MSG_BODY_MAX);
	buf_puts(&said, message);
	if (description[0] != '\0')
		buf_putf(&said, "%s%s: %s", said.len > 0 ? ", " : "", name,
		    description);
	step_refused(t, res, said.p, e);
	buf_wipe(&said);
	json_decref(answer);
	return -1;
}

static int
probe_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin(t, req, "GET");
	http_msg_url(req, "?per_page=1");
	return 0;
}

static int
probe_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer;

	if (res->status / 100 != 2)
		return refused(t, res, e);
	answer = step_accepted(t, res, e);
	if (answer == NULL)
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
	http_msg_url(req, "/");
	http_msg_url_piece(req, t->zone);
	return 0;
}

static int
zone_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer;

	if (res->status == 404 || res->status == 403)
		return step_not_this_zone(t, res, e);
	if (res->status / 100 != 2)
		return refused(t, res, e);
	answer = step_accepted(t, res, e);
	if (answer == NULL)
		return -1;
	json_decref(answer);
	t->step = PROVIDER_DONE;
	return str_copy(t->zone_id, sizeof(t->zone_id), t->zone, e);
}

/* Never without the type, which would be all records of the name. */
static void
begin_set(
    const struct txt_record *t, struct http_msg_req *req, const char *method)
{
	char relative[254];

	begin(t, req, method);
	http_msg_url(req, "/");
	http_msg_url_piece(req, t->zone);
	http_msg_url(req, "/records/");
	http_msg_url_piece(req, step_relative(t, relative, "@"));
	http_msg_url(req, "/TXT");
}

static int
read_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	begin_set(t, req, "GET");
	return 0;
}

static size_t
position(const struct txt_record *t)
{
	json_t *values = json_object_get(t->set, "rrset_values");
	size_t i, n = json_array_size(values);

	for (i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(values, i));

		if (s != NULL && txt_same(s, t->value))
			break;
	}
	return i;
}

/* Keep the set; 404: there is none. */
static int
keep_set(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer;

	step_keep_set(t, NULL);
	if (res->status == 404)
		return 0;
	if (res->status / 100 != 2)
		return refused(t, res, e);
	answer = step_accepted(t, res, e);
	if (answer == NULL)
		return -1;
	step_keep_set(t, answer);
	if (!json_is_array(json_object_get(answer, "rrset_values")))
		return err_set(e, ERR_AGAIN,
		    "gandiv5 answered with a record set without values");
	return 0;
}

static int
read_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	bool has;

	if (keep_set(t, res, e) == -1)
		return -1;
	has = position(t) <
	      json_array_size(json_object_get(t->set, "rrset_values"));
	t->step = has == (t->op == PROVIDER_CREATE) ? PROVIDER_DONE : WRITE;
	return 0;
}

/* The values that shall be there: with ours, or without it. */
static json_t *
new_values(const struct txt_record *t)
{
	json_t *old = json_object_get(t->set, "rrset_values");
	json_t *values = old != NULL ? json_copy(old) : json_array();
	struct buf quoted;

	if (t->op == PROVIDER_REMOVE) {
		json_array_remove(values, position(t));
		return values;
	}
	buf_init(&quoted, 4096);
	if (txt_quote(&quoted, t->value) == 0)
		json_array_append_new(values, json_string(quoted.p));
	buf_clear(&quoted);
	return values;
}

/* Without a TTL, that of the others would be reset. */
static int
write_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	json_t *values = new_values(t);
	json_t *ttl = json_object_get(t->set, "rrset_ttl");

	(void)e;
	if (json_array_size(values) == 0) {
		begin_set(t, req, "DELETE");
		json_decref(values);
		return 0;
	}
	begin_set(t, req, t->set != NULL ? "PUT" : "POST");
	step_send_json(req,
	    json_pack("{s:o,s:o}", "rrset_values", values, "rrset_ttl",
		json_is_integer(ttl) ? json_incref(ttl)
				     : json_integer(t->access->provider->ttl)));
	return 0;
}

/* 409: a set was created meanwhile. */
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

const struct provider provider_gandiv5 = {
	.name = "gandiv5",
	.base_url = "https://api.gandi.net/v5/livedns",
	.setting = {
		[API_KEY] = { .name = "DNS_GANDIV5_API_KEY", .ways = WAY_KEY },
		[TOKEN] = { .name = "DNS_GANDI_PERSONAL_ACCESS_TOKEN",
		    .ways = WAY_TOKEN },
	},
	.nsettings = 2,
	.step = steps,
	.first = { PROBE, ZONE, READ, READ },
	.ttl = 300,
	.poll_ms = 20000,
	.limit_ms = 1200000,
};
