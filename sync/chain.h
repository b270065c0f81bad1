/*
 * The chains that a CA offers for one certificate (RFC 8555 section 7.4.2):
 * one at its URL, others linked to from there.
 */
#ifndef SYNC_CHAIN_H
#define SYNC_CHAIN_H

#include <stdbool.h>

#include "sync/order.h"

/* Where the next chain is. */
const char *chain_url(const struct order *);

/*
 * Take a chain ("": a bad one), with the links beside it (NULL: none).  True when o->chain is
 * the one to keep: the first that is as preferred, else the very first.
 */
bool chain_take(struct order *, const char *pem, const char *links);
void chain_forget(struct order *);

#endif
