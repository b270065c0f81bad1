#include "sync/resolve_link.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <event2/util.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"

#define TRIES 2         /* per server, the second waits twice as long */
#define SERVERS_USUAL 2 /* when the system names them */

/* One socket of c-ares that the loop watches. */
struct sock {
	LIST_ENTRY(sock) next;
	struct event *event;
	struct resolve_link *r;
	ares_socket_t fd;
};

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct sock *s = arg;
	struct resolve_link *r = s->r; /* s may go while c-ares reads */

	ares_process_fd(r->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	resolve_link_rearm(r);
}

static void
sock_free(struct sock *s)
{
	LIST_REMOVE(s, next);
	event_free(s->event);
	free(s);
}

/* c-ares says what it waits for; before it closes a socket, nothing. */
static void
on_sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolve_link *r = arg;
	short what =
	    (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	struct sock *s;

	LIST_FOREACH (s, &r->socks, next)
		if (s->fd == fd)
			break;
	if (s != NULL)
		sock_free(s);
	if (what == 0)
		return;
	s = xcalloc(1, sizeof(*s));
	s->r = r;
	s->fd = fd;
	s->event =
	    event_new(r->base, fd, (short)(what | EV_PERSIST), on_socket, s);
	if (s->event == NULL)
		abort();
	event_add(s->event, NULL);
	LIST_INSERT_HEAD(&r->socks, s, next);
}

static void
on_time(void *arg)
{
	struct resolve_link *r = arg;

	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolve_link_rearm(r);
}

void
resolve_link_rearm(struct resolve_link *r)
{
	struct timeval tv;

	if (ares_timeout(r->channel, NULL, &tv) == NULL)
		loop_cancel(r->timer);
	else
		loop_after(r->base, &r->timer,
		    (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1, on_time,
		    r);
}

/* Each server as address and port, as both versions of c-ares read it. */
static int
put_server(struct buf *csv, const char *text, struct err *e)
{
	struct sockaddr_storage ss;
	char address[INET6_ADDRSTRLEN];
	int len = (int)sizeof(ss);
	bool v6;
	in_port_t port;
	const void *in;

	memset(&ss, 0, sizeof(ss));
	if (evutil_parse_sockaddr_port(text, (struct sockaddr *)&ss, &len) ==
	    -1)
		return err_set(e, ERR_CONFIG,
		    "dns resolver \"%s\" is not an address; expected "
		    "192.0.2.53, 192.0.2.53:53 or [2001:db8::53]:53",
		    text);
	v6 = ss.ss_family == AF_INET6;
	in = v6 ? (const void *)&((struct sockaddr_in6 *)&ss)->sin6_addr
	        : (const void *)&((struct sockaddr_in *)&ss)->sin_addr;
	port = v6 ? ((struct sockaddr_in6 *)&ss)->sin6_port
	          : ((struct sockaddr_in *)&ss)->sin_port;
	inet_ntop(ss.ss_family, in, address, sizeof(address));
	if (buf_putf(csv, v6 ? "%s[%s]:%d" : "%s%s:%d", csv->len > 0 ? "," : "",
		address, port != 0 ? ntohs(port) : 53) == -1)
		return err_set(e, ERR_CONFIG, "too many dns resolvers");
	return 0;
}

static int
set_servers(
    struct resolve_link *r, const struct conf_list *resolvers, struct err *e)
{
	struct buf csv;
	int status, result = -1;

	buf_init(&csv, 4096);
	for (size_t i = 0; i < resolvers->n; i++)
		if (put_server(&csv, resolvers->item[i], e) == -1)
			goto out;
	status = ares_set_servers_ports_csv(r->channel, csv.p);
	if (status != ARES_SUCCESS) {
		err_set(e, ERR_CONFIG, "dns resolvers \"%s\": %s", csv.p,
		    ares_strerror(status));
		goto out;
	}
	result = 0;
out:
	buf_clear(&csv);
	return result;
}

int
resolve_link_open(struct resolve_link *r, struct event_base *base,
    const struct conf *conf, struct err *e)
{
	const struct conf_list *resolvers = &conf->dns.resolvers;
	int servers = resolvers->n > 0 ? (int)resolvers->n : SERVERS_USUAL;
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.tries = TRIES,
		.sock_state_cb = on_sock_state,
		.sock_state_cb_data = r,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
	           ARES_OPT_SOCK_STATE_CB;
	int status;

	r->base = base;
	LIST_INIT(&r->socks);
	/* One round over all servers, and one that waits twice as long. */
	options.timeout = conf->dns.timeout_ms / (3 * servers);
	if (options.timeout < 10)
		options.timeout = 10;
#ifdef ARES_OPT_QUERY_CACHE
	/* The owner has just changed it and we are to see that. */
	mask |= ARES_OPT_QUERY_CACHE;
	options.qcache_max_ttl = 0;
#endif
	status = ares_init_options(&r->channel, &options, mask);
	if (status != ARES_SUCCESS)
		return err_set(e, ERR_CONFIG, "dns: %s", ares_strerror(status));
	if (resolvers->n > 0 && set_servers(r, resolvers, e) == -1) {
		ares_destroy(r->channel);
		return -1;
	}
	return 0;
}

void
resolve_link_close(struct resolve_link *r)
{
	ares_destroy(r->channel);
	while (!LIST_EMPTY(&r->socks))
		sock_free(LIST_FIRST(&r->socks));
	loop_timer_free(&r->timer);
}
