/*
 * An HTTP/1.1 response, fed as its bytes come.  Pure.
 *
 * Bodies by length, by chunks, or up to the end of the connection.  Lines and
 * headers are capped here; how much body is too much is the caller's matter.
 */
#ifndef SYNC_CLI_REPLY_H
#define SYNC_CLI_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define REPLY_LINE_MAX 8192
#define REPLY_HEADERS_MAX 100 /* lines, trailers included */

/* Bytes of the body, decoded.  Return -1 with e set to stop. */
typedef int reply_fn(void *arg, const char *bytes, size_t len, struct err *e);

enum reply_state {
	REPLY_STATUS = 0, /* the status line */
	REPLY_HEADER,
	REPLY_LENGTH, /* left bytes of body */
	REPLY_CLOSE,  /* body up to the end */
	REPLY_SIZE,   /* a chunk's size line */
	REPLY_CHUNK,  /* left bytes of chunk */
	REPLY_CRLF,   /* after a chunk */
	REPLY_TRAILER,
	REPLY_DONE,
};

struct reply {
	enum reply_state state;
	int status; /* of the response, 0 before its line */
	bool chunked;
	int64_t length; /* Content-Length, -1: none */
	int64_t left;
	int nheaders;
	struct buf line;
	reply_fn *fn;
	void *arg;
};

void reply_init(struct reply *, reply_fn *, void *arg);
void reply_clear(struct reply *);

/*
 * Take bytes.  What follows a whole response is ignored.  Fails with ERR_BUG
 * when this is no response, or with what fn said.
 */
int reply_feed(struct reply *, const char *bytes, size_t len, struct err *);

/* The connection has ended: ERR_AGAIN when the response has not. */
int reply_end(struct reply *, struct err *);

#endif
