/*
 * A question about a name and how far it has come: CNAMEs to other servers
 * are followed, and CAA climbs to the closest name with a set (RFC 8659
 * section 3).
 *
 * Pure: says which name to ask for next, and takes the reply.
 */
#ifndef SYNC_QUESTION_H
#define SYNC_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/dns_reply.h"
#include "sync/resolve.h"

struct question {
	enum dns_type type;
	bool done;
	enum resolve_result result; /* when done */
	const char *level;          /* the name, or for CAA a parent of it */
	struct dns_reply *reply;    /* NULL until there is one */
	char error[128];
};

/* name is borrowed for as long as the question lives; ask for it first. */
void question_init(struct question *, enum dns_type, const char *name);
void question_clear(struct question *);

/*
 * Take a reply.  exists is false for NXDOMAIN; len is 0 when there is nothing
 * to read.  Return the name to ask for next, borrowed until the next call, or
 * NULL: the question is done.
 */
const char *question_got(
    struct question *, bool exists, const uint8_t *message, size_t len);

/* There is no reply. */
void question_fail(struct question *, const char *why);

/* Fill an answer from questions that are done. */
void question_fill(struct resolve_answer *, const struct question *a,
    const struct question *aaaa, const struct question *caa);

#endif
