/*
 * May this program work with what Redis holds?
 *
 * The meta record says how its data is laid out (schema), and which schema a
 * program has to know to read it (min_reader) and to change it (min_writer): a
 * newer program that adds fields raises neither, one that others would break
 * raises min_writer, one that others cannot read raises both.  Pure.
 */
#ifndef SYNC_SCHEMA_H
#define SYNC_SCHEMA_H

#include "common/err.h"

#define SCHEMA 1 /* what we know */
#define SCHEMA_RESTORING "restoring"

enum schema_use {
	SCHEMA_WRITE = 0,
	SCHEMA_READ,   /* serve what is there, change nothing; e says why */
	SCHEMA_REFUSE, /* e says why */
};

/* Texts as Redis has them, NULL where it has none. */
enum schema_use schema_judge(const char *schema, const char *min_reader,
    const char *min_writer, struct err *);

#endif
