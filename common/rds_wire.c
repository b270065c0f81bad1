#include "common/rds_wire.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/mem.h"
#include "common/rds_dial.h"
#include "common/rds_tls.h"
#include "common/rds_url.h"

#define READ_MAX 65536
#define OUT_IDLE_MAX (1 << 20) /* room that an empty output may keep */

enum wire_stage {
	WIRE_CLOSED = 0,
	WIRE_CONNECTING,
	WIRE_TLS,
	WIRE_OPEN,
};

struct rds_wire {
	struct event_base *base;
	struct rds_conf conf;
	struct rds_url url;
	const struct rds_wire_user *user;
	void *arg;
	enum wire_stage stage;
	int fd;
	struct event *readable, *writable;
	struct event *kick; /* runs at the end of this turn */
	bool kicked;
	struct addrinfo *addresses, *next; /* while connecting */
	SSL_CTX *ctx;
	SSL *ssl;
	struct buf out;
	size_t sent; /* of out */
	bool heard;  /* anything, since it is open */
};

static void on_kick(evutil_socket_t, short, void *);
static void on_writable(evutil_socket_t, short, void *);
static void on_readable(evutil_socket_t, short, void *);
static int connect_next(struct rds_wire *, struct err *);
static int connect_to(struct rds_wire *, const struct sockaddr *, socklen_t);
static void shake(struct rds_wire *);
static void take(struct rds_wire *);
static int flush(struct rds_wire *, struct err *);

struct rds_wire *
rds_wire_new(struct event_base *base, const struct rds_conf *conf,
    const struct rds_wire_user *user, void *arg)
{
	struct rds_wire *w = xcalloc(1, sizeof(*w));

	w->base = base;
	w->conf = *conf;
	w->user = user;
	w->arg = arg;
	w->fd = -1;
	buf_init(&w->out, RDS_OUT_MAX);
	w->kick = event_new(base, -1, 0, on_kick, w);
	if (w->kick == NULL)
		abort();
	return w;
}

void
rds_wire_free(struct rds_wire *w)
{
	if (w == NULL)
		return;
	rds_wire_close(w);
	event_free(w->kick);
	SSL_CTX_free(w->ctx);
	free(w);
}

static void
forget_addresses(struct rds_wire *w)
{
	if (w->addresses != NULL)
		freeaddrinfo(w->addresses);
	w->addresses = w->next = NULL;
}

static void
close_socket(struct rds_wire *w)
{
	SSL_free(w->ssl);
	w->ssl = NULL;
	if (w->readable != NULL)
		event_free(w->readable);
	if (w->writable != NULL)
		event_free(w->writable);
	w->readable = w->writable = NULL;
	if (w->fd != -1)
		close(w->fd);
	w->fd = -1;
}

void
rds_wire_close(struct rds_wire *w)
{
	close_socket(w);
	forget_addresses(w);
	event_del(w->kick);
	w->kicked = false;
	w->stage = WIRE_CLOSED;
	w->heard = false;
	w->sent = 0;
	buf_wipe(&w->out);
}

/* The last thing a function does: the user may free the wire. */
static void
broke(struct rds_wire *w, const struct err *why)
{
	rds_wire_close(w);
	w->user->broke(w->arg, why);
}

/* --- connecting ---------------------------------------------------------- */

static int
open_unix(struct rds_wire *w, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	memcpy(sun.sun_path, w->url.path, sizeof(sun.sun_path));
	if (connect_to(w, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		return err_set(e, ERR_AGAIN, "no connection to Redis at %s: %s",
		    w->conf.url, strerror(errno));
	return 0;
}

static int
open_host(struct rds_wire *w, struct err *e)
{
	w->addresses = rds_dial_look_up(&w->url, e);
	w->next = w->addresses;
	return w->addresses != NULL ? connect_next(w, e) : -1;
}

int
rds_wire_open(struct rds_wire *w, struct err *e)
{
	if (rds_url_parse(&w->url, w->conf.url, e) == -1)
		return -1;
	if (w->url.is_tls && w->ctx == NULL &&
	    (w->ctx = rds_tls_context(&w->conf, e)) == NULL)
		return -1;
	if (w->url.is_unix ? open_unix(w, e) == -1 : open_host(w, e) == -1) {
		rds_wire_close(w);
		return -1;
	}
	return 0;
}

/* The next of the host's addresses that does not fail at once. */
static int
connect_next(struct rds_wire *w, struct err *e)
{
	const struct addrinfo *ai;

	errno = EADDRNOTAVAIL;
	while ((ai = w->next) != NULL) {
		w->next = ai->ai_next;
		if (connect_to(w, ai->ai_addr, ai->ai_addrlen) == 0)
			return 0;
	}
	return err_set(e, ERR_AGAIN, "no connection to Redis at %s: %s",
	    w->conf.url, strerror(errno));
}

/* Return 0 when the connection is made or on its way, else -1 and errno. */
static int
connect_to(struct rds_wire *w, const struct sockaddr *to, socklen_t len)
{
	close_socket(w);
	w->fd = rds_dial(to, len);
	if (w->fd == -1)
		return -1;
	w->readable =
	    event_new(w->base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->writable = event_new(w->base, w->fd, EV_WRITE, on_writable, w);
	if (w->readable == NULL || w->writable == NULL)
		abort();
	w->stage = WIRE_CONNECTING;
	event_add(w->writable, NULL);
	return 0;
}

static const char *
name_to_verify(const struct rds_wire *w)
{
	const char *name = w->conf.server_name;

	return name != NULL && name[0] != '\0' ? name : w->url.host;
}

/* The socket is connected, or is not: the kernel knows. */
static void
connected(struct rds_wire *w)
{
	int failure = 0;
	socklen_t len = sizeof(failure);
	struct err e;

	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &failure, &len) == -1)
		failure = errno;
	if (failure != 0) {
		if (w->next != NULL && connect_next(w, &e) == 0)
			return;
		err_set(&e, ERR_AGAIN, "no connection to Redis at %s: %s",
		    w->conf.url, strerror(failure));
		broke(w, &e);
		return;
	}
	forget_addresses(w);
	event_add(w->readable, NULL);
	if (!w->url.is_tls) {
		w->stage = WIRE_OPEN;
		w->user->opened(w->arg);
		return;
	}
	w->ssl = rds_tls_new(w->ctx, name_to_verify(w), w->fd, &e);
	if (w->ssl == NULL) {
		broke(w, &e);
		return;
	}
	w->stage = WIRE_TLS;
	shake(w);
}

/* Go on with the TLS handshake. */
static void
shake(struct rds_wire *w)
{
	struct err e;
	int rc, what;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(w->ssl);
	if (rc == 1) {
		w->stage = WIRE_OPEN;
		w->user->opened(w->arg);
		return;
	}
	what = SSL_get_error(w->ssl, rc);
	if (what == SSL_ERROR_WANT_WRITE)
		event_add(w->writable, NULL);
	if (what == SSL_ERROR_WANT_WRITE || what == SSL_ERROR_WANT_READ)
		return;
	rds_tls_why(w->ssl, rc, name_to_verify(w), &e);
	/* Certificates may be put right while we run. */
	SSL_CTX_free(w->ctx);
	w->ctx = NULL;
	broke(w, &e);
}

/* --- bytes --------------------------------------------------------------- */

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct rds_wire *w = arg;

	(void)fd, (void)what;
	if (w->stage == WIRE_TLS)
		shake(w);
	else if (w->stage == WIRE_OPEN)
		take(w);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct rds_wire *w = arg;
	struct err e;

	(void)fd, (void)what;
	if (w->stage == WIRE_CONNECTING)
		connected(w);
	else if (w->stage == WIRE_TLS)
		shake(w);
	else if (flush(w, &e) == -1)
		broke(w, &e);
	else if (w->ssl != NULL)
		take(w); /* a read may have wanted to write */
}

static void
on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct rds_wire *w = arg;
	struct err e;

	(void)fd, (void)what;
	w->kicked = false;
	if (w->stage == WIRE_OPEN && flush(w, &e) == -1)
		broke(w, &e);
}

struct buf *
rds_wire_out(struct rds_wire *w)
{
	return &w->out;
}

void
rds_wire_kick(struct rds_wire *w)
{
	if (w->kicked)
		return;
	w->kicked = true;
	event_active(w->kick, EV_WRITE, 0);
}

void
rds_wire_wipe(struct rds_wire *w)
{
	if (w->sent < w->out.len)
		return;
	buf_wipe(&w->out);
	w->sent = 0;
}

/* Bytes moved, 0: not now, -1: broken. */
static ssize_t
tls_result(struct rds_wire *w, int rc, struct err *e)
{
	int what;

	if (rc > 0)
		return rc;
	what = SSL_get_error(w->ssl, rc);
	if (what == SSL_ERROR_WANT_WRITE)
		event_add(w->writable, NULL);
	if (what == SSL_ERROR_WANT_WRITE || what == SSL_ERROR_WANT_READ)
		return 0;
	rds_tls_why(w->ssl, rc, name_to_verify(w), e);
	/*
	 * In TLS 1.3 the server judges us after our handshake is done, and its
	 * alert may be lost when it hangs up.
	 */
	if (!w->heard && e->kind == ERR_AGAIN &&
	    (w->conf.cert_file == NULL || w->conf.cert_file[0] == '\0'))
		err_set(e, ERR_AGAIN,
		    "Redis hung up after the TLS handshake; it may want a "
		    "client certificate (redis cert_file)");
	return -1;
}

static ssize_t
plain_result(ssize_t n, struct err *e)
{
	if (n != -1)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return err_set(
	    e, ERR_AGAIN, "connection to Redis: %s", strerror(errno));
}

static ssize_t
send_some(struct rds_wire *w, const char *p, size_t len, struct err *e)
{
	if (w->ssl == NULL)
		return plain_result(send(w->fd, p, len, MSG_NOSIGNAL), e);
	ERR_clear_error();
	errno = 0;
	return tls_result(w, SSL_write(w->ssl, p, (int)len), e);
}

static ssize_t
take_some(struct rds_wire *w, char *p, size_t len, struct err *e)
{
	ssize_t n;

	if (w->ssl != NULL) {
		ERR_clear_error();
		errno = 0;
		return tls_result(w, SSL_read(w->ssl, p, (int)len), e);
	}
	n = recv(w->fd, p, len, 0);
	if (n == 0)
		return err_set(e, ERR_AGAIN, "Redis closed the connection");
	return plain_result(n, e);
}

static int
flush(struct rds_wire *w, struct err *e)
{
	while (w->sent < w->out.len) {
		ssize_t n =
		    send_some(w, w->out.p + w->sent, w->out.len - w->sent, e);

		if (n == -1)
			return -1;
		if (n == 0) {
			event_add(w->writable, NULL);
			break;
		}
		w->sent += (size_t)n;
	}
	/* Half sent: moved only when that is cheap for what it gains. */
	if (w->sent == w->out.len || w->sent > RDS_OUT_MAX / 2) {
		buf_drop(&w->out, w->sent);
		w->sent = 0;
	}
	if (w->out.len == 0 && w->out.room > OUT_IDLE_MAX)
		buf_clear(&w->out);
	return 0;
}

static void
take(struct rds_wire *w)
{
	static char in[READ_MAX]; /* one loop, one thread */
	struct err e;
	ssize_t n;

	do {
		n = take_some(w, in, sizeof(in), &e);
		if (n == -1) {
			broke(w, &e);
			return;
		}
		if (n == 0)
			return;
		w->heard = true;
		if (!w->user->bytes(w->arg, in, (size_t)n))
			return;
		/* What OpenSSL holds back wakes nobody. */
	} while (w->ssl != NULL);
}
