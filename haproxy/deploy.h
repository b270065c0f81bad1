/*
 * Every node's HAProxy: which commands bring a certificate up to date, and
 * what their answers mean.
 *
 * HAProxy knows a certificate (its store) and, in the crt-list, entries that
 * name it for a host.  What is wanted is one store with our fingerprint and
 * one entry with our filter:
 *
 *	store missing           new
 *	other fingerprint       set, commit, abort
 *	no entry with the name  add
 *	more entries            del each by its line
 *	changed                 show, and the fingerprint must be ours
 *
 * and, when nothing is wanted: del each entry, del the certificate.
 *
 * The abort behind each commit costs nothing after a good one; after a failed
 * one it keeps the open transaction (HAProxy has one for all) from the next
 * certificate in the same conversation.
 */
#ifndef HAPROXY_DEPLOY_H
#define HAPROXY_DEPLOY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "haproxy/answer.h"

#define DEPLOY_ENTRIES_MAX 4

/* What HAProxy is known to have under one name. */
struct deploy_have {
	bool store;
	char sha1[ANSWER_SHA1_MAX]; /* "": empty or not known */
	struct {
		int line;
		bool ours; /* exactly the filter that is wanted */
	} entry[DEPLOY_ENTRIES_MAX];
	int nentries;
	bool more;     /* entries than fit: listed again when these are gone */
	bool unsure;   /* an answer was missing: only a listing can tell */
	uint32_t ends; /* the one of sha1: Unix seconds, 0: not known */
};

/* What is wanted under it. */
struct deploy_want {
	const char *name;   /* of the certificate in HAProxy */
	const char *list;   /* of the crt-list in HAProxy */
	const char *filter; /* "": HAProxy's default, not in the crt-list */
	const char *sha1;   /* "": nothing */
};

enum deploy_op {
	DEPLOY_NEW = 0,
	DEPLOY_SET,
	DEPLOY_COMMIT,
	DEPLOY_ABORT,
	DEPLOY_ADD,
	DEPLOY_DEL_ENTRY,
	DEPLOY_DEL,
	DEPLOY_SHOW,
	/* must stay last */
	DEPLOY_OPS
};

struct deploy_step {
	enum deploy_op op;
	int line; /* DEPLOY_DEL_ENTRY */
};

#define DEPLOY_STEPS_MAX (6 + DEPLOY_ENTRIES_MAX)

struct deploy_plan {
	struct deploy_step step[DEPLOY_STEPS_MAX];
	int nsteps; /* 0: HAProxy has what is wanted */
};

void deploy_plan(const struct deploy_have *, const struct deploy_want *,
    struct deploy_plan *);

/* Note an entry of the crt-list. */
void deploy_entry(struct deploy_have *, const struct deploy_want *, int line,
    const char *filters);

/*
 * Append the plan's commands.  pem is what a DEPLOY_SET sends (NULL when there
 * is none); bufsize HAProxy's tune.bufsize.  When it fails, out may hold the
 * first commands: throw it away.
 */
int deploy_commands(const struct deploy_plan *, const struct deploy_want *,
    const char *pem, size_t pem_len, int bufsize, struct buf *out,
    struct err *);

enum deploy_result {
	DEPLOY_OK = 0,
	DEPLOY_FAILED,  /* try again later */
	DEPLOY_REFUSED, /* will not get better by itself */
	DEPLOY_LOCKED,  /* somebody works on certificates, or 3.4 is wedged */
	DEPLOY_BUSY,    /* another writer's transaction is open: wait for it */
	/*
	 * 2.6: our PEM went into another certificate's open transaction; that
	 * one has to be aborted, whoever it belongs to, or it would serve ours.
	 */
	DEPLOY_MIXED,
};

/*
 * Take the answer to a step: have is brought up to date.  Unless DEPLOY_OK, e
 * says why; with BUSY and MIXED other is the transaction's certificate.
 */
enum deploy_result deploy_got(struct deploy_have *, const struct deploy_want *,
    const struct deploy_step *, const char *text,
    char other[static ANSWER_NAME_MAX], struct err *e);

#endif
