/*
 * What the fleet_*.c files share that read a fleet: fleet_read.c goes through
 * all of it, fleet_look.c asks for one key, or what there is.  Private to them.
 */
#ifndef SYNC_FLEET_READ_IMPL_H
#define SYNC_FLEET_READ_IMPL_H

#include <stdbool.h>

#include <jansson.h>

#include "sync/fleet_line.h"
#include "sync/fleet_read.h"
#include "sync/link.h"

struct reader {
	struct link *link;
	const struct conf *conf;
	int partitions;
	fleet_read_fn *fn;
	void *arg;
	json_t *cas; /* that have issued something: { URL: true } */
};

/* The answer as a value of that shape or, text, as it is, in into's member. */
void fleet_ask(struct reader *, const struct rds_cmd *, json_t *into,
    const char *member, enum fleet_shape, bool text);

/* A whole key. */
void fleet_ask_key(struct reader *, const char *key, enum fleet_shape,
    json_t *into, const char *member);

/* Keys that no list has: found by looking at all. */
struct scan {
	char cursor[32];
	json_t *keys;
};

/* The next of them, of the server that has at; cursor is "0" at the end. */
void fleet_send_scan(
    struct link *, struct scan *, const char *at, const char *pattern);

#endif
