/*
 * Where HAProxy connects to: sockets of our own ("127.0.0.1:9180",
 * "[::1]:9180", "unix:/path") or those systemd passes in.
 */
#ifndef AGENT_LISTEN_H
#define AGENT_LISTEN_H

#include "common/conf.h"
#include "common/err.h"

struct event_base;

/* Takes ownership of fd: non-blocking, close-on-exec. */
typedef void listen_fn(void *arg, int fd);

/*
 * Bind and listen.  With LISTEN_FDS the addresses are not used.  A unix socket
 * gets mode 0660; one that nobody listens on any more is replaced.  NULL on
 * failure, ERR_CONFIG.
 */
struct listeners;
struct listeners *listen_new(struct event_base *, const struct conf_list *,
    listen_fn *, void *arg, struct err *);

/* Accept no more; NULL is accepted. */
void listen_free(struct listeners *);

#endif
