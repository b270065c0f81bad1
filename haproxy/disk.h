/*
 * Files that are either the old or the new ones, whatever happens: written
 * beside, flushed, renamed.  Mode 0600; symbolic links are never followed.
 */
#ifndef HAPROXY_DISK_H
#define HAPROXY_DISK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

/*
 * Make a directory (0700; its parents 0755) where it is missing.  ERR_CONFIG
 * when it is not a directory of ours or root's that only we can write to; a
 * closed one must also be unreadable to group and others.
 */
int disk_dir(const char *path, bool closed, struct err *);

/*
 * Write the whole file.  One that holds these bytes already is left alone.
 * ERR_AGAIN when that fails: what was there stays, no temporary file is left.
 */
int disk_write(const char *path, const void *, size_t len, struct err *);

/*
 * The same for what is never in memory as a whole: fill gives it piece by piece,
 * each time from the beginning.  Here what is there is always replaced.
 */
struct disk_file;
typedef void disk_fill_fn(void *arg, struct disk_file *);
int disk_fill(const char *path, disk_fill_fn *, void *arg, struct err *);
void disk_add(struct disk_file *, const void *, size_t len);

/* Is what fill gives all that the file holds, and is the file as we write it? */
bool disk_holds(const char *path, disk_fill_fn *, void *arg);

/* Does the file hold just these bytes, and is it as we write it? */
bool disk_is(const char *path, const void *, size_t len);

/*
 * A new temporary file, whose name begins with DISK_TEMP in its directory, in
 * place of one that a crash left there: its descriptor, or -1 and errno.
 */
#define DISK_TEMP ".tmp-"
int disk_create(const char *temp);

/* All of it to a descriptor, whatever signals come; -1 and errno. */
int disk_write_all(int fd, const char *bytes, size_t len);

/*
 * The same as disk_write(), in two steps: after disk_put() a crash of the machine leaves the
 * old file or the new one, after disk_sync() of its directory the new one.
 */
int disk_put(const char *path, const void *, size_t len, struct err *);
int disk_sync(const char *dir, struct err *);

/*
 * Append the whole file to out, whose cap is the limit; the caller wipes it.
 * ERR_AGAIN when it cannot be read, ERR_CONFIG when it is not a plain file or
 * too large.
 */
int disk_read(const char *path, struct buf *out, struct err *);

/* Unlink durably; a file that is gone already is as good as removed. */
int disk_remove(const char *path, struct err *);

/* Remove the temporary files that a crash left in a directory. */
void disk_sweep(const char *dir);

#endif
