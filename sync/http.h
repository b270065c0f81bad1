/*
 * HTTPS exchanges, by libcurl's multi interface in the event loop.
 *
 * The only file that sees libcurl.  Requests wait in our own queue, one per
 * host, so that a slow host cannot starve another; handles are reused.
 * Redirects are never followed, https is the only protocol unless the request
 * says otherwise, bodies are capped, every exchange has an end.
 */
#ifndef SYNC_HTTP_H
#define SYNC_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct event_base;
struct http;

#define HTTP_BODY_MAX (1024 * 1024)
#define HTTP_HEADERS_MAX 8

struct http_conf {
	const char *ca_file; /* "" or NULL: the system's */
	int max_in_flight;   /* over all hosts */
	int timeout_ms;      /* when a request has 0 */
	bool forgets;        /* nothing of a request, which has secrets */
};

/* Copied by http_send(). */
struct http_req {
	const char *method; /* "GET", "HEAD", "POST", ... */
	const char *url;
	const char *header[HTTP_HEADERS_MAX]; /* "Content-Type: a/b" */
	size_t nheaders;
	const char *body;
	size_t body_len;
	int timeout_ms;
	size_t body_max;        /* of the reply; 0: HTTP_BODY_MAX */
	bool plain;             /* allow http:// */
	const char *connect_to; /* "127.0.0.1:80": instead of the URL's host */
	bool public_only;       /* connect to no private address */
};

/* Header values that are absent are "".  Lives until the callback returns. */
struct http_res {
	int status;
	const char *body; /* NUL-terminated */
	size_t len;
	const char *content_type;
	const char *location;
	const char *replay_nonce;
	const char *link; /* all Link values, joined by ", " */
	int64_t retry_ms; /* Retry-After as time from now; 0: absent */
	int64_t date_ms;  /* Date as wall clock; 0: absent */
	int64_t reset_ms; /* X-RateLimit-Reset as time from now; 0: absent */
};

/* Exactly one of res and e is not NULL; e means there was no HTTP answer. */
typedef void http_fn(void *arg, const struct http_res *, const struct err *e);

struct http *http_new(struct event_base *, const struct http_conf *);
void http_free(struct http *); /* nothing in flight is called back */

/* Never calls fn from within; returns an id for http_cancel(). */
uint64_t http_send(
    struct http *, const struct http_req *, http_fn *, void *arg);
void http_cancel(struct http *, uint64_t id);

/*
 * Retry-After, RFC 9110 section 10.2.3: seconds or an HTTP-date; milliseconds
 * from now_wall_ms, 0 when it is neither or lies in the past.
 */
int64_t http_retry_after(const char *value, int64_t now_wall_ms);

/* X-RateLimit-Reset, seconds since 1970; milliseconds from now, or 0. */
int64_t http_rate_reset(const char *value, int64_t now_wall_ms);

#endif
