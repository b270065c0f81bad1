/*
 * The DNS check of a name, from question to judgement: resolve, judge by
 * precheck.h, and where DNS cannot tell (NAT, a proxy in front) probe by
 * fetching a nonce through the name.
 */
#ifndef SYNC_CHECK_H
#define SYNC_CHECK_H

#include "common/err.h"
#include "sync/precheck.h"

struct conf;
struct event_base;
struct http;
struct resolve;
struct store;
struct checks;

struct checks *checks_new(struct event_base *, const struct conf *,
    struct resolve *, struct http *, struct store *);
void checks_free(struct checks *); /* nobody is called back */

/*
 * Check name; thumbprint is the CA account's, for the probe's nonce.  fn gets
 * PRECHECK_OK, _PENDING, _AGAIN or _CAA, with a sentence for the owner unless
 * it is OK; second says why CAA forbids the second CA, NULL: it does not.  Not
 * called from within.
 */
typedef void check_fn(void *arg, enum precheck_verdict, const struct err *why,
    const struct err *second);
void check_start(struct checks *, const char *name, const char *thumbprint,
    check_fn *, void *arg);

/*
 * The same for who wants to see what was found; why is NULL when it is OK.
 * Where DNS is right the addresses are asked as well, as a CA would; that they
 * answer is no part of the verdict.  Everything lives until fn returns.
 */
struct check_seen {
	enum precheck_verdict verdict;
	const struct err *why;
	const struct resolve_answer *answer;
	const char (*target)[46]; /* addresses of the targets that are names */
	size_t ntargets;
	size_t probed;         /* addresses that were asked by HTTP */
	const char *unreached; /* which did not answer, and why; "": all did */
};
typedef void check_seen_fn(void *arg, const struct check_seen *);
void check_look(struct checks *, const char *name, const char *thumbprint,
    check_seen_fn *, void *arg);

void check_cancel(struct checks *, const void *arg);

#endif
