#include "common/http_msg.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void
http_msg_init(struct http_msg_req *req)
{
	*req = (struct http_msg_req){ .nheaders = 0 };
	buf_init(&req->url, HTTP_MSG_URL_MAX);
	for (size_t i = 0; i < HTTP_MSG_HEADERS_MAX; i++)
		buf_init(&req->header[i], HTTP_MSG_HEADER_MAX);
	buf_init(&req->body, HTTP_MSG_BODY_MAX);
}

void
http_msg_wipe(struct http_msg_req *req)
{
	buf_wipe(&req->url);
	for (size_t i = 0; i < HTTP_MSG_HEADERS_MAX; i++)
		buf_wipe(&req->header[i]);
	buf_wipe(&req->body);
	http_msg_init(req);
}

void
http_msg_start(struct http_msg_req *req, const char *method, const char *url)
{
	http_msg_wipe(req);
	snprintf(req->method, sizeof(req->method), "%s", method);
	if (buf_puts(&req->url, url) == -1)
		req->too_long = true;
}

void
http_msg_url(struct http_msg_req *req, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (buf_vputf(&req->url, fmt, ap) == -1)
		req->too_long = true;
	va_end(ap);
}

void
http_msg_url_piece(struct http_msg_req *req, const char *s)
{
	if (http_msg_encode(&req->url, s, strlen(s)) == -1)
		req->too_long = true;
}

void
http_msg_header(struct http_msg_req *req, const char *fmt, ...)
{
	struct buf *b;
	va_list ap;

	if (req->nheaders == HTTP_MSG_HEADERS_MAX) {
		req->too_long = true;
		return;
	}
	b = &req->header[req->nheaders++];
	va_start(ap, fmt);
	if (buf_vputf(b, fmt, ap) == -1)
		req->too_long = true;
	va_end(ap);
	/* A line end would begin a header of its own. */
	for (size_t i = 0; i < b->len; i++)
		if (iscntrl((unsigned char)b->p[i]))
			req->too_long = true;
}

void
http_msg_body(struct http_msg_req *req, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (buf_vputf(&req->body, fmt, ap) == -1)
		req->too_long = true;
	va_end(ap);
}

void
http_msg_form(struct http_msg_req *req, const char *name, const char *value)
{
	http_msg_body(req, "%s%s=", req->body.len > 0 ? "&" : "", name);
	if (http_msg_encode(&req->body, value, strlen(value)) == -1)
		req->too_long = true;
}

int
http_msg_encode(struct buf *b, const char *s, size_t len)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		char code[3] = { '%', digits[c >> 4], digits[c & 15] };
		bool kept =
		    c < 0x80 && (isalnum(c) || (c && strchr("-._~", c)));

		if (buf_put(b, kept ? s + i : code, kept ? 1 : 3) == -1)
			return -1;
	}
	return 0;
}
