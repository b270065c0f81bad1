#include "sync/api/door.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
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
	bool asked;    /* and not answered yet */
	int64_t since; /* when it came, or had its answer */
};

struct door {
	struct event_base *base;
	struct evconnlistener *listener; /* evhttp's */
	struct event *timer, *entered, *watch;
	struct guest *guest;
	struct bufferevent **entering; /* accepted in this turn of the loop */
	size_t nguests, nentering, max;
	int patience_ms;
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
 * A socket that is shut down ends its connection as if the client had gone:
 * evhttp puts everything away itself.
 */
static void
show_out(void *arg)
{
	struct door *d = arg;
	int64_t now = loop_now_ms();
	size_t n = 0;

	count(d);
	for (size_t i = 0; i < d->nguests; i++) {
		struct guest *g = &d->guest[i];

		if (g->asked || now - g->since < d->patience_ms)
			continue;
		shutdown(g->fd, SHUT_RDWR);
		g->since = now;
		n++;
	}
	if (n > 0)
		log_info("api connections=%zu: no request in %d ms, closed", n,
		    d->patience_ms);
	if (d->nguests > 0)
		loop_after(d->base, &d->watch, d->patience_ms / 4, show_out, d);
}

static struct guest *
find(struct door *d, int fd)
{
	for (size_t i = 0; i < d->nguests; i++)
		if (d->guest[i].fd == fd)
			return &d->guest[i];
	return NULL;
}

void
door_asked(struct door *d, int fd)
{
	struct guest *g = find(d, fd);

	if (g != NULL)
		g->asked = true;
}

void
door_answered(struct door *d, int fd)
{
	struct guest *g = find(d, fd);

	if (g == NULL)
		return;
	g->asked = false;
	g->since = loop_now_ms();
}

/*
 * Right after they were accepted: evhttp has given them their descriptors, and
 * the loop has not looked at these yet, so each bufferevent is still there.
 */
static void
on_entered(evutil_socket_t fd, short what, void *arg)
{
	struct door *d = arg;
	struct guest g = { .since = loop_now_ms() };
	struct stat st;

	(void)fd, (void)what;
	if (d->nguests == 0)
		loop_after(d->base, &d->watch, d->patience_ms / 4, show_out, d);
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
door_new(struct event_base *base, struct evhttp *http, int fd, size_t max,
    int patience_ms)
{
	struct door *d = xcalloc(1, sizeof(*d));

	d->base = base;
	d->max = max;
	d->patience_ms = patience_ms;
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
	loop_timer_free(&d->watch);
	event_free(d->entered);
	free(d->entering);
	free(d->guest);
	free(d);
}
