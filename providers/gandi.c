/*
 * Gandi's former API, version 4: https://doc.rpc.gandi.net/
 *
 * A zone is changed in a new version of it, a copy of the active one, which
 * is then activated.  A version that somebody else activated meanwhile would
 * be lost: so it is looked at again before and after.
 *
 * gandi_copy.c: what is done where nobody can change the zone.
 */
#include <stdio.h>
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/str.h"
#include "providers/gandi_call.h"
#include "providers/gandi_copy.h"
#include "providers/providers.h"
#include "providers/step.h"
#include "providers/txt.h"

#define SOMEONES_DOMAIN "example.com"

/* There is no harmless question but one about another's domain. */
static int
probe_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	return gandi_call(
	    t, req, "domain.info", json_pack("[s]", SOMEONES_DOMAIN));
}

/* Whoever is told that it is not his has been recognised. */
static int
probe_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status;
	json_t *v = gandi_value(t, res, &status, e);

	if (v == NULL &&
	    (res->status / 100 != 2 || (status != 403 && status != 404)))
		return -1;
	json_decref(v);
	t->step = PROVIDER_DONE;
	return 0;
}

/* It knows registered domains: none begins with an underscore. */
static int
domain_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	while (t->op == PROVIDER_FIND && t->zone[0] == '_')
		if (step_next_zone(t, e) == -1)
			return -1;
	return gandi_call(t, req, "domain.info", json_pack("[s]", t->zone));
}

static int
next_domain(struct txt_record *t, int status, struct err *e)
{
	const struct http_msg_res as = { .status = status };
	int rc;

	do
		rc = step_not_this_zone(t, &as, e);
	while (rc == 0 && t->zone[0] == '_');
	return rc;
}

static int
domain_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status, id = 0;
	json_t *v = gandi_value(t, res, &status, e);

	if (v == NULL) {
		if (t->op == PROVIDER_FIND && (status == 404 || status == 403))
			return next_domain(t, status, e);
		return -1;
	}
	json_unpack(v, "{s:i}", "zone_id", &id);
	json_decref(v);
	if (id <= 0)
		return err_set(e, ERR_CONFIG,
		    "gandi: %.80s is not served by a zone of this API; if it "
		    "is on LiveDNS, set DNS_PROVIDER to gandiv5",
		    t->zone);
	snprintf(t->zone_id, sizeof(t->zone_id), "%d", id);
	t->cursor[0] = '\0';
	t->step = t->op == PROVIDER_FIND ? PROVIDER_DONE : GANDI_LIST;
	return 0;
}

static int
list_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	char relative[254];

	(void)e;
	return gandi_call(t, req, "domain.zone.record.list",
	    json_pack("[i,i,{s:s,s:s}]", gandi_zone(t), 0, "type", "TXT",
		"name", step_relative(t, relative, "@")));
}

/* Our record is kept: it is removed by its value as they have it. */
static int
list_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status;
	json_t *records = gandi_value(t, res, &status, e), *record;
	size_t i;

	if (records == NULL)
		return -1;
	step_keep_set(t, NULL);
	json_array_foreach (records, i, record)
		if (txt_same(gandi_value_of(record), t->value)) {
			step_keep_set(t, json_incref(record));
			break;
		}
	json_decref(records);
	t->step = (t->set != NULL) == (t->op == PROVIDER_CREATE) ? PROVIDER_DONE
	                                                         : GANDI_INFO;
	return 0;
}

static int
info_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	return gandi_call(
	    t, req, "domain.zone.info", json_pack("[i]", gandi_zone(t)));
}

static int
info_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status, version = 0, public = 0;
	json_t *v = gandi_value(t, res, &status, e);
	const char *name = "";

	if (v == NULL)
		return -1;
	json_unpack(v, "{s?i,s?b,s?s}", "version", &version, "public", &public,
	    "name", &name);
	snprintf(t->etag, sizeof(t->etag), "%d", version);
	t->step = GANDI_VERSION;
	if (public && t->op == PROVIDER_CREATE)
		t->step = GANDI_COPY;
	if (t->op == PROVIDER_REMOVE)
		gandi_keep_original(t, name);
	if (t->cursor[0] != '\0')
		t->step = GANDI_OTHERS;
	json_decref(v);
	return 0;
}

static int
version_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	return gandi_call(
	    t, req, "domain.zone.version.new", json_pack("[i]", gandi_zone(t)));
}

static int
version_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status;
	json_t *v = gandi_value(t, res, &status, e);
	json_int_t version = json_integer_value(v);

	if (v == NULL)
		return gandi_has_copy(t) ? gandi_give_up(t, res, e) : -1;
	json_decref(v);
	if (version <= 0)
		return err_set(
		    e, ERR_AGAIN, "gandi made a version without a number");
	snprintf(
	    t->change, sizeof(t->change), "%" JSON_INTEGER_FORMAT, version);
	t->step = GANDI_EDIT;
	return 0;
}

/* Bare, as long as nothing in it means something. */
static int
add_ask(struct txt_record *t, struct http_msg_req *req)
{
	char relative[254];
	struct buf value;
	bool bare = str_only(t->value, strlen(t->value), B64URL_CHARS);

	buf_init(&value, 4096);
	if (bare)
		buf_puts(&value, t->value);
	else
		txt_quote(&value, t->value);
	gandi_call(t, req, "domain.zone.record.add",
	    json_pack("[i,i,{s:s,s:s,s:s,s:i}]", gandi_zone(t),
		gandi_number(t->change), "type", "TXT", "name",
		step_relative(t, relative, "@"), "value", value.p, "ttl",
		t->access->provider->ttl));
	buf_clear(&value);
	return 0;
}

/* Never with less than all three: an empty filter would empty the zone. */
static int
edit_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	char relative[254];

	if (t->op == PROVIDER_CREATE)
		return add_ask(t, req);
	if (gandi_value_of(t->set)[0] == '\0')
		return err_set(e, ERR_BUG, "gandi: no value to remove");
	return gandi_call(t, req, "domain.zone.record.delete",
	    json_pack("[i,i,{s:s,s:s,s:s}]", gandi_zone(t),
		gandi_number(t->change), "type", "TXT", "name",
		step_relative(t, relative, "@"), "value",
		gandi_value_of(t->set)));
}

/* A removal answers how many there were. */
static int
edit_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status;
	json_t *v = gandi_value(t, res, &status, e);

	if (v == NULL)
		return gandi_give_up(t, res, e);
	t->step = gandi_has_copy(t) ? GANDI_ACTIVATE : GANDI_GUARD;
	if (json_is_integer(v) && json_integer_value(v) == 0) {
		step_keep_set(t, NULL);
		t->step = GANDI_DROP;
	}
	json_decref(v);
	return 0;
}

/* Our version is a copy of the one that was active: is it still? */
static int
guard_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status, version = 0;
	json_t *v = gandi_value(t, res, &status, e);

	if (v == NULL)
		return gandi_give_up(t, res, e);
	json_unpack(v, "{s:i}", "version", &version);
	json_decref(v);
	t->step = GANDI_ACTIVATE;
	if (version != gandi_number(t->etag)) {
		step_keep_set(t, NULL);
		t->step = GANDI_DROP;
	}
	return 0;
}

static int
activate_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	return gandi_call(t, req, "domain.zone.version.set",
	    json_pack("[i,i]", gandi_zone(t), gandi_number(t->change)));
}

static int
activate_got(
    struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status;
	json_t *v = gandi_value(t, res, &status, e);

	if (v == NULL)
		return gandi_give_up(t, res, e);
	json_decref(v);
	if (!gandi_has_copy(t))
		return step_conflict(t, GANDI_DOMAIN, e);
	t->step = GANDI_ATTACH;
	return 0;
}

static int
drop_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	if (gandi_has_copy(t))
		return gandi_discard_ask(t, req, e);
	return gandi_call(t, req, "domain.zone.version.delete",
	    json_pack("[i,i]", gandi_zone(t), gandi_number(t->change)));
}

/* Whether it worked or not: what counts is why it was done. */
static int
drop_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	const char *text = "";
	int kind;

	(void)res;
	if (json_unpack(t->set, "{s:i,s:s}", "kind", &kind, "text", &text) ==
	    -1)
		return step_conflict(t, GANDI_DOMAIN, e);
	return err_set(e, (enum err_kind)kind, "%s", text);
}

static const struct provider_step steps[] = {
	/* clang-format off */
	[GANDI_PROBE]    = { probe_ask,    probe_got },
	[GANDI_DOMAIN]   = { domain_ask,   domain_got },
	[GANDI_LIST]     = { list_ask,     list_got },
	[GANDI_INFO]     = { info_ask,     info_got },
	[GANDI_VERSION]  = { version_ask,  version_got },
	[GANDI_EDIT]     = { edit_ask,     edit_got },
	[GANDI_GUARD]    = { info_ask,     guard_got },
	[GANDI_ACTIVATE] = { activate_ask, activate_got },
	[GANDI_DROP]     = { drop_ask,     drop_got },
	[GANDI_COPY]     = { gandi_copy_ask,    gandi_copy_got },
	[GANDI_ATTACH]   = { gandi_attach_ask,  gandi_attach_got },
	[GANDI_OTHERS]   = { gandi_others_ask,  gandi_others_got },
	[GANDI_RESTORE]  = { gandi_restore_ask, gandi_restore_got },
	[GANDI_DISCARD]  = { gandi_discard_ask, gandi_discard_got },
	/* clang-format on */
};

const struct provider provider_gandi = {
	.name = "gandi",
	.base_url = "https://rpc.gandi.net/xmlrpc",
	.setting = {
		{ .name = "DNS_GANDI_API_KEY", .ways = 1 },
	},
	.nsettings = 1,
	.step = steps,
	.first = { GANDI_PROBE, GANDI_DOMAIN, GANDI_DOMAIN, GANDI_DOMAIN },
	.ttl = 300,
	.poll_ms = 60000,
	.limit_ms = 2400000,
	.zone_serial = true,
};
