/*
 * Changes of a key ring's file: a new key, which one seals, one that goes.
 *
 * The file is written anew beside the old one and renamed, with its owner and
 * mode; comments but the first ones are lost.  Running programs read it when
 * they start.
 */
#ifndef COMMON_SEAL_CHANGE_H
#define COMMON_SEAL_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

/*
 * A fresh key, id the highest and one.  active: it seals from now on and the
 * others only open; else it only opens until it is activated, so that every
 * node can have it before one seals with it.
 */
int seal_ring_add(const char *path, bool active, uint32_t *id, struct err *);
int seal_ring_activate(const char *path, uint32_t id, struct err *);

/* Forget a key: ERR_REFUSED when it is the one that seals, or not there. */
int seal_ring_drop(const char *path, uint32_t id, struct err *);

#endif
