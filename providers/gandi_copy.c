#include "providers/gandi_copy.h"

#include <stdio.h>
#include <string.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/str.h"
#include "providers/gandi_call.h"
#include "providers/step.h"
#include "providers/txt.h"

#define COPY_OF "certfleet copy of "
#define DIGITS "0123456789"
#define CHALLENGE_LEN 43 /* SHA-256 in base64url */

void
gandi_keep_original(struct txt_record *t, const char *name)
{
	if (!str_has_prefix(name, COPY_OF))
		return;
	name += strlen(COPY_OF);
	snprintf(t->cursor, sizeof(t->cursor), "%.*s",
	    (int)strspn(name, DIGITS), name);
	if (gandi_number(t->cursor) == 0)
		t->cursor[0] = '\0';
}

bool
gandi_has_copy(const struct txt_record *t)
{
	return t->op == PROVIDER_CREATE && t->cursor[0] != '\0';
}

int
gandi_copy_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	return gandi_call(t, req, "domain.zone.clone",
	    json_pack("[i,i,{s:s+++}]", gandi_zone(t), 0, "name", COPY_OF,
		t->zone_id, " for ", t->zone));
}

int
gandi_copy_got(
    struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status, id = 0;
	json_t *v = gandi_value(t, res, &status, e);

	if (v == NULL)
		return -1;
	json_unpack(v, "{s:i}", "id", &id);
	json_decref(v);
	if (id <= 0)
		return err_set(
		    e, ERR_AGAIN, "gandi copied a zone and gave it no number");
	snprintf(t->cursor, sizeof(t->cursor), "%s", t->zone_id);
	snprintf(t->zone_id, sizeof(t->zone_id), "%d", id);
	t->step = GANDI_VERSION;
	return 0;
}

int
gandi_attach_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	return gandi_call(t, req, "domain.zone.set",
	    json_pack("[s,i]", t->zone, gandi_zone(t)));
}

int
gandi_attach_got(
    struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status;
	json_t *v = gandi_value(t, res, &status, e);

	if (v == NULL)
		return gandi_give_up(t, res, e);
	json_decref(v);
	return step_conflict(t, GANDI_DOMAIN, e);
}

int
gandi_others_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	return gandi_call(t, req, "domain.zone.record.list",
	    json_pack("[i,i,{s:s}]", gandi_zone(t), 0, "type", "TXT"));
}

/* Is it a challenge, at whatever name, but not this one? */
static bool
is_other(const struct txt_record *t, json_t *record)
{
	struct buf value;
	bool is;

	buf_init(&value, CHALLENGE_LEN);
	is = txt_decode(&value, gandi_value_of(record)) == 0 &&
	     value.len == CHALLENGE_LEN &&
	     str_only(value.p, value.len, B64URL_CHARS) &&
	     strcmp(value.p, t->value) != 0;
	buf_clear(&value);
	return is;
}

int
gandi_others_got(
    struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status;
	json_t *records = gandi_value(t, res, &status, e), *record;
	size_t i;

	if (records == NULL)
		return -1;
	t->step = GANDI_RESTORE;
	json_array_foreach (records, i, record)
		if (is_other(t, record))
			t->step = GANDI_VERSION;
	json_decref(records);
	return 0;
}

int
gandi_restore_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	return gandi_call(t, req, "domain.zone.set",
	    json_pack("[s,i]", t->zone, gandi_number(t->cursor)));
}

/* Where there is no way back, the record is taken out of the copy. */
int
gandi_restore_got(
    struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	int status;
	json_t *v = gandi_value(t, res, &status, e);

	if (v == NULL && (res->status / 100 != 2 || e->kind == ERR_AGAIN))
		return -1;
	t->step = v != NULL ? GANDI_DISCARD : GANDI_VERSION;
	json_decref(v);
	return 0;
}

int
gandi_discard_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	return gandi_call(
	    t, req, "domain.zone.delete", json_pack("[i]", gandi_zone(t)));
}

/* It may be that its owner uses it for another domain. */
int
gandi_discard_got(
    struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	(void)res;
	t->step = PROVIDER_DONE;
	return str_copy(t->zone_id, sizeof(t->zone_id), t->cursor, e);
}
