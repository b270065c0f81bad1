/*
 * The inside of hold, shared by sync/hold.c (certificates come and go),
 * sync/hold_land.c (on their way to the disk),
 * sync/held.c (one of them), sync/held_proof.c (into the HAProxys, and whether
 * they show it), sync/held_missing.c (what Redis has lost of it),
 * sync/hold_hot.c (what is needed most) and sync/hold_status.c (what others
 * ask).
 */
#ifndef SYNC_HOLD_IMPL_H
#define SYNC_HOLD_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/domain.h"
#include "common/table.h"
#include "haproxy/push.h"
#include "sync/digest.h"
#include "sync/gens.h"
#include "sync/hold.h"
#include "sync/lowest.h"

#define DEFAULT_NAME "default" /* no domain's: it has no dot */
#define TARGETS_MAX 32         /* HAProxy processes of one node */

struct handshake;
struct landing;
struct stage;
struct worker;

enum held_state {
	HELD_PUSHING, /* on its way into the HAProxys */
	HELD_PROVING, /* they have it; a handshake is to show it */
	HELD_SERVED,
	HELD_FAILED,
	/* must stay last */
	HELD_STATES
};

/*
 * A certificate that this node, as the canary, is to prove: it is in HAProxy
 * and in its files, but not among the sealed copies, and what was before is
 * what the index still says.
 */
struct trial {
	char before[41]; /* SHA-1, "": there was none */
	int64_t not_after;
	bool over;    /* whatever the index says is to be taken */
	bool refused; /* HAProxy does not take it, or shows another */
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
	bool shown;         /* a handshake has shown it since we run */
	bool missing;       /* Redis has not got it, or an older one */
	bool unkept;        /* in HAProxy's files, but not among ours */
	uint8_t partition;
	uint32_t pushed;   /* a bit for each HAProxy that has it */
	char *error;       /* while HELD_FAILED, else NULL */
	char *other;       /* SHA-1 that is shown in its place, or NULL */
	int64_t served_at; /* known to be served since, wall ms; 0: it is not */
	struct trial *trial;
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
	const struct hot *hot; /* or NULL */
	hold_fn *fn;
	void *arg;
	struct held *names;
	struct worker *worker;
	TAILQ_HEAD(, landing) landings;
	/* Of the first certificates of names, and of the second ones. */
	size_t count[2][HELD_STATES];
	TAILQ_HEAD(, held) under_way;
	struct lowest lowest[GENS_MAX]; /* generation of those, by partition */
	struct target target[TARGETS_MAX];
	unsigned int ntargets;
	struct digest served; /* of the first ones that are served */
	struct patrol *patrol;
	size_t nmissing; /* how many of names are */
	size_t nunkept;
	char unkept_why[160]; /* of the last one */
	struct event *changed, *sync;
	bool writing;    /* sync will write the crt-list */
	int64_t list_at; /* not before */
};

/* Of the first certificate of name or, by its own name, of the second. */
struct held *held_find(const struct hold *, const char *name);
struct held *held_find_path(const struct hold *, const char *path);

/* A bundle that is written (staged), or could not be, is checked and taken. */
void hold_land(struct hold *, const char *name, const void *bundle, size_t len,
    const struct hold_entry *, struct stage *staged);

/* Before the end: nothing that is on its way is taken. */
void hold_forget_all(struct hold *);

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
void held_set_sha1(struct held *, const char sha1[static 41]);
void held_set_error(struct held *, const char *text); /* NULL: none */

/* It is not served, and why; or it is. */
void held_failed(struct held *, const struct err *);
void held_served(struct held *);

void held_set_missing(struct held *, bool);

/* Its sealed copy could not be written, and why; or, kind ERR_NONE, it could. */
void held_set_unkept(struct held *, const struct err *why);

/* Into all HAProxys, then to the proof; or out of them. */
void held_push(struct held *);
void held_unwant(const struct held *);

/* The name that a handshake is to ask for. */
#define HELD_SNI_MAX (DOMAIN_NAME_MAX + 16)
void held_sni(const char *name, char out[static HELD_SNI_MAX]);

/* A handshake shows another one, NULL: it does not. */
void held_shows_other(struct held *, const char *sha1);

/* Look by handshake whether it is shown, and again until it is. */
void held_prove_again(struct held *, int64_t pause_ms);

/* hold_patrol.c: looks at one after the other, as long as the hold is there. */
struct patrol *patrol_new(struct hold *);
void patrol_free(struct patrol *);
void patrol_gone(struct patrol *, const struct held *);

/* From push.h, about one HAProxy: arg is the target. */
void hold_on_pushed(
    void *arg, const char *path, const char *sha1, const struct err *);
void hold_on_process(void *arg, int pid, const char *version);
uint32_t hold_heat(void *arg, const char *filter);

/*
 * hold.c's, for trials: the crt-list has changed, and the first certificate of a
 * new name is not to be pushed without it; a second certificate.
 */
void hold_want_crt_list(struct hold *, bool first);
void hold_take_second(struct hold *, const char *name, const struct cert *,
    const struct hold_entry *);

/* Tell whoever made the hold, once per turn of the loop. */
void hold_changed(struct hold *);

#endif
