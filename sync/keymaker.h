/*
 * Makes the keys that take long, in a child process each, so that the loop
 * goes on.  Few at a time: there are other things to do on this machine.
 */
#ifndef SYNC_KEYMAKER_H
#define SYNC_KEYMAKER_H

#include "common/err.h"
#include "sync/key.h"

struct event_base;
struct keymaker;

struct keymaker *keymaker_new(struct event_base *);
void keymaker_free(struct keymaker *); /* nobody is called back */

/*
 * Make a key; fn gets it as PEM, or NULL and why (ERR_AGAIN).  It is wiped
 * when fn returns.
 */
typedef void keymaker_fn(void *arg, const char *pem, const struct err *e);
void keymaker_make(struct keymaker *, enum key_type, keymaker_fn *, void *arg);
void keymaker_cancel(struct keymaker *, const void *arg);

#endif
