/*
 * The head of an HTTP reply: the few headers we read, each with a cap, and
 * dates (RFC 9110 section 5.6.7).
 */
#ifndef SYNC_HTTP_HEAD_H
#define SYNC_HTTP_HEAD_H

#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX (64 * 1024) /* of one reply, all together */
#define HTTP_VALUE_MAX 4096       /* longer values count as absent */

enum http_header {
	HTTP_CONTENT_TYPE = 0,
	HTTP_LOCATION,
	HTTP_REPLAY_NONCE,
	HTTP_LINK,
	HTTP_RETRY_AFTER,
	HTTP_DATE,
	HTTP_RATE_RESET,
	/* must stay last */
	HTTP_HEADERS
};

/* Zero before the first line. */
struct http_head {
	char *value[HTTP_HEADERS];
	size_t bytes;
};

/*
 * Take one line, as it came.  A status line forgets what was before (a 1xx
 * answer); Link values are joined, of other headers the last counts.  Return
 * -1 when the head is longer than HTTP_HEAD_MAX.
 */
int http_head_line(struct http_head *, const char *line, size_t len);
void http_head_clear(struct http_head *);

/* The value, "" when absent. */
const char *http_head_get(const struct http_head *, enum http_header);

/* Wall-clock milliseconds of an HTTP-date in any of its three forms, or 0. */
int64_t http_date(const char *value);

#endif
