#include "sync/api/door.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"

#define LOOK_AGAIN_MS 50

/*
 * evhttp does not tell when a connection ends, and a bufferevent must not be
 * held beyond it: its descriptor would be closed and still be known to the
 * loop.  So a connection is known by its socket's inode, which no other has.
 */
struct guest {
	int fd;
	ino_t inode;
};

struct door {
	struct event_base *base;
	struct evconnlistener *listener; /* evhttp's */
	struct event *timer, *entered;
	struct guest *guest;
	struct bufferevent **entering; /* accepted in this turn of the loop */
	size_t nguests, nentering, max;
};

/* Forget those whose socket is no longer there. */
static void
count(struct door *d)
{
	struct stat st;

	for (size_t i = 0; i < d->nguests;) {
		if (fstat(d->guest[i].fd, &st) == -1 ||
		    st.st_ino != d->guest[i].inode)
			d->guest[i] = d->guest[--d->nguests];
		else
			i++;
	}
}

static void
look_again(void *arg)
{
	struct door *d = arg;

	count(d);
	if (d->nguests < d->max)
		evconnlistener_enable(d->listener);
	else
		loop_after(d->base, &d->timer, LOOK_AGAIN_MS, look_again, d);
}

/*
 * Right after they were accepted: evhttp has given them their descriptors, and
 * the loop has not looked at these yet, so each bufferevent is still there.
 */
static void
on_entered(evutil_socket_t fd, short what, void *arg)
{
	struct door *d = arg;
	struct guest g;
	struct stat st;

	(void)fd, (void)what;
	for (size_t i = 0; i < d->nentering; i++) {
		g.fd = bufferevent_getfd(d->entering[i]);
		if (g.fd == -1 || fstat(g.fd, &st) == -1)
			continue;
		g.inode = st.st_ino;
		d->guest[d->nguests++] = g;
	}
	d->nentering = 0;
}

/* evhttp asks for the bufferevent of each connection it accepts. */
static struct bufferevent *
on_accept(struct event_base *base, void *arg)
{
	struct door *d = arg;
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

	if (bev == NULL)
		abort();
	if (d->nentering == 0)
		count(d);
	d->entering[d->nentering++] = bev;
	event_active(d->entered, EV_TIMEOUT, 0);
	if (d->nguests + d->nentering == d->max) {
		log_warn("api connections=%zu: full, others wait", d->max);
		evconnlistener_disable(d->listener);
		loop_after(d->base, &d->timer, LOOK_AGAIN_MS, look_again, d);
	}
	return bev;
}

struct door *
door_new(struct event_base *base, struct evhttp *http, int fd, size_t max)
{
	struct door *d = xcalloc(1, sizeof(*d));

	d->base = base;
	d->max = max;
	d->guest = xcalloc(max, sizeof(d->guest[0]));
	d->entering = xcalloc(max, sizeof(struct bufferevent *));
	d->entered = event_new(base, -1, 0, on_entered, d);
	d->listener = evconnlistener_new(base, NULL, NULL,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (d->entered == NULL || d->listener == NULL ||
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
	event_free(d->entered);
	free(d->entering);
	free(d->guest);
	free(d);
}
