/*
 * An HTTP request and its reply as plain data: who builds or reads one does
 * not send it.
 *
 * Building cannot fail in the middle: what does not fit is left out and
 * too_long remembers it, to be looked at once, before sending.
 */
#ifndef COMMON_HTTP_MSG_H
#define COMMON_HTTP_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

#define HTTP_MSG_URL_MAX 4096
#define HTTP_MSG_HEADER_MAX 8192
#define HTTP_MSG_HEADERS_MAX 8
#define HTTP_MSG_BODY_MAX (256 * 1024)

/* Lives inside another object: http_msg_init() before use, wipe after. */
struct http_msg_req {
	char method[8];
	struct buf url;
	struct buf header[HTTP_MSG_HEADERS_MAX]; /* "Name: value" */
	size_t nheaders;
	struct buf body;
	bool too_long;
};

/* The reply; borrowed from whoever received it. */
struct http_msg_res {
	int status;
	const char *body; /* NUL-terminated */
	size_t len;
	int64_t retry_ms; /* when to come back, as announced; 0: not said */
};

void http_msg_init(struct http_msg_req *);

/* Overwrite and forget everything; may be called twice, and used again. */
void http_msg_wipe(struct http_msg_req *);

/* Begin anew with a method ("GET") and the beginning of the URL. */
void http_msg_start(struct http_msg_req *, const char *method, const char *url);

/* Append to the URL as it is, or one piece of path or query, encoded. */
void http_msg_url(struct http_msg_req *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void http_msg_url_piece(struct http_msg_req *, const char *);

/* Add a header, "Name: value"; one with a control character is too_long. */
void http_msg_header(struct http_msg_req *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Append to the body. */
void http_msg_body(struct http_msg_req *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Append name=value to an application/x-www-form-urlencoded body. */
void http_msg_form(struct http_msg_req *, const char *name, const char *value);

/*
 * Append text in percent-encoding: all but the unreserved characters of RFC
 * 3986 section 2.3.  Return 0, or -1 when it does not fit.
 */
int http_msg_encode(struct buf *, const char *, size_t len);

#endif
