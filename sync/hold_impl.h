/*
 * The inside of hold, shared by sync/hold.c (certificates come and go),
 * sync/held.c (one of them), sync/held_proof.c (into the HAProxys, and whether
 * they show it) and sync/hold_status.c (what others ask).
 */
#ifndef SYNC_HOLD_IMPL_H
#define SYNC_HOLD_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/table.h"
#include "haproxy/push.h"
#include "sync/gens.h"
#include "sync/hold.h"
#include "sync/lowest.h"

#define DEFAULT_NAME "default" /* no domain's: it has no dot */
#define TARGETS_MAX 32         /* HAProxy processes of one node */

struct handshake;

enum held_state {
	HELD_PUSHING, /* on its way into the HAProxys */
	HELD_PROVING, /* they have it; a handshake is to show it */
	HELD_SERVED,
	HELD_FAILED,
	/* must stay last */
	HELD_STATES
};

/* One certificate of this node; dies when its domain is removed. */
struct held {
	UT_hash_handle hh; /* by name */
	struct hold *hold;
	TAILQ_ENTRY(held) under_way; /* while is_under_way() */
	char sha1[41];
	int64_t not_after, version, gen;
	int64_t since; /* when the owner chose this kind; 0: not known */
	enum held_state state;
	bool proven_before; /* read from disk: no handshake needed */
	uint8_t partition;
	uint32_t pushed; /* a bit for each HAProxy that has it */
	char *error;     /* while HELD_FAILED, else NULL */
	struct handshake *handshake;
	struct event *again;
	int64_t pause_ms;
	char name[]; /* there are many: not a byte more than it has */
};

/* One HAProxy process. */
struct target {
	struct hold *hold;
	unsigned int number;
	struct push *push;
	struct push_conf conf;
};

struct hold {
	struct event_base *base;
	const struct conf *conf;
	const struct seal_ring *ring;
	const struct skew *skew;
	struct files *files;
	hold_fn *fn;
	void *arg;
	struct held *names;
	/* Of the first certificates of names, and of the second ones. */
	size_t count[2][HELD_STATES];
	TAILQ_HEAD(, held) under_way;
	struct lowest lowest[GENS_MAX]; /* generation of those, by partition */
	struct target target[TARGETS_MAX];
	unsigned int ntargets;
	struct event *changed, *sync;
	bool writing;    /* sync will write the crt-list */
	int64_t list_at; /* not before */
};

/* Of the first certificate of name or, by its own name, of the second. */
struct held *held_find(const struct hold *, const char *name);
struct held *held_find_path(const struct hold *, const char *path);

/* In the table, and out of it. */
struct held *held_new(struct hold *, const char *name);
void held_free(struct held *);

bool held_is_default(const struct held *);

/*
 * What is under way holds back what counts as applied.  Around every change of
 * partition or gen: settle, change, unsettle.
 */
void held_settle(struct held *);
void held_unsettle(struct held *);

void held_set_state(struct held *, enum held_state);
void held_set_error(struct held *, const char *text); /* NULL: none */

/* It is not served, and why; or it is. */
void held_failed(struct held *, const struct err *);
void held_served(struct held *);

/* Into all HAProxys, then to the proof; or out of them. */
void held_push(struct held *);
void held_unwant(const struct held *);

/* From push.h, about one HAProxy: arg is the target. */
void hold_on_pushed(
    void *arg, const char *path, const char *sha1, const struct err *);
void hold_on_process(void *arg, int pid, const char *version);

/* Tell whoever made the hold, once per turn of the loop. */
void hold_changed(struct hold *);

#endif
