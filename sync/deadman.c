#include "sync/deadman.h"

#include <stdlib.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"

#define LOOKS 8 /* in the time that is too long */

struct deadman {
	struct event_base *base;
	const struct conf *conf;
	deadman_ask_fn *ask;
	deadman_fn *fn;
	void *arg;
	struct event *timer;
	uint64_t moved;
	int64_t since; /* nothing has moved */
	int times;
};

struct deadman *
deadman_new(struct event_base *base, const struct conf *conf,
    deadman_ask_fn *ask, deadman_fn *fn, void *arg)
{
	struct deadman *d = xcalloc(1, sizeof(*d));

	d->base = base;
	d->conf = conf;
	d->ask = ask;
	d->fn = fn;
	d->arg = arg;
	return d;
}

void
deadman_free(struct deadman *d)
{
	if (d == NULL)
		return;
	loop_timer_free(&d->timer);
	free(d);
}

/* An order that the CA is slow with is not stalled. */
static int64_t
too_long(const struct deadman *d)
{
	int64_t ms = d->conf->fleet.stalled_ms;
	int64_t order = (int64_t)d->conf->acme.order_timeout_s * 1500;

	return ms > order ? ms : order;
}

static void
look(void *arg)
{
	struct deadman *d = arg;
	struct deadman_state s = { 0 };
	int64_t now = loop_now_ms(), most = too_long(d);

	loop_after(d->base, &d->timer, most / LOOKS + 1, look, d);
	d->ask(d->arg, &s);
	if (s.moved != d->moved)
		d->times = 0;
	if (s.in_hand == 0 || s.moved != d->moved) {
		d->moved = s.moved;
		d->since = now;
	}
	if (now - d->since < most)
		return;
	loop_cancel(d->timer);
	/* The last thing: whoever is told may free us. */
	d->fn(d->arg, s.in_hand, now - d->since, ++d->times);
}

void
deadman_start(struct deadman *d)
{
	d->since = loop_now_ms();
	if (d->conf->fleet.stalled_ms > 0)
		loop_after(
		    d->base, &d->timer, too_long(d) / LOOKS + 1, look, d);
}

void
deadman_stop(struct deadman *d)
{
	loop_cancel(d->timer);
}
