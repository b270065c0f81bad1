/*
 * A scripted Redis on a unix socket, in the loop of the test.
 *
 * It greets by itself, as told; every other command must be the next line of
 * the script, whose reply is sent as it stands.
 */
#ifndef TESTS_UNIT_RESP_PEER_H
#define TESTS_UNIT_RESP_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds.h"
#include "common/str.h"

#define PATIENCE_MS 5000

#define REDIS_7                                                            \
	"*4\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0." \
	"1\r\n"
#define MASTER "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
#define REPLICA \
	"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n"
#define NO_FUNCTION "-ERR Function not found\r\n"

/* Replies that are none: hang up after the text that follows. */
#define HANG_UP "\001"

struct line {
	const char *command; /* its words, with spaces between */
	const char *reply;   /* "": none */
};

struct peer {
	struct event_base *base;
	char dir[64], url[96];
	struct evconnlistener *listener;
	struct bufferevent *bev; /* the newest connection */
	const char *hello, *role, *library;
	const struct line *script;
	struct buf heard; /* every command, one a line */
	int connections, reads;
	struct event *deadline;
	bool done;
};

static inline void
peer_read_bulk(struct evbuffer *in, size_t *at, char **bytes, size_t *len)
{
	struct evbuffer_ptr from, eol;
	char number[32];

	evbuffer_ptr_set(in, &from, *at, EVBUFFER_PTR_SET);
	eol = evbuffer_search_eol(in, &from, NULL, EVBUFFER_EOL_CRLF_STRICT);
	*bytes = NULL;
	if (eol.pos == -1)
		return;
	memset(number, 0, sizeof(number));
	assert_true((size_t)eol.pos - *at < sizeof(number));
	evbuffer_copyout_from(in, &from, number, (size_t)eol.pos - *at);
	*len = (size_t)strtol(number + 1, NULL, 10);
	*at = (size_t)eol.pos + 2;
	if (number[0] == '*') {
		*bytes = xstrdup("");
		return;
	}
	if (evbuffer_get_length(in) < *at + *len + 2)
		return;
	*bytes = xcalloc(1, *len + 1);
	evbuffer_ptr_set(in, &from, *at, EVBUFFER_PTR_SET);
	evbuffer_copyout_from(in, &from, *bytes, *len);
	*at += *len + 2;
}

/* A whole command with spaces between its words, or NULL. */
static inline char *
peer_command(struct evbuffer *in)
{
	size_t at = 0, n, len;
	struct buf words;
	char *bytes;

	if (evbuffer_get_length(in) == 0)
		return NULL;
	peer_read_bulk(in, &at, &bytes, &n);
	if (bytes == NULL)
		return NULL;
	free(bytes);
	buf_init(&words, 1 << 20);
	for (size_t i = 0; i < n; i++) {
		peer_read_bulk(in, &at, &bytes, &len);
		if (bytes == NULL) {
			buf_clear(&words);
			return NULL;
		}
		buf_puts(&words, i > 0 ? " " : "");
		buf_puts(&words, bytes);
		free(bytes);
	}
	evbuffer_drain(in, at);
	return buf_take(&words);
}

static inline const char *
peer_reply(struct peer *p, const char *command)
{
	if (str_has_prefix(command, "HELLO"))
		return p->hello;
	if (strcmp(command, "ROLE") == 0)
		return p->role;
	if (strcmp(command, "FCALL certfleet_version 0") == 0)
		return p->library;
	if (str_has_prefix(command, "SELECT") ||
	    str_has_prefix(command, "FUNCTION LOAD REPLACE"))
		return "+OK\r\n";
	if (p->script == NULL || p->script->command == NULL)
		fail_msg("not in the script: %s", command);
	assert_string_equal(command, p->script->command);
	return p->script++->reply;
}

static inline void
peer_hang_up(struct peer *p)
{
	if (p->bev != NULL)
		bufferevent_free(p->bev);
	p->bev = NULL;
}

static inline void
peer_on_read(struct bufferevent *bev, void *arg)
{
	struct peer *p = arg;
	char *command;

	p->reads++;
	while ((command = peer_command(bufferevent_get_input(bev))) != NULL) {
		const char *reply = peer_reply(p, command);

		buf_putf(&p->heard, "%.60s\n", command);
		free(command);
		if (reply[0] == HANG_UP[0]) {
			/* What is said before leaves at once. */
			send(bufferevent_getfd(bev), reply + 1,
			    strlen(reply + 1), MSG_NOSIGNAL);
			peer_hang_up(p);
			return;
		}
		bufferevent_write(bev, reply, strlen(reply));
	}
}

static inline void
peer_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct peer *p = arg;

	(void)bev, (void)what;
	peer_hang_up(p);
}

static inline void
peer_on_accept(struct evconnlistener *l, evutil_socket_t fd,
    struct sockaddr *from, int len, void *arg)
{
	struct peer *p = arg;

	(void)l, (void)from, (void)len;
	peer_hang_up(p);
	p->connections++;
	p->bev = bufferevent_socket_new(p->base, fd, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(p->bev, peer_on_read, NULL, peer_on_event, p);
	bufferevent_enable(p->bev, EV_READ | EV_WRITE);
}

static inline void
peer_listen(struct peer *p)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	memcpy(sun.sun_path, p->url + strlen("unix:"),
	    strlen(p->url) - strlen("unix:"));
	p->listener = evconnlistener_new_bind(p->base, peer_on_accept, p,
	    LEV_OPT_CLOSE_ON_FREE, 16, (struct sockaddr *)&sun, sizeof(sun));
	assert_non_null(p->listener);
}

static inline int
peer_set_up(void **state)
{
	struct peer *p = xcalloc(1, sizeof(*p));

	log_open("test", LOG_LEVEL_ERROR);
	p->base = loop_new();
	memcpy(p->dir, "/tmp/certfleet-test-XXXXXX",
	    sizeof("/tmp/certfleet-test-XXXXXX"));
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->url, sizeof(p->url), "unix:%s/s", p->dir);
	p->hello = REDIS_7;
	p->role = MASTER;
	p->library = NO_FUNCTION;
	buf_init(&p->heard, 1 << 20);
	peer_listen(p);
	*state = p;
	return 0;
}

static inline int
peer_tear_down(void **state)
{
	struct peer *p = *state;

	peer_hang_up(p);
	if (p->listener != NULL)
		evconnlistener_free(p->listener);
	loop_timer_free(&p->deadline);
	event_base_free(p->base);
	unlink(p->url + strlen("unix:"));
	rmdir(p->dir);
	buf_clear(&p->heard);
	free(p);
	return 0;
}

static inline void
peer_on_deadline(void *arg)
{
	(void)arg;
	fail_msg("nothing happened in time");
}

/* Run the loop until *flag. */
static inline void
peer_wait(struct peer *p, const bool *flag)
{
	loop_after(p->base, &p->deadline, PATIENCE_MS, peer_on_deadline, p);
	while (!*flag)
		event_base_loop(p->base, EVLOOP_ONCE);
	loop_cancel(p->deadline);
}

static inline void
peer_on_pause(void *arg)
{
	*(bool *)arg = true;
}

/* Run the loop for so long. */
static inline void
peer_run(struct peer *p, int64_t ms)
{
	struct event *timer = NULL;
	bool over = false;

	loop_after(p->base, &timer, ms, peer_on_pause, &over);
	peer_wait(p, &over);
	loop_timer_free(&timer);
}

static inline struct rds_conf
peer_conf(const struct peer *p)
{
	return (struct rds_conf){
		.url = p->url,
		.name = "test",
		.connect_timeout_ms = 500,
		.command_timeout_ms = 500,
	};
}

/* What state() was last called with. */
struct told {
	bool up, down; /* ever since it was reset */
	int ups;
	struct err why;
};

static inline void
peer_on_state(void *arg, bool up, const struct err *why)
{
	struct told *t = arg;

	assert_true(up == (why == NULL));
	if (up) {
		t->up = true;
		t->ups++;
	} else {
		t->down = true;
		t->why = *why;
	}
}

#define PEER_TEST(f) \
	cmocka_unit_test_setup_teardown(f, peer_set_up, peer_tear_down)

#endif
