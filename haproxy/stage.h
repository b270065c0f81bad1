/*
 * disk_put() with its slow half, to write and to flush, done beforehand by a
 * worker.  A stage is one file that is on its way.
 */
#ifndef HAPROXY_STAGE_H
#define HAPROXY_STAGE_H

#include <stddef.h>

#include "common/err.h"

struct stage;
struct worker;

/*
 * Write the bytes beside path, unless it holds them already.  fn(arg, stage) is
 * called when that is through, in the order of the calls; it may call stage_put()
 * once.  The stage ends with it.
 */
typedef void stage_fn(void *arg, struct stage *);
struct stage *stage_new(struct worker *, const char *path, const void *,
    size_t len, stage_fn *, void *arg);

/* fn is not called; the stage ends by itself. */
void stage_cancel(struct stage *);

/*
 * Put these bytes at path as disk_put() does, with what was written for them.
 * What was not, or was for other bytes, is written now.
 */
int stage_put(
    struct stage *, const char *path, const void *, size_t len, struct err *);

#endif
