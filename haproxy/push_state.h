/*
 * The inside of push.h, shared by its four files:
 *
 *	push.c          what is wanted, and what to do next
 *	push_queue.c    what waits for what, and in which order
 *	push_compare.c  conversations that only look: poll, list, show
 *	push_change.c   the one that changes certificates
 *
 * A cert is in one queue at a time:
 *
 *	(none)   nothing to do, or in the conversation that is under way
 *	check    wanted or unwanted just now: what does that mean?
 *	look     HAProxy has one of that name: is it ours?
 *	ready    to be changed now, what is missed most first
 *	later    failed, waits for retry_at
 */
#ifndef HAPROXY_PUSH_STATE_H
#define HAPROXY_PUSH_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/heap.h"
#include "common/table.h"
#include "haproxy/answer.h"
#include "haproxy/deploy.h"
#include "haproxy/push.h"

#define PUSH_MAGIC 0x70757368u
#define PUSH_LOOKS 64   /* "show ssl cert" per conversation */
#define PUSH_CHANGES 16 /* certificates per conversation at full speed */

TAILQ_HEAD(cert_queue, cert);

/* There are many: one for each name and HAProxy. */
struct cert {
	UT_hash_handle hh;
	TAILQ_ENTRY(cert) link;
	struct cert_queue *queue;
	int64_t retry_at;
	char *filter; /* behind path, unless it has changed */
	struct deploy_have have;
	char sha1[ANSWER_SHA1_MAX]; /* wanted; "": to be gone */
	bool served;                /* have.sha1 is proven */
	bool stray;    /* in our crt-list, but nobody ever wanted it */
	bool reported; /* done() was told that sha1 is served */
	bool refused;  /* not tried again until something changes */
	bool busy;     /* in the conversation under way */
	bool looked;   /* "" in have.sha1 is what HAProxy has */
	unsigned int attempts;
	uint32_t at; /* in ready, 0: it is not */
	char path[];
};

/* One certificate's part of a conversation. */
struct job {
	struct cert *cert;
	char *filter;
	char sha1[ANSWER_SHA1_MAX]; /* as wanted when it began */
	struct deploy_plan plan;
	int at; /* step whose answer comes next */
	enum deploy_result result;
	struct err e;
};

enum talk {
	TALK_NONE = 0,
	TALK_POLL,
	TALK_LIST,
	TALK_LOOK,
	TALK_CHANGE,
};

struct push {
	unsigned int magic;
	struct event_base *base;
	struct push_conf conf;
	push_done_fn *done;
	push_process_fn *process;
	void *arg;

	struct cert *certs; /* by path */
	struct cert_queue check, look, later;
	struct heap ready;
	uint32_t turn; /* of the last one that became ready */
	char *dir;     /* that of the certificates, with its slash */
	bool pruning;  /* strays are to be removed */

	struct event *timer;
	int64_t poll_at;
	int64_t change_at;   /* the next paced change */
	int64_t pause_until; /* no changes, no looks: locked or busy */
	int64_t pause_ms;
	int64_t locked_since;
	bool wedged;
	bool busy_told; /* another writer's transaction was logged */

	bool up;
	bool compared; /* what this process has is known */
	bool need_list;
	bool announced; /* process() was told */
	bool fresh;     /* changes go at full speed */
	int64_t compared_at;
	struct answer_info info;
	char error[256];

	enum talk talk;
	struct runtime *runtime;
	unsigned int answers; /* that have come in this conversation */
	struct job job[PUSH_CHANGES];
	struct cert *looked[PUSH_LOOKS];
	unsigned int njobs, at, nlooked;
	struct buf body;             /* the changes, until the way is free */
	char mixed[ANSWER_NAME_MAX]; /* a transaction that has our PEM */
	bool clearing;               /* an abort's answer comes next */
};

/* push.c */
void push_wake(struct push *, int64_t after_ms);
struct cert *push_find(const struct push *, const char *path);
struct cert *push_add(struct push *, const char *path, const char *filter);
struct deploy_want push_want_of(const struct push *, const struct cert *);
bool push_is_ours(const struct push *, const char *name);
void push_classify(struct push *, struct cert *); /* may free an unwanted one */
void push_failed(struct push *, struct cert *, const struct err *);
void push_note(struct push *, const struct err *);
void push_locked(struct push *);
void push_pause(struct push *);
void push_unlocked(struct push *);

/* push_queue.c */
void push_queues(struct push *);
void push_enqueue(
    struct push *, struct cert *, struct cert_queue *); /* NULL: none */
void push_make_ready(struct push *, struct cert *);

/* push_compare.c */
void push_talk(struct push *, enum talk, struct buf *commands);
void push_talk_end(struct push *);
void push_poll(struct push *);
void push_list(struct push *);
void push_look(struct push *);

/* push_change.c */
void push_change(struct push *, unsigned int max);
void push_change_got(struct push *, const char *text);
void push_change_ended(struct push *, const struct err *);

#endif
