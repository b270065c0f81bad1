/*
 * One DNS question to one address, and the reply: by UDP, which is sent again
 * when nothing comes, and by TCP when the reply does not fit or UDP is filtered.
 */
#ifndef SYNC_EXCHANGE_H
#define SYNC_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "sync/dns_message.h"

struct event_base;
struct exchange;
struct exchanges;

#define EXCHANGE_TRIES 3

enum exchange_result {
	EXCHANGE_OK = 0,  /* there is a reply, whatever it says */
	EXCHANGE_SILENT,  /* nothing came, or the port is closed */
	EXCHANGE_NO_ROUTE /* this machine cannot send there */
};

/* Each exchange has timeout_ms, and as much again when it needs TCP. */
struct exchanges *exchanges_new(struct event_base *, int timeout_ms);
void exchanges_free(struct exchanges *); /* nobody is called back */

/*
 * Ask address and port.  fn is called once, not from within; the message, or
 * why there is none, lives until it returns.  Not longer than until then lives
 * the exchange, too.
 */
typedef void exchange_fn(void *arg, enum exchange_result,
    const uint8_t *message, size_t len, const char *why);
struct exchange *exchange_start(struct exchanges *, const char *address,
    int port, const char *name, enum dns_type, exchange_fn *, void *arg);
void exchange_cancel(struct exchange *);

#endif
