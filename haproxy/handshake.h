/*
 * Ask a TLS server which certificate it serves for a name: the proof that a
 * certificate is in use.  Nothing is verified and no data is sent.
 */
#ifndef HAPROXY_HANDSHAKE_H
#define HAPROXY_HANDSHAKE_H

#include <stdint.h>

#include "common/err.h"

struct event_base;
struct handshake;

/* sha1 is the leaf's, upper hex; NULL with e set when it failed. */
typedef void handshake_fn(void *arg, const char *sha1, const struct err *e);

/*
 * Connect to address ("127.0.0.1:443", "[::1]:443") and shake hands with name
 * as SNI.  fn is called once, never from within this call; the handle is gone
 * then.  For a wildcard pass a name below it.
 */
struct handshake *handshake_start(struct event_base *, const char *address,
    const char *name, int timeout_ms, handshake_fn *, void *arg);

/* The same of a client that takes certificates with RSA keys only. */
struct handshake *handshake_start_rsa(struct event_base *, const char *address,
    const char *name, int timeout_ms, handshake_fn *, void *arg);
void handshake_cancel(struct handshake *); /* fn is not called */

#endif
