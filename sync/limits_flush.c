/*
 * Limits: what was spent goes into the ledger before the CA hears of the order.
 * Many orders share one flush to the disk, and one alone does not wait.  Without
 * it orders go on: Redis has counted them.
 */
#include <stdlib.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ledger_file.h"
#include "sync/limits_impl.h"

#define FLUSH_MS 20 /* from one flush to the next */

/* Lines on their way to the disk; one at a time has the file. */
struct ledger_write {
	struct worker_job job; /* first: the worker gives us that */
	struct limits *limits;
	struct buf lines;
	int rc;
	struct err e;
};

void
limits_spending_free(struct spending *s)
{
	store_forget(s->limits->store, s);
	LIST_REMOVE(s, next);
	free(s);
}

void
limits_finish(struct spending *s, const struct err *e)
{
	limits_fn *fn = s->fn;
	void *arg = s->arg;

	limits_spending_free(s);
	fn(arg, e);
}

/* Those whose lines were on their way. */
static void
finish_written(struct limits *l)
{
	struct spending *s;

	do {
		LIST_FOREACH (s, &l->written, next)
			if (s->writing)
				break;
		if (s != NULL)
			limits_finish(s, NULL);
	} while (s != NULL);
}

/* In the thread, or at the end in the loop. */
static void
write_lines(struct worker_job *job)
{
	struct ledger_write *w = (struct ledger_write *)job;

	w->rc = ledger_file_put(w->limits->file, &w->lines, &w->e);
}

static void
written(struct worker_job *job)
{
	struct ledger_write *w = (struct ledger_write *)job;
	struct limits *l = w->limits;

	if (w->rc == -1)
		log_error("%s; a Redis that loses data could forget what was "
			  "ordered",
		    w->e.text);
	l->writing = NULL;
	l->flushed_at = loop_now_ms();
	buf_clear(&w->lines);
	free(w);
	if (l->lines.len > 0)
		limits_flush_soon(l);
	finish_written(l);
}

/* The lines that there are, and those who wait for them. */
static struct ledger_write *
take_lines(struct limits *l)
{
	struct ledger_write *w = xcalloc(1, sizeof(*w));
	struct spending *s;

	w->job.work = write_lines;
	w->job.done = written;
	w->limits = l;
	w->lines = l->lines;
	buf_init(&l->lines, LIMITS_LINES_MAX);
	LIST_FOREACH (s, &l->written, next)
		s->writing = true;
	l->writing = w;
	return w;
}

static void
flush(void *arg)
{
	struct limits *l = arg;
	struct spending *s;

	if (l->writing != NULL)
		return; /* its end begins the next */
	if (l->file != NULL && l->lines.len > 0) {
		worker_do(l->worker, &take_lines(l)->job);
		return;
	}
	buf_clear(&l->lines);
	buf_init(&l->lines, LIMITS_LINES_MAX);
	LIST_FOREACH (s, &l->written, next)
		s->writing = true;
	finish_written(l);
}

void
limits_flush_soon(struct limits *l)
{
	int64_t wait = l->flushed_at + FLUSH_MS - loop_now_ms();

	loop_after(l->base, &l->flush, wait > 0 ? wait : 0, flush, l);
}

void
limits_flush_now(struct limits *l)
{
	struct ledger_write *w;

	if (l->writing != NULL)
		worker_wait(l->worker);
	if (l->file == NULL || l->lines.len == 0)
		return;
	w = take_lines(l);
	write_lines(&w->job);
	written(&w->job);
}
