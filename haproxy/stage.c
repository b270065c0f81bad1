#include "haproxy/stage.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/mem.h"
#include "common/worker.h"
#include "haproxy/disk.h"

struct stage {
	struct worker_job job; /* first: the worker gives us that */
	char *temp, *path;
	char *bytes;
	size_t len;
	bool made, ready; /* the temporary file; and it is all there */
	bool cancelled;
	stage_fn *fn;
	void *arg;
};

/* In the thread.  Some file systems report a full disk only at the close. */
static void
write_it(struct worker_job *job)
{
	struct stage *s = (struct stage *)job;
	int fd = disk_create(s->temp);

	if (fd == -1)
		return;
	s->made = true;
	s->ready = fchmod(fd, 0600) == 0 &&
	           disk_write_all(fd, s->bytes, s->len) == 0 && fsync(fd) == 0;
	if (close(fd) == -1)
		s->ready = false;
}

/* It keeps its turn among those that are written. */
static void
pass(struct worker_job *job)
{
	(void)job;
}

static void
done(struct worker_job *job)
{
	struct stage *s = (struct stage *)job;

	if (!s->cancelled)
		s->fn(s->arg, s);
	if (s->made)
		unlink(s->temp);
	free(s->temp);
	free(s->path);
	free(s->bytes);
	free(s);
}

struct stage *
stage_new(struct worker *worker, const char *path, const void *bytes,
    size_t len, stage_fn *fn, void *arg)
{
	static unsigned int number; /* no two are on their way with the same */
	struct stage *s = xcalloc(1, sizeof(*s));
	int dir = (int)(strrchr(path, '/') + 1 - path);

	s->temp = xasprintf("%.*s" DISK_TEMP "stage-%u", dir, path, number++);
	s->path = xstrdup(path);
	s->bytes = xmemdup0(bytes, len);
	s->len = len;
	s->fn = fn;
	s->arg = arg;
	s->job.work = disk_is(path, bytes, len) ? pass : write_it;
	s->job.done = done;
	worker_do(worker, &s->job);
	return s;
}

void
stage_cancel(struct stage *s)
{
	s->cancelled = true;
}

int
stage_put(struct stage *s, const char *path, const void *bytes, size_t len,
    struct err *e)
{
	if (!s->ready || s->len != len || strcmp(s->path, path) != 0 ||
	    memcmp(s->bytes, bytes, len) != 0)
		return disk_put(path, bytes, len, e);
	fault_point("F14");
	if (rename(s->temp, path) == -1)
		return err_set(
		    e, ERR_AGAIN, "cannot write %s: %s", path, strerror(errno));
	s->made = s->ready = false;
	return 0;
}
