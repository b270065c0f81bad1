#include "sync/exchange.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>

#include "common/loop.h"
#include "common/mem.h"

#define IN_FLIGHT_MAX 64 /* each is a socket; the rest wait their turn */
#define UDP_MAX 4096     /* we offer 512, and take what comes */

struct exchange {
	TAILQ_ENTRY(exchange) next;
	struct exchanges *all;
	bool running; /* else it waits */
	union {
		struct sockaddr sa;
		struct sockaddr_in sin;
		struct sockaddr_in6 sin6;
	} to;
	socklen_t to_len;
	uint8_t query[DNS_QUERY_MAX];
	size_t query_len;
	int fd; /* UDP */
	struct event *readable;
	struct bufferevent *tcp;
	struct event *timer;
	int tries;
	const char *udp_why; /* there was no reply by UDP; NULL: a short one */
	enum exchange_result udp_result;
	enum exchange_result result;
	const char *why;
	exchange_fn *fn;
	void *arg;
};

TAILQ_HEAD(exchange_list, exchange);

struct exchanges {
	struct event_base *base;
	struct exchange_list running, waiting;
	size_t nrunning;
	int timeout_ms;
};

static void start_next(struct exchanges *);
static void send_query(void *);
static void without_udp(
    struct exchange *, enum exchange_result, const char *why);
static void ask_by_tcp(struct exchange *);

struct exchanges *
exchanges_new(struct event_base *base, int timeout_ms)
{
	struct exchanges *all = xcalloc(1, sizeof(*all));

	all->base = base;
	all->timeout_ms = timeout_ms;
	TAILQ_INIT(&all->running);
	TAILQ_INIT(&all->waiting);
	return all;
}

static void
close_sockets(struct exchange *x)
{
	if (x->readable != NULL)
		event_free(x->readable);
	if (x->fd != -1)
		close(x->fd);
	if (x->tcp != NULL)
		bufferevent_free(x->tcp);
	x->readable = NULL;
	x->fd = -1;
	x->tcp = NULL;
}

static void
release(struct exchange *x)
{
	struct exchanges *all = x->all;

	if (x->running) {
		TAILQ_REMOVE(&all->running, x, next);
		all->nrunning--;
	} else {
		TAILQ_REMOVE(&all->waiting, x, next);
	}
	close_sockets(x);
	loop_timer_free(&x->timer);
	free(x);
}

void
exchange_cancel(struct exchange *x)
{
	struct exchanges *all = x->all;

	release(x);
	start_next(all);
}

void
exchanges_free(struct exchanges *all)
{
	if (all == NULL)
		return;
	while (!TAILQ_EMPTY(&all->waiting))
		release(TAILQ_FIRST(&all->waiting));
	while (!TAILQ_EMPTY(&all->running))
		release(TAILQ_FIRST(&all->running));
	free(all);
}

/* Tell, and be gone: fn may free everything. */
static void
deliver(struct exchange *x, const uint8_t *message, size_t len)
{
	exchange_fn *fn = x->fn;
	void *arg = x->arg;
	enum exchange_result result = x->result;
	const char *why = x->why;

	exchange_cancel(x);
	fn(arg, result, message, len, why);
}

static void
on_end(void *arg)
{
	deliver(arg, NULL, 0);
}

/* From where a callback may not run: soon. */
static void
end_with(struct exchange *x, enum exchange_result result, const char *why)
{
	close_sockets(x);
	x->result = result;
	x->why = why;
	loop_after(x->all->base, &x->timer, 0, on_end, x);
}

/*
 * What sending says at once, this machine has said: it has no route or a
 * filter, or the address is one of a link.
 */
static void
end_by_errno(struct exchange *x)
{
	switch (errno) {
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT:
	case ENETDOWN:
	case EINVAL:
		end_with(x, EXCHANGE_NO_ROUTE, "cannot be reached from here");
		return;
	case EACCES:
	case EPERM:
		without_udp(
		    x, EXCHANGE_NO_ROUTE, "cannot be reached from here");
		return;
	default:
		without_udp(x, EXCHANGE_SILENT, "does not answer");
	}
}

/* RFC 7766 section 5: who filters UDP may still let TCP through. */
static void
without_udp(struct exchange *x, enum exchange_result result, const char *why)
{
	x->udp_result = result;
	x->udp_why = why;
	ask_by_tcp(x);
}

static void
on_datagram(evutil_socket_t fd, short what, void *arg)
{
	struct exchange *x = arg;
	uint8_t message[UDP_MAX];
	const struct dns_message m = { message, sizeof(message) };
	ssize_t n = recv(fd, message, sizeof(message), 0);

	(void)what;
	if (n == -1 && errno == ECONNREFUSED) {
		without_udp(
		    x, EXCHANGE_SILENT, "does not answer (port closed)");
		return;
	}
	/* What is not the answer is somebody else's idea of it. */
	if (n == -1 || !dns_query_is_answered(x->query, message, (size_t)n))
		return;
	if (dns_message_is_truncated(&m))
		ask_by_tcp(x);
	else
		deliver(x, message, (size_t)n);
}

static int
open_udp(struct exchange *x)
{
	x->fd = socket(
	    x->to.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (x->fd == -1 || connect(x->fd, &x->to.sa, x->to_len) == -1)
		return -1;
	x->readable = event_new(
	    x->all->base, x->fd, EV_READ | EV_PERSIST, on_datagram, x);
	if (x->readable == NULL)
		abort();
	event_add(x->readable, NULL);
	return 0;
}

static void
send_query(void *arg)
{
	struct exchange *x = arg;

	if (x->tries++ == EXCHANGE_TRIES) {
		without_udp(x, EXCHANGE_SILENT, "does not answer");
		return;
	}
	if ((x->fd == -1 && open_udp(x) == -1) ||
	    (send(x->fd, x->query, x->query_len, 0) == -1 &&
		errno != ECONNREFUSED && errno != EAGAIN)) {
		end_by_errno(x);
		return;
	}
	loop_after(x->all->base, &x->timer, x->all->timeout_ms / EXCHANGE_TRIES,
	    send_query, x);
}

/* RFC 1035 section 4.2.2: two bytes of length, and the message. */
static void
on_tcp_read(struct bufferevent *tcp, void *arg)
{
	struct exchange *x = arg;
	struct evbuffer *in = bufferevent_get_input(tcp);
	uint8_t head[2], *copy;
	size_t len;

	if (evbuffer_copyout(in, head, sizeof(head)) < 2)
		return;
	len = (size_t)head[0] << 8 | head[1];
	if (evbuffer_get_length(in) < len + 2)
		return;
	copy = xmalloc(len + 1);
	evbuffer_drain(in, sizeof(head));
	evbuffer_remove(in, copy, len);
	if (dns_query_is_answered(x->query, copy, len))
		deliver(x, copy, len);
	else
		end_with(x, EXCHANGE_SILENT, "answers something else by TCP");
	free(copy);
}

/* Neither by UDP: that is what its operator looks at first. */
static void
on_tcp_late(void *arg)
{
	struct exchange *x = arg;

	if (x->udp_why != NULL)
		end_with(x, x->udp_result, x->udp_why);
	else
		end_with(x, EXCHANGE_SILENT, "does not answer by TCP");
}

static void
on_tcp_event(struct bufferevent *tcp, short what, void *arg)
{
	(void)tcp;
	if ((what & BEV_EVENT_CONNECTED) == 0)
		on_tcp_late(arg);
}

static void
ask_by_tcp(struct exchange *x)
{
	uint8_t head[2] = { (uint8_t)(x->query_len >> 8),
		(uint8_t)x->query_len };

	close_sockets(x);
	x->tcp = bufferevent_socket_new(
	    x->all->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (x->tcp == NULL)
		abort();
	bufferevent_setcb(x->tcp, on_tcp_read, NULL, on_tcp_event, x);
	bufferevent_enable(x->tcp, EV_READ | EV_WRITE);
	loop_after(x->all->base, &x->timer, x->all->timeout_ms, on_tcp_late, x);
	bufferevent_write(x->tcp, head, sizeof(head));
	bufferevent_write(x->tcp, x->query, x->query_len);
	if (bufferevent_socket_connect(x->tcp, &x->to.sa, (int)x->to_len) == -1)
		on_tcp_late(x);
}

static int
set_address(struct exchange *x, const char *address, int port)
{
	if (inet_pton(AF_INET, address, &x->to.sin.sin_addr) == 1) {
		x->to.sin.sin_family = AF_INET;
		x->to.sin.sin_port = htons((uint16_t)port);
		x->to_len = sizeof(x->to.sin);
		return 0;
	}
	if (inet_pton(AF_INET6, address, &x->to.sin6.sin6_addr) == 1) {
		x->to.sin6.sin6_family = AF_INET6;
		x->to.sin6.sin6_port = htons((uint16_t)port);
		x->to_len = sizeof(x->to.sin6);
		return 0;
	}
	return -1;
}

static void
start_next(struct exchanges *all)
{
	struct exchange *x;

	while (all->nrunning < IN_FLIGHT_MAX &&
	       (x = TAILQ_FIRST(&all->waiting)) != NULL) {
		TAILQ_REMOVE(&all->waiting, x, next);
		TAILQ_INSERT_TAIL(&all->running, x, next);
		x->running = true;
		all->nrunning++;
		loop_after(all->base, &x->timer, 0,
		    x->why == NULL ? send_query : on_end, x);
	}
}

struct exchange *
exchange_start(struct exchanges *all, const char *address, int port,
    const char *name, enum dns_type type, exchange_fn *fn, void *arg)
{
	struct exchange *x = xcalloc(1, sizeof(*x));
	uint16_t id;

	x->all = all;
	x->fd = -1;
	x->fn = fn;
	x->arg = arg;
	/* Who is not on the way cannot guess what to answer to. */
	evutil_secure_rng_get_bytes(&id, sizeof(id));
	x->query_len = dns_query_make(x->query, id, name, type);
	if (x->query_len == 0 || set_address(x, address, port) == -1) {
		x->result = EXCHANGE_SILENT;
		x->why = "cannot be asked for such a name";
	}
	TAILQ_INSERT_TAIL(&all->waiting, x, next);
	start_next(all);
	return x;
}
