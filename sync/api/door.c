#include "sync/api/door.h"

#include <stdbool.h>
#include <stdlib.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"

#define LOOK_AGAIN_MS 200

struct door {
	struct event_base *base;
	struct evconnlistener *listener; /* evhttp's */
	struct event *timer;
	struct bufferevent **guest; /* one reference of ours to each */
	size_t nguests, max;
};

/*
 * bufferevent_free() takes the callbacks away: so it is told.  Until we let go
 * of it, too, the bufferevent lives on with its events, so the descriptor must
 * stay open with it (BEV_OPT_CLOSE_ON_FREE): closed, its number would be given
 * to somebody else, who would hear nothing.
 */
static bool
gone(struct bufferevent *bev)
{
	bufferevent_event_cb on_event = NULL;

	bufferevent_getcb(bev, NULL, NULL, &on_event, NULL);
	return on_event == NULL;
}

static void
count(struct door *d)
{
	for (size_t i = 0; i < d->nguests;) {
		if (gone(d->guest[i])) {
			bufferevent_decref(d->guest[i]);
			d->guest[i] = d->guest[--d->nguests];
		} else {
			i++;
		}
	}
}

static void
look_again(void *arg)
{
	struct door *d = arg;

	count(d);
	if (d->nguests < d->max)
		evconnlistener_enable(d->listener);
	if (d->nguests > 0)
		loop_after(d->base, &d->timer, LOOK_AGAIN_MS, look_again, d);
}

/* evhttp asks for the bufferevent of each connection it accepts. */
static struct bufferevent *
on_accept(struct event_base *base, void *arg)
{
	struct door *d = arg;
	struct bufferevent *bev =
	    bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	if (bev == NULL)
		abort();
	/* Before this one is entered: it has no callbacks yet. */
	count(d);
	bufferevent_incref(bev);
	d->guest[d->nguests++] = bev;
	if (d->nguests == d->max) {
		log_warn("api connections=%zu: full, others wait", d->nguests);
		evconnlistener_disable(d->listener);
	}
	loop_after(d->base, &d->timer, LOOK_AGAIN_MS, look_again, d);
	return bev;
}

struct door *
door_new(struct event_base *base, struct evhttp *http, int fd, size_t max)
{
	struct door *d = xcalloc(1, sizeof(*d));

	d->base = base;
	d->max = max;
	d->guest = xcalloc(max, sizeof(struct bufferevent *));
	d->listener = evconnlistener_new(base, NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (d->listener == NULL ||
	    evhttp_bind_listener(http, d->listener) == NULL)
		abort();
	evhttp_set_bevcb(http, on_accept, d);
	return d;
}

void
door_free(struct door *d)
{
	if (d == NULL)
		return;
	loop_timer_free(&d->timer);
	for (size_t i = 0; i < d->nguests; i++)
		bufferevent_decref(d->guest[i]);
	free(d->guest);
	free(d);
}
