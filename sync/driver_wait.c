/* When an order waits, so that others may have its place meanwhile. */
#include <stdbool.h>

#include "common/loop.h"
#include "sync/driver_impl.h"

#define REST_MS 500    /* who waits shorter keeps its place */
#define ANSWER_MS 2000 /* whose request is not answered so long waits, too */

void
driver_rests(struct driver *dr, driver_rest_fn *fn)
{
	dr->rests = fn;
}

static void
tell(struct run *r, bool resting)
{
	if (r->resting == resting)
		return;
	r->resting = resting;
	if (r->driver->rests != NULL)
		r->driver->rests(r->arg, resting);
}

void
run_wait(struct run *r, int64_t pause_ms, loop_fn *fn)
{
	loop_after(r->driver->base, &r->timer, pause_ms, fn, r);
	if (pause_ms >= REST_MS)
		tell(r, true);
}

static void
no_answer(void *arg)
{
	tell(arg, true);
}

void
run_asked(struct run *r)
{
	tell(r, false);
	loop_after(r->driver->base, &r->timer, ANSWER_MS, no_answer, r);
}

void
run_answered(struct run *r)
{
	loop_cancel(r->timer);
	tell(r, false);
}
