#include "providers/gandi_call.h"

#include <string.h>

#include "common/buf.h"
#include "common/str.h"
#include "providers/gandi_copy.h"
#include "providers/step.h"
#include "providers/xmlrpc.h"

int
gandi_call(const struct txt_record *t, struct http_msg_req *req,
    const char *method, json_t *stolen)
{
	struct buf b;

	buf_init(&b, HTTP_MSG_BODY_MAX);
	step_start(t, req, "POST");
	http_msg_url(req, "/");
	http_msg_header(req, "Content-Type: text/xml");
	if (xmlrpc_put_call(&b, method, t->access->credential[0], stolen) == -1)
		req->too_long = true;
	else
		http_msg_body(req, "%s", b.p);
	buf_wipe(&b);
	json_decref(stolen);
	return 0;
}

/*
 * "Error on object : OBJECT_DOMAIN (CAUSE_NOTFOUND) [...]".  A key of the
 * wrong form is shown, in a fault that is not about the account.
 */
static int
status_of(const struct txt_record *t, const char *fault)
{
	const char *key = t->access->credential[0];

	if (strstr(fault, "OBJECT_ACCOUNT") != NULL ||
	    (key[0] != '\0' && strstr(fault, key) != NULL))
		return 401;
	if (strstr(fault, "CAUSE_NOTFOUND") != NULL)
		return 404;
	if (strstr(fault, "CAUSE_NORIGHT") != NULL)
		return 403;
	return 400;
}

json_t *
gandi_value(const struct txt_record *t, const struct http_msg_res *res,
    int *status, struct err *e)
{
	const char *text = "";
	json_t *value;
	bool fault;

	*status = res->status;
	if (res->status / 100 != 2) {
		step_refused(t, res, "", e);
		return NULL;
	}
	value = xmlrpc_response(res->body, res->len, &fault);
	if (value == NULL) {
		err_set(e, ERR_AGAIN,
		    "gandi answered %d with something that is no XML-RPC",
		    res->status);
		return NULL;
	}
	if (!fault)
		return value;
	json_unpack(value, "{s:s}", "faultString", &text);
	*status = status_of(t, text);
	step_refused_as(t, *status, res, text, e);
	json_decref(value);
	return NULL;
}

int
gandi_number(const char *text)
{
	int64_t n;

	return str_int(text, 0, INT32_MAX, &n) == 0 ? (int)n : 0;
}

int
gandi_zone(const struct txt_record *t)
{
	return gandi_number(t->zone_id);
}

const char *
gandi_value_of(json_t *record)
{
	const char *value = "";

	json_unpack(record, "{s:s}", "value", &value);
	return value;
}

int
gandi_give_up(
    struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *why;

	if (res->status / 100 != 2 || e->kind == ERR_AGAIN)
		return -1;
	why = json_object();
	json_object_set_new(why, "kind", json_integer(e->kind));
	json_object_set_new(why, "text", json_string_nocheck(e->text));
	step_keep_set(t, why);
	t->step = GANDI_DROP;
	return 0;
}
