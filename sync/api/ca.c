/*
 * The CAs as this node reaches them: one look at each directory, and what the
 * CA's clock says to ours.
 */
#include <string.h>

#include "common/conf.h"
#include "common/loop.h"
#include "sync/api/request.h"
#include "sync/http.h"

#define DIRECTORY_MAX 65536

static void next(struct request *);

/* The settings of the CA that is looked at; NULL: there is no other. */
static const char *
directory(const struct request *q)
{
	const struct conf *conf = q->api->conf;

	if (q->step == 0)
		return conf->acme.directory;
	return q->step == 1 && conf->acme_fallback.directory[0] != '\0'
	           ? conf->acme_fallback.directory
	           : NULL;
}

/* Without text it is none. */
static json_t *
terms(const struct http_res *res)
{
	json_t *o = json_loadb(res->body, res->len, 0, NULL), *url;

	url = json_incref(
	    json_object_get(json_object_get(o, "meta"), "termsOfService"));
	json_decref(o);
	if (json_is_string(url))
		return url;
	json_decref(url);
	return json_null();
}

static void
got_directory(void *arg, const struct http_res *res, const struct err *e)
{
	struct request *q = arg;
	json_t *o = json_pack("{s:o, s:n, s:n, s:n, s:n}", "directory",
	    json_text(directory(q)), "error", "status", "ahead_ms", "terms");

	q->looking = 0;
	if (e != NULL) {
		json_object_set_new(o, "error", json_text(e->text));
	} else {
		json_object_set_new(o, "status", json_integer(res->status));
		if (res->status != 200)
			json_object_set_new(o, "error",
			    json_sprintf("it answers %d", res->status));
		if (res->date_ms > 0)
			json_object_set_new(o, "ahead_ms",
			    json_integer(loop_wall_ms() - res->date_ms));
		json_object_set_new(o, "terms", terms(res));
	}
	json_array_append_new(json_object_get(q->reply, "cas"), o);
	q->step++;
	next(q);
}

static void
next(struct request *q)
{
	struct api *a = q->api;
	const struct conf *conf = a->conf;
	const char *url = directory(q);
	struct http_conf http = { .ca_file = q->step == 0
		                                 ? conf->acme.ca_file
		                                 : conf->acme_fallback.ca_file,
		.max_in_flight = 2,
		.timeout_ms = conf->acme.request_timeout_ms };
	struct http_req req = { .method = "GET",
		.url = url,
		.body_max = DIRECTORY_MAX,
		.plain = conf->acme.insecure_test };
	json_t *o = q->reply;

	if (url == NULL) {
		q->reply = NULL;
		request_reply(q, 200, o);
		return;
	}
	if (a->ca_http[q->step] == NULL)
		a->ca_http[q->step] = http_new(a->base, &http);
	q->looking = http_send(a->ca_http[q->step], &req, got_directory, q);
}

void
ca_forget(struct request *q)
{
	if (q->looking != 0)
		http_cancel(q->api->ca_http[q->step], q->looking);
}

void
ca_show(struct request *q)
{
	q->reply = json_pack("{s:[]}", "cas");
	next(q);
}
