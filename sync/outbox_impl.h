/*
 * What the outbox*.c files share: outbox.c keeps certificates, and which names
 * there are; outbox_key.c the keys of orders and accounts; outbox_flush.c waits
 * for the disk.  Private to the outbox.
 */
#ifndef SYNC_OUTBOX_IMPL_H
#define SYNC_OUTBOX_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/table.h"
#include "sync/outbox.h"
#include "sync/outbox_file.h"

/* A domain that something is kept of. */
struct kept {
	UT_hash_handle hh;
	bool key, bundle; /* which files there are */
	char sha1[41];    /* of the bundle */
	int64_t not_after;
	int64_t gen;  /* 0: not known to be in Redis */
	int64_t turn; /* when it was committed */
	bool held;    /* by a node, on its disk */
	bool replicated;
	char name[];
};

struct outbox {
	const struct seal_ring *ring;
	struct outbox_dir *dir;
	struct kept *names;
	int64_t turn;
	size_t max;
	bool leads; /* something was committed, and not put in doubt since */
	bool told;  /* the disk takes nothing, or too much is kept */
	struct worker *worker; /* NULL: the loop itself waits for the disk */
	LIST_HEAD(, flushing) flushing;
};

/* NULL: nothing is kept of it. */
struct kept *outbox_find(const struct outbox *, const char *name);

/* Its files are gone. */
void outbox_forget(struct outbox *, struct kept *);

/*
 * Write a file, where there is room for another name.  The descriptor that is to
 * be flushed, or -1.
 */
int outbox_put(struct outbox *, const char *name, enum outbox_kind,
    const void *bytes, size_t len);

/* Flush and close the descriptor, which may be -1; true: fn(arg) follows. */
bool outbox_flush(struct outbox *, int fd, outbox_flushed_fn *, void *arg);

/* Before the end: nobody is called back. */
void outbox_flush_end(struct outbox *);

/* That the disk takes nothing is told once; NULL: it takes what comes. */
void outbox_tell(struct outbox *, const struct err *);

#endif
