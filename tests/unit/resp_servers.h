/*
 * Several scripted Redis servers on loopback, in the loop of the test: masters,
 * replicas, Sentinels, nodes of a Cluster.  Each answers by a table, to as many
 * connections as come.
 */
#ifndef TESTS_UNIT_RESP_SERVERS_H
#define TESTS_UNIT_RESP_SERVERS_H

#include <arpa/inet.h>
#include <netinet/in.h>

#include "resp_peer.h"

#define SENTINEL "*2\r\n$8\r\nsentinel\r\n*0\r\n"
#define LINES_MAX 16

struct server;

struct server_conn {
	struct server *server;
	struct bufferevent *bev;
	bool subscribed;
};

struct server {
	struct event_base *base;
	struct evconnlistener *listener;
	char address[32], port[8], url[64];
	const char *role;
	struct line line[LINES_MAX]; /* command: how it begins; NULL: the end */
	struct server_conn conn[16];
	struct buf heard;
	int connections;
};

static inline void
server_hang_up(struct server_conn *c)
{
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	c->bev = NULL;
	c->subscribed = false;
}

static inline const char *
server_reply(const struct server *s, const char *command)
{
	for (size_t i = 0; i < LINES_MAX && s->line[i].command != NULL; i++)
		if (str_has_prefix(command, s->line[i].command))
			return s->line[i].reply;
	if (str_has_prefix(command, "HELLO"))
		return REDIS_7;
	if (strcmp(command, "ROLE") == 0)
		return s->role;
	if (str_has_prefix(command, "FCALL certfleet_version"))
		return ":999\r\n";
	if (str_has_prefix(command, "SUBSCRIBE +switch-master"))
		return "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:"
		       "1\r\n";
	return "-ERR not in the table\r\n";
}

static inline void
server_on_read(struct bufferevent *bev, void *arg)
{
	struct server_conn *c = arg;
	char *command;

	while (c->bev == bev &&
	       (command = peer_command(bufferevent_get_input(bev))) != NULL) {
		const char *reply = server_reply(c->server, command);

		buf_putf(&c->server->heard, "%.60s\n", command);
		if (str_has_prefix(command, "SUBSCRIBE"))
			c->subscribed = true;
		free(command);
		if (reply[0] == HANG_UP[0])
			server_hang_up(c);
		else
			bufferevent_write(bev, reply, strlen(reply));
	}
}

static inline void
server_on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev, (void)what;
	server_hang_up(arg);
}

static inline void
server_on_accept(struct evconnlistener *l, evutil_socket_t fd,
    struct sockaddr *from, int len, void *arg)
{
	struct server *s = arg;
	struct server_conn *c = s->conn;

	(void)l, (void)from, (void)len;
	while (c->bev != NULL)
		c++;
	assert_true(c < s->conn + sizeof(s->conn) / sizeof(s->conn[0]));
	s->connections++;
	c->server = s;
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(c->bev, server_on_read, NULL, server_on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

/* Where nobody listens yet; again: at the same port. */
static inline void
server_listen(struct server *s)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	int64_t port = 0;

	str_int(s->port, 1, 65535, &port);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	at.sin_port = htons((uint16_t)port);
	s->listener = evconnlistener_new_bind(s->base, server_on_accept, s,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 16,
	    (struct sockaddr *)&at, sizeof(at));
	assert_non_null(s->listener);
	getsockname(
	    evconnlistener_get_fd(s->listener), (struct sockaddr *)&at, &len);
	snprintf(s->port, sizeof(s->port), "%u", ntohs(at.sin_port));
	snprintf(s->address, sizeof(s->address), "127.0.0.1:%s", s->port);
	snprintf(s->url, sizeof(s->url), "redis://127.0.0.1:%s", s->port);
}

static inline void
server_start(struct server *s, struct event_base *base, const char *role)
{
	memset(s, 0, sizeof(*s));
	s->base = base;
	s->role = role;
	buf_init(&s->heard, 1 << 20);
	server_listen(s);
}

/* As if killed: connections break, and nobody listens. */
static inline void
server_kill(struct server *s)
{
	for (size_t i = 0; i < sizeof(s->conn) / sizeof(s->conn[0]); i++)
		server_hang_up(&s->conn[i]);
	if (s->listener != NULL)
		evconnlistener_free(s->listener);
	s->listener = NULL;
}

static inline void
server_end(struct server *s)
{
	server_kill(s);
	buf_clear(&s->heard);
}

/* To all who have subscribed. */
static inline void
server_publish(struct server *s, const char *channel, const char *text)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	buf_putf(&out, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
	    strlen(channel), channel, strlen(text), text);
	for (size_t i = 0; i < sizeof(s->conn) / sizeof(s->conn[0]); i++)
		if (s->conn[i].bev != NULL && s->conn[i].subscribed)
			bufferevent_write(s->conn[i].bev, out.p, out.len);
	buf_clear(&out);
}

/* Run the loop until the server has heard a command that contains text. */
static inline void
server_await(struct peer *p, const struct server *s, const char *text)
{
	loop_after(p->base, &p->deadline, PATIENCE_MS, peer_on_deadline, p);
	while (strstr(s->heard.p, text) == NULL)
		event_base_loop(p->base, EVLOOP_ONCE);
	loop_cancel(p->deadline);
}

#endif
