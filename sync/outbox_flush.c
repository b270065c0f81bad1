/* Outbox: a key that an order waits for is flushed to the disk. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/worker.h"
#include "sync/outbox_impl.h"

struct flushing {
	struct worker_job job; /* first: the worker gives us that */
	LIST_ENTRY(flushing) link;
	struct outbox *outbox; /* NULL: it is gone */
	int fd;
	int error;             /* errno */
	outbox_flushed_fn *fn; /* NULL: nobody waits any more */
	void *arg;
};

/* In the thread, or in the loop where there is none. */
static void
flush(struct worker_job *job)
{
	struct flushing *f = (struct flushing *)job;

	f->error = fsync(f->fd) == -1 ? errno : 0;
	if (close(f->fd) == -1 && f->error == 0)
		f->error = errno;
}

/* An order goes on without the disk: Redis has its key. */
static void
tell(struct outbox *o, int error)
{
	struct err e;

	if (error == 0)
		return;
	err_set(&e, ERR_AGAIN, "cannot write a key: %s", strerror(error));
	outbox_tell(o, &e);
}

static void
flushed(struct worker_job *job)
{
	struct flushing *f = (struct flushing *)job;

	if (f->outbox != NULL) {
		LIST_REMOVE(f, link);
		tell(f->outbox, f->error);
	}
	if (f->fn != NULL)
		f->fn(f->arg);
	free(f);
}

bool
outbox_flush(struct outbox *o, int fd, outbox_flushed_fn *fn, void *arg)
{
	struct flushing *f, now = { .fd = fd };

	if (fd == -1)
		return false;
	if (o->worker == NULL) {
		flush(&now.job);
		tell(o, now.error);
		return false;
	}
	f = xcalloc(1, sizeof(*f));
	f->job.work = flush;
	f->job.done = flushed;
	f->outbox = o;
	f->fd = fd;
	f->fn = fn;
	f->arg = arg;
	LIST_INSERT_HEAD(&o->flushing, f, link);
	worker_do(o->worker, &f->job);
	return true;
}

void
outbox_worker(struct outbox *o, struct worker *worker)
{
	if (o != NULL)
		o->worker = worker;
}

void
outbox_cancel(struct outbox *o, const void *arg)
{
	struct flushing *f;

	if (o == NULL)
		return;
	LIST_FOREACH (f, &o->flushing, link)
		if (f->arg == arg)
			f->fn = NULL;
}

void
outbox_flush_end(struct outbox *o)
{
	struct flushing *f;

	while ((f = LIST_FIRST(&o->flushing)) != NULL) {
		LIST_REMOVE(f, link);
		f->outbox = NULL;
		f->fn = NULL;
	}
}
