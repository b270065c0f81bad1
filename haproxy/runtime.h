/*
 * One short conversation with HAProxy's runtime API: connect, switch to prompt
 * mode, send commands ahead, take the answers in their order, close.
 *
 * Short, because a connection that is kept talks to the old process after a
 * reload.  Commands may hold private keys: they are wiped when they have left.
 */
#ifndef HAPROXY_RUNTIME_H
#define HAPROXY_RUNTIME_H

#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

/* Bytes of one answer: a hundred thousand names and their entries. */
#define RUNTIME_ANSWER_MAX (64 * 1024 * 1024)

struct event_base;
struct runtime;

/* Called with each answer; text lives until it returns. */
typedef void runtime_answer_fn(void *arg, const char *text);

/*
 * Called once when the connection is broken, refused or silent for too long;
 * runtime_close() is still the caller's.
 */
typedef void runtime_failed_fn(void *arg, const struct err *e);

/*
 * Connect to the unix socket.  Everything has to be over after timeout_ms.
 * No callback comes from within this call, nor after runtime_close(), which
 * both callbacks may call.  The first command must be one that has an answer.
 */
struct runtime *runtime_open(struct event_base *, const char *socket,
    int timeout_ms, runtime_answer_fn *, runtime_failed_fn *, void *arg);
void runtime_close(struct runtime *);

/* Answers are to be that small, instead of RUNTIME_ANSWER_MAX. */
void runtime_limit(struct runtime *, size_t answer_max);

/* Send what is in the buf; it is empty and wiped afterwards. */
void runtime_send(struct runtime *, struct buf *commands);

#endif
