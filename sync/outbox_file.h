/*
 * The outbox's files: state_dir/outbox/DIGEST.KIND, mode 0600, each a name, a
 * newline and sealed bytes.
 */
#ifndef SYNC_OUTBOX_FILE_H
#define SYNC_OUTBOX_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

#define OUTBOX_FILE_MAX ((size_t)128 * 1024)

enum outbox_kind {
	OUTBOX_KEY = 0,
	OUTBOX_BUNDLE,
	OUTBOX_ACCOUNT, /* its name is a directory's URL */
	/* must stay last */
	OUTBOX_KINDS
};

struct outbox_dir;

/*
 * Make the directory where it is missing, remove what a crash has left half
 * done, and tell of each file.  NULL with ERR_CONFIG when it cannot be used.
 */
typedef void outbox_found_fn(void *arg, const char *name, enum outbox_kind);
struct outbox_dir *outbox_dir_new(const char *state_dir, bool sync_keys,
    outbox_found_fn *, void *arg, struct err *);
void outbox_dir_free(struct outbox_dir *);

/*
 * An account is on the disk then.  A key with sync_keys is when the descriptor,
 * the caller's, was flushed.  Everything else survives a crash of this process,
 * and maybe not one of the machine; so it is with -1.
 */
int outbox_dir_put(struct outbox_dir *, const char *name, enum outbox_kind,
    const void *, size_t len, int *flush, struct err *);
int outbox_dir_get(const struct outbox_dir *, const char *name,
    enum outbox_kind, struct buf *out, struct err *);
void outbox_dir_drop(struct outbox_dir *, const char *name, enum outbox_kind);

#endif
