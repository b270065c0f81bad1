/*
 * A certificate that one node has to prove before the others get it, and the
 * way back to the one of before.
 */
#ifndef SYNC_STORE_CANARY_H
#define SYNC_STORE_CANARY_H

#include "sync/store.h"

/* What a canary has to prove; strings live until the callback returns. */
struct store_canary {
	const char *name, *sha1, *node;
	int64_t since; /* when it was asked to */
	bool custom;   /* the owner's own */
};
typedef void store_canaries_fn(
    void *arg, const struct store_canary *, size_t n, const struct err *e);
void store_canaries(
    struct store *, int partition, store_canaries_fn *, void *arg);

/*
 * The bundle to prove, and the one of before, of the CA's or of the owner's
 * own; NULL when there is none.
 */
void store_next(struct store *, const char *name, bool custom,
    store_bundle_fn *, void *arg);
void store_previous(struct store *, const char *name, bool custom,
    store_bundle_fn *, void *arg);

/* Does the index have the name? */
void store_indexed(struct store *, const char *name, store_yes_fn *, void *arg);

/* Say something by the channel of acknowledgements; the forms are there. */
void store_say(struct store *, const char *text);

/*
 * What is staged, of the CA's (or imported) or of the owner's own; sha1 is ""
 * when nothing is.
 */
struct store_staged {
	const char *sha1, *node, *why, *tried; /* tried: "n1,n2" */
	int64_t at, since, not_after;
	int64_t stops; /* how often the owner's own was stopped */
	bool custom, imported;
};
typedef void store_staged_fn(
    void *arg, const struct store_staged *, const struct err *e);
void store_staged(
    struct store *, const char *name, bool custom, store_staged_fn *, void *);

/*
 * That node is to prove what is staged; "": it has stopped, why.  The name is
 * due again at next_at.
 */
void store_canary(struct store *, const char *name, int64_t epoch,
    const struct store_staged *, int64_t next_at, store_fn *, void *arg);

/*
 * It is proven: the domain's from now on, as by store_commit(), store_import()
 * or store_custom_set().
 */
void store_promote(struct store *, const char *name, int64_t epoch,
    const struct store_staged *, store_commit_fn *, void *arg);

/* It is not wanted any more. */
void store_unstaged(struct store *, const char *name, int64_t epoch,
    bool custom, store_fn *, void *arg);

/* What certificate is in a bundle, and is it good now?  The caller clears it. */
struct cert;
int store_bundle_look(struct store *, const char *name, const void *bundle,
    size_t len, struct cert *, struct err *);

/*
 * Back to the previous bundle, which is given as it was read.  d has the fields
 * that tell of it; custom_sha1 and custom_not_after, and no others, when it is
 * the owner's own.  Errors of type "BUSY": none that stays is served; "CHANGED":
 * it is another by now; "GONE".
 */
void store_rollback(struct store *, const struct domain *d, const void *bundle,
    size_t len, const char *who, const char *why, store_commit_fn *, void *arg);

#endif
