/* Questions to certfleet-sync over its unix socket; each waits for its end. */
#ifndef SYNC_CLI_CLIENT_H
#define SYNC_CLI_CLIENT_H

#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"

/* err.type of an error that is the server not being there. */
#define CLIENT_UNREACHABLE "unreachable"

struct answer {
	int status;
	json_t *body; /* NULL when there is none */
};

/*
 * Ask.  body may be NULL.  An answer of any status is a success; the caller
 * frees its body.  Fails when there is no answer within 30 seconds, or when it
 * is no JSON.
 */
int client_ask(const char *socket_path, const char *method, const char *path,
    const json_t *body, struct answer *, struct err *);

/*
 * Read an endless answer: fn gets each line that is not empty.  Returns when
 * fn returns -1 or the server stops; silence of 60 seconds is its end too.
 * An answer that is not 200 is in *answer as above, and 0 is returned.
 */
typedef int client_line_fn(void *arg, const char *line, struct err *e);
int client_follow(const char *socket_path, const char *path, client_line_fn *,
    void *arg, struct answer *, struct err *);

/* A path with a piece of foreign text: everything special is %XX. */
int client_encode(struct buf *path, const char *text);

#endif
