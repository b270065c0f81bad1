/* What a request is answered, and where that is written down. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "common/log.h"
#include "common/metric.h"
#include "common/str.h"
#include "sync/api/auth.h"
#include "sync/api/door.h"
#include "sync/api/etag.h"
#include "sync/api/json.h"
#include "sync/api/request.h"
#include "sync/api/routes.h"

#define REQUEST_ID_MAX 128
#define LOG_TARGET_MAX 300

int
request_fd(const struct request *q)
{
	struct evhttp_connection *evcon =
	    evhttp_request_get_connection(q->http);

	return evcon == NULL ? -1
	                     : bufferevent_getfd(
				   evhttp_connection_get_bufferevent(evcon));
}

const char *
request_header(const struct request *q, const char *name)
{
	return evhttp_find_header(
	    evhttp_request_get_input_headers(q->http), name);
}

void
request_headers(struct request *q, const char *content_type, const char *cache)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789._-";
	struct evkeyvalq *out = evhttp_request_get_output_headers(q->http);
	const char *id = request_header(q, "X-Request-ID");

	if (content_type != NULL)
		evhttp_add_header(out, "Content-Type", content_type);
	evhttp_add_header(out, "Cache-Control", cache);
	evhttp_add_header(out, "X-Content-Type-Options", "nosniff");
	/* Given back only when it cannot be anything else than an id. */
	if (id != NULL && strlen(id) <= REQUEST_ID_MAX &&
	    str_only(id, strlen(id), letters))
		evhttp_add_header(out, "X-Request-Id", id);
}

static int
into_evbuffer(const char *bytes, size_t len, void *arg)
{
	return evbuffer_add(arg, bytes, len);
}

/* What changes something is worth a line, what only looks is not. */
static void
log_request(const struct request *q, int status)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(q->http);
	const char *uri = evhttp_request_get_uri(q->http);
	bool looks = method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;

	log_write(looks ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
	    "api method=%s target=\"%.*s\" status=%d who=\"%s\"",
	    route_method(method), LOG_TARGET_MAX, uri != NULL ? uri : "",
	    status, q->who);
	auth_audit(q, status);
}

static void
send_reply(struct request *q, int status, const char *content_type,
    const char *cache, struct evbuffer *b)
{
	metric_count(METRIC_API_REQUESTS, metric_code(status), 0);
	log_request(q, status);
	door_answered(q->door, request_fd(q));
	request_headers(q, b != NULL ? content_type : NULL, cache);
	/* Without a client this only frees the request. */
	evhttp_send_reply(q->http, status, NULL, b);
	if (b != NULL)
		evbuffer_free(b);
	request_free(q);
}

/* What a client has already is not sent again.  Returns the status. */
static int
tag(struct request *q, const json_t *o)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(q->http);
	const char *known = request_header(q, "If-None-Match");
	char etag[ETAG_SIZE];

	if (method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD)
		return 200;
	etag_make(o, etag);
	evhttp_add_header(
	    evhttp_request_get_output_headers(q->http), "ETag", etag);
	return known != NULL && etag_named(known, etag, true) ? 304 : 200;
}

static struct evbuffer *
new_buffer(void)
{
	struct evbuffer *b = evbuffer_new();

	if (b == NULL)
		abort();
	return b;
}

void
request_reply(struct request *q, int status, json_t *stolen)
{
	struct evbuffer *out = NULL;

	if (status == 200)
		status = tag(q, stolen);
	if (status != 204 && status != 304) {
		out = new_buffer();
		json_dump_callback(stolen, into_evbuffer, out,
		    JSON_COMPACT | JSON_PRESERVE_ORDER);
		evbuffer_add(out, "\n", 1);
	}
	json_decref(stolen);
	send_reply(q, status, "application/json", "no-store", out);
}

void
request_text(
    struct request *q, const char *content_type, const char *text, size_t len)
{
	struct evbuffer *out = new_buffer();

	evbuffer_add(out, text, len);
	send_reply(q, 200, content_type, "no-store", out);
}

void
request_file(struct request *q, const char *content_type, const char *bytes,
    size_t len, const char *etag)
{
	const char *known = request_header(q, "If-None-Match");
	struct evbuffer *out = NULL;

	evhttp_add_header(
	    evhttp_request_get_output_headers(q->http), "ETag", etag);
	if (known != NULL && etag_named(known, etag, true)) {
		send_reply(q, 304, content_type, "no-cache", NULL);
		return;
	}
	out = new_buffer();
	evbuffer_add_reference(out, bytes, len, NULL, NULL);
	send_reply(q, 200, content_type, "no-cache", out);
}

void
request_error(
    struct request *q, int status, const char *code, const char *fmt, ...)
{
	char text[512];
	json_t *o = json_object();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_set_new(o, "error", json_text(text));
	if (code != NULL)
		json_object_set_new(o, "code", json_string(code));
	request_reply(q, status, o);
}

void
request_not_found(struct request *q, const char *resource, const char *detail)
{
	json_t *o =
	    json_pack("{s:s, s:s}", "resource", resource, "error", "not found");

	if (detail != NULL)
		json_object_set_new(o, "detail", json_text(detail));
	request_reply(q, 404, o);
}

void
request_unprocessable(struct request *q, json_t *stolen_errors)
{
	request_reply(q, 422, json_pack("{s:o}", "errors", stolen_errors));
}

void
request_store_error(struct request *q, const struct err *e)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(q->http);

	log_warn("api: %s", e->text);
	switch (e->kind) {
	case ERR_REFUSED:
		request_error(q, 409, "refused", "%s", e->text);
		return;
	case ERR_LIMITED:
		evhttp_add_header(out, "Retry-After", "60");
		request_error(q, 429, "limited", "%s", e->text);
		return;
	case ERR_AGAIN:
		evhttp_add_header(out, "Retry-After", "1");
		request_error(q, 503, "unavailable", "%s", e->text);
		return;
	case ERR_NONE:
	case ERR_CONFIG:
	case ERR_BUG:
		break;
	}
	request_error(q, 500, "internal", "%s", e->text);
}

bool
request_found(struct request *q, const struct domain *d, const struct err *e)
{
	if (e == NULL && d != NULL && auth_sees(q, d->app))
		return true;
	if (e != NULL)
		request_store_error(q, e);
	else
		request_not_found(q, "domain", NULL);
	return false;
}

void
request_accepted(void *arg, const struct domain *d, const struct err *e)
{
	struct request *q = arg;

	if (request_found(q, d, e))
		request_reply(
		    q, 202, json_pack("{s:o}", "domain", json_own_domain(d)));
}
