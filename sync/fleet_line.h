/*
 * A fleet's state as text: one JSON object a line, whatever Redis holds of it.
 *
 * A value says what it is: { "string": V }, { "hash": { field: V } }, { "set":
 * [V] }, { "list": [V] } or { "zset": { member: score } }.  V is a text, or {
 * "b64": "..." } where it is none.  Pure: JSON in, commands out.
 */
#ifndef SYNC_FLEET_LINE_H
#define SYNC_FLEET_LINE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/rds.h"

#define FLEET_FORMAT 1
#define FLEET_LINE_MAX (16 * 1024 * 1024)

enum fleet_shape {
	FLEET_STRING = 0,
	FLEET_HASH,
	FLEET_SET,
	FLEET_LIST,
	FLEET_ZSET,
	/* must stay last */
	FLEET_SHAPES
};

/* Bytes as V, and back: appended to out. */
json_t *fleet_text(const char *bytes, size_t len);
int fleet_bytes(const json_t *, struct buf *out);

/* A reply as a value; NULL when it is of nothing (nil, or empty). */
json_t *fleet_value(enum fleet_shape, const struct rds_reply *);

/*
 * The commands that make such a value at key, one call of fn each; what they
 * point at lives until it returns.  ERR_REFUSED when it is none.
 */
typedef void fleet_command_fn(void *arg, const struct rds_cmd *);
int fleet_put(const char *key, const json_t *value, fleet_command_fn *,
    void *arg, struct err *);

/*
 * What a line says, whatever order its members have; lines of a fleet, in any
 * order, are told apart by what their digests come to when each is put in.
 */
#define FLEET_DIGEST_SIZE 32
struct fleet_digest {
	uint8_t byte[FLEET_DIGEST_SIZE];
	int64_t lines, domains;
};
void fleet_digest(struct fleet_digest *, const json_t *line);

#endif
