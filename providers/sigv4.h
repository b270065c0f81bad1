/*
 * AWS Signature Version 4: the request is hashed in a canonical form, and that
 * hash signed with a key made for one day, region and service.
 */
#ifndef PROVIDERS_SIGV4_H
#define PROVIDERS_SIGV4_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/http_msg.h"

#define SIGV4_TIME_SIZE 17 /* "20230815T120000Z" and a NUL */

struct sigv4 {
	const char *key_id, *secret; /* borrowed */
	const char *region, *service;
};

/*
 * Add the headers X-Amz-Date and Authorization to a request that has its URL
 * and body; of its headers only host and the date are signed.  What stands in
 * the URL's query must be percent-encoded as http_msg_url_piece() does.
 */
int sigv4_sign(
    const struct sigv4 *, int64_t now_s, struct http_msg_req *, struct err *);

/* Append the canonical request; return -1 when the URL is none, or too long. */
int sigv4_canonical(const struct http_msg_req *,
    const char date[static SIGV4_TIME_SIZE], struct buf *out);

#endif
