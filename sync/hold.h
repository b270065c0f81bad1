/*
 * The certificates that this node holds: from a bundle out of Redis, through
 * checks, disk and every HAProxy of the node, to the handshake that proves it.
 */
#ifndef SYNC_HOLD_H
#define SYNC_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "haproxy/push.h"
#include "sync/digest.h"

struct conf;
struct event_base;
struct files;
struct hold;
struct seal_ring;
struct skew;
struct worker;

/* Something was proven, failed or a HAProxy changed: look again. */
typedef void hold_fn(void *arg);

/*
 * Begins to talk to the HAProxys of conf->haproxy.sockets.  The worker, which
 * outlives it, writes the sealed copies.
 */
struct hold *hold_new(struct event_base *, const struct conf *,
    const struct seal_ring *, const struct skew *, struct files *,
    struct worker *, hold_fn *, void *arg);
void hold_free(struct hold *);

/*
 * Take what is on this node's disk (keep_load()): nothing of it needs Redis.
 * Returns how many certificates were taken, -1 when the directory is unusable.
 */
int hold_load(struct hold *, struct err *);

/* What the index of its partition says of a bundle. */
struct hold_entry {
	int partition;
	int64_t version, gen;
	int64_t since; /* when the owner chose its kind; 0: never */
};

/*
 * Take a bundle: check it, write it to disk, push it.  One that ends earlier
 * than what is held is only taken when the owner has chosen another kind since;
 * one of before the last choice never.  On failure it counts as failed, with
 * the reason, until there is a better one.  A worker writes it, so fn(arg) is
 * called when all that is done; bundles are taken in the order of the calls.
 */
typedef void hold_taken_fn(void *arg);
void hold_take(struct hold *, const char *name, const void *bundle, size_t len,
    const struct hold_entry *, hold_taken_fn *, void *arg);

/* What was to be taken for arg, and was not yet, is not. */
void hold_forget(struct hold *, const void *arg);

void hold_drop(struct hold *, const char *name);

/*
 * As the canary: take a bundle as hold_take() does, to be proven before it is
 * what the index says.  It is not among the sealed copies: a restart ends the
 * trial.  A trial that is over gives way to whatever the index has, and where
 * that has nothing hold_drop() has to follow.
 */
void hold_try(struct hold *, const char *name, const void *bundle, size_t len,
    int partition);
void hold_try_end(struct hold *, const char *name);

/* How a trial is: 1 it is served, -1 it cannot be, why; 0 not known yet. */
int hold_trial(const struct hold *, const char *name, char *why, size_t size);

/* What this node shows for a name, by a handshake made now. */
struct hold_shown {
	const char *name;
	const char *wanted, *shown; /* SHA-1 or "" */
	int64_t version;            /* of what is wanted */
	int64_t since;              /* that is known to be served; 0: not */
	bool trial;                 /* as the canary */
	const char *error;
};
typedef void hold_shown_fn(void *arg, const struct hold_shown *);

/*
 * fn is called once, not from within, unless the hold is freed.  -1: too many
 * ask at the same time.
 */
int hold_show(struct hold *, const char *name, hold_shown_fn *, void *arg);

/* The end is near: no more looks at what is served. */
void hold_leave(struct hold *);

/*
 * What Redis has lost: begin by taking it that all of a partition is missing
 * there, then tell what its index has.  True when that is older than what is
 * held, which stays missing; it is not to be fetched.
 */
struct store_entry;
void hold_compare(struct hold *, int partition, int npartitions);
bool hold_indexed(struct hold *, const struct store_entry *);
void hold_restored(struct hold *, const char *name);

/*
 * How many are missing, and up to max of them, from the at-th on: names are the
 * hold's.  Returns how many there are in name.
 */
size_t hold_missing(const struct hold *);
struct hold_lost {
	const char *name;
	int64_t since;
};
size_t hold_list_missing(
    const struct hold *, size_t at, struct hold_lost *, size_t max);

/*
 * What is hot, NULL: not known; it is borrowed.  Where a certificate stands that
 * is still to be fetched (rank_of(); turn is the caller's counter).  And all that
 * are held, the second ones, too, by their domain's name.
 */
struct hot;
void hold_hot(struct hold *, const struct hot *);
uint64_t hold_rank(const struct hold *, const char *name, uint32_t turn);
typedef void hold_name_fn(void *arg, const char *name, const char *sha1);
void hold_each(const struct hold *, hold_name_fn *, void *arg);

/* HAProxy is to have nothing but what is held. */
void hold_prune(struct hold *);

/* HAProxy's default certificate is to be this one, on disk and served. */
struct cert;
void hold_default(struct hold *, const struct cert *, const char *key_pem);

/* SHA-1 of what is held for name, or "". */
const char *hold_sha1(const struct hold *, const char *name);

/* All of a partition up to this generation is settled, if seen is known. */
int64_t hold_applied(const struct hold *, int partition, int64_t seen);

struct hold_status {
	size_t wanted, served, failed;
	int haproxies, haproxies_up;
	char versions[64], pids[64]; /* comma separated */
	char errors[1024];           /* "name=why; name=why", as many as fit */
	char differs[1024]; /* "name=SHA1; ..." that is shown in its place */
	char digest[DIGEST_TEXT_MAX]; /* of the names that are served */
};
void hold_status(const struct hold *, struct hold_status *);

/* How long what is held is still good. */
#define HOLD_ENDS 7
extern const int64_t hold_end_ms[HOLD_ENDS];
struct hold_ends {
	size_t n;
	size_t within[HOLD_ENDS]; /* how many end within hold_end_ms */
	double sum_ms;
	int64_t soonest; /* wall ms, 0: none is held */
};
void hold_ends(const struct hold *, int64_t now, struct hold_ends *);

#endif
