/*
 * Keeps the certificates of one HAProxy process equal to what is wanted, by
 * the runtime API, without a reload.
 *
 * Strictly serial: one transaction at a time, one writer, and every answer must
 * be exactly the expected one; whatever else comes is followed by an abort and
 * a later retry.  A wanted certificate is proven by "show ssl cert": its SHA-1
 * must be ours.  HAProxy's pid and start time are polled; another process is
 * compared as a whole and brought up to date at full speed, while changes to a
 * process that serves traffic are paced.  Of many changes those come first that
 * visitors miss most (rank.h); a single one never waits for that.
 */
#ifndef HAPROXY_PUSH_H
#define HAPROXY_PUSH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct event_base;
struct push;

/* How much is a filter's name asked for, 0 to RANK_HEAT_MAX (rank.h)? */
typedef uint32_t push_heat_fn(void *arg, const char *filter);

/* Strings are borrowed and outlive the push. */
struct push_conf {
	const char *socket;   /* of the runtime API */
	const char *crt_list; /* as HAProxy names it */
	int bufsize;          /* HAProxy's tune.bufsize, bytes */
	int poll_ms;
	int per_s; /* changes per second while traffic runs; 0: no limit */
	int command_timeout_ms;
	push_heat_fn *heat; /* with push_new()'s arg; NULL: all alike */
};

/*
 * Called once per wanted path when HAProxy has it (e NULL), and each time an
 * attempt fails: ERR_REFUSED will not get better by itself (larger than
 * bufsize, not a certificate), other kinds are tried again.
 */
typedef void push_done_fn(
    void *arg, const char *path, const char *sha1, const struct err *e);

/* Called when a process was compared: first contact, restart, reload. */
typedef void push_process_fn(void *arg, int pid, const char *version);

struct push *push_new(struct event_base *, const struct push_conf *,
    push_done_fn *, push_process_fn *, void *arg);
/* Not from a callback.  An open transaction is left to the next one. */
void push_free(struct push *);

/*
 * Want this certificate served: path names both the PEM file to read and the
 * certificate in HAProxy, sha1 is its leaf's (upper hex), filter the name to
 * serve it for ("www.example.com", "*.example.com"; "" for what a bind line
 * names itself, which the crt-list leaves alone).  Wanting another sha1 for the
 * same path replaces it; wanting it again is answered again.
 */
void push_want(
    struct push *, const char *path, const char *sha1, const char *filter);

/* Take it out of the crt-list and out of HAProxy. */
void push_unwant(struct push *, const char *path);

/*
 * Everything that should be wanted is: from now on entries of the crt-list that
 * are not wanted are taken out too.  Until this is called they are left alone,
 * because a node that has just started does not know better than HAProxy.
 */
void push_prune(struct push *);

/* What HAProxy is proven to have for path, or "" . */
const char *push_served(const struct push *, const char *path);

struct push_status {
	bool up;     /* the runtime API answers */
	bool wedged; /* certificate commands are locked for good (3.4) */
	int pid;
	int64_t started_at; /* wall seconds */
	char version[32];
	unsigned int wanted, served, waiting;
	char error[256]; /* the last one, "" when all is well */
};
void push_status(const struct push *, struct push_status *);

#endif
