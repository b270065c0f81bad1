/*
 * Our DNS providers for ours.py: what they ask goes out as a line of JSON, the
 * reply comes in as one.
 *
 *	in	{"variables": {...}, "base_url": "..."}
 *	in	{"op": 2, "fqdn", "value", "soa", "zone", "zone_id", "record_id"}
 *	out	{"method", "url", "headers": [...], "body", "wait_ms"}
 *	in	{"status": 200, "body": "...", "retry_ms": 0}
 *	out	{"done": true, "zone", "zone_id", "record_id"}
 *	or	{"kind": 3, "retry_ms": 0, "text": "..."}
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/mem.h"
#include "common/str.h"
#include "providers/provider.h"

static void
write_line(json_t *stolen)
{
	char *text = json_dumps(stolen, JSON_COMPACT);

	puts(text);
	fflush(stdout);
	mem_wipe_free(text);
	json_decref(stolen);
}

/* NULL at the end of the input. */
static json_t *
read_line(void)
{
	char *line = NULL;
	size_t size = 0;
	json_t *read = NULL;

	if (getline(&line, &size, stdin) > 0)
		read = json_loads(line, 0, NULL);
	free(line);
	return read;
}

static const char *
text_of(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static const char *
variable(void *arg, const char *name)
{
	return json_string_value(json_object_get(arg, name));
}

static void
write_error(const struct err *e)
{
	write_line(json_pack("{s:i,s:I,s:s}", "kind", (int)e->kind, "retry_ms",
	    (json_int_t)e->retry_ms, "text", e->text));
}

static void
write_request(int64_t wait_ms, const struct http_msg_req *req)
{
	json_t *headers = json_array();

	for (size_t i = 0; i < req->nheaders; i++)
		json_array_append_new(headers, json_string(req->header[i].p));
	write_line(json_pack("{s:s,s:s,s:o,s:s,s:I}", "method", req->method,
	    "url", req->url.p, "headers", headers, "body", req->body.p,
	    "wait_ms", (json_int_t)wait_ms));
}

/* One request and its reply; -1: failed, or nobody replies any more. */
static int
step(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	struct http_msg_res res = { .status = 0 };
	int64_t wait_ms = t->wait_ms; /* as the reply before this one had it */
	json_t *reply;
	int rc;

	if (provider_ask(t, (int64_t)time(NULL), req, e) == -1)
		return -1;
	if (req->too_long)
		return err_set(e, ERR_BUG, "the request is too long");
	write_request(wait_ms, req);
	reply = read_line();
	if (reply == NULL)
		return err_set(e, ERR_AGAIN, "no reply");
	res.status = (int)json_integer_value(json_object_get(reply, "status"));
	res.body = text_of(reply, "body");
	res.len = json_string_length(json_object_get(reply, "body"));
	res.retry_ms = json_integer_value(json_object_get(reply, "retry_ms"));
	rc = provider_got(t, &res, e);
	json_decref(reply);
	return rc;
}

static int
take(struct txt_record *t, json_t *command, struct err *e)
{
	struct {
		const char *name;
		char *at;
		size_t size;
	} field[] = {
		{ "fqdn", t->fqdn, sizeof(t->fqdn) },
		{ "value", t->value, sizeof(t->value) },
		{ "soa", t->soa_zone, sizeof(t->soa_zone) },
		{ "zone", t->zone, sizeof(t->zone) },
		{ "zone_id", t->zone_id, sizeof(t->zone_id) },
		{ "record_id", t->record_id, sizeof(t->record_id) },
	};

	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++)
		if (str_copy(field[i].at, field[i].size,
			text_of(command, field[i].name), e) == -1)
			return -1;
	provider_begin(t, (enum provider_op)json_integer_value(
			      json_object_get(command, "op")));
	return 0;
}

static void
operate(struct provider_access *access, json_t *command)
{
	struct txt_record t = { .access = access };
	struct http_msg_req req;
	struct err e = { .kind = ERR_NONE };
	int rc;

	http_msg_init(&req);
	rc = take(&t, command, &e);
	while (rc == 0 && !provider_done(&t))
		rc = step(&t, &req, &e);
	if (rc == 0)
		write_line(json_pack("{s:b,s:s,s:s,s:s}", "done", 1, "zone",
		    t.zone, "zone_id", t.zone_id, "record_id", t.record_id));
	else
		write_error(&e);
	http_msg_wipe(&req);
	txt_record_clear(&t);
}

int
main(void)
{
	json_t *first = read_line(), *command;
	json_t *variables = json_object_get(first, "variables");
	struct provider_access access = { .base_url = NULL };
	struct provider_vars bad;
	const struct provider *provider;
	struct err e = { .kind = ERR_NONE };

	provider = provider_get(text_of(variables, "DNS_PROVIDER"), &e);
	if (provider == NULL || provider_access_init(&access, provider,
				    variable, variables, &bad, &e) == -1) {
		write_error(&e);
	} else {
		access.base_url = xstrdup(text_of(first, "base_url"));
		while ((command = read_line()) != NULL) {
			operate(&access, command);
			json_decref(command);
		}
	}
	provider_access_clear(&access);
	json_decref(first);
	return 0;
}
