#include "agent/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#define BACKLOG 1024
#define ACCEPT_MAX 64        /* one wake-up: connections at hand get a turn */
#define NO_DESCRIPTOR_MS 100 /* pause when accept() has none left */

struct listener {
	struct listeners *all;
	struct event *event;
	int fd;
};

struct listeners {
	struct event_base *base;
	listen_fn *fn;
	void *arg;
	struct event *pause; /* until descriptors are free again */
	size_t n;
	struct listener item[];
};

static int listen_on(const char *address, struct err *);
static int listen_unix(const char *path, struct err *);
static int listen_tcp(const char *address, struct err *);
static void on_acceptable(evutil_socket_t, short, void *);

static void
add(struct listeners *all, int fd)
{
	struct listener *l = &all->item[all->n++];
	int one = 1;

	/* Connections inherit it.  A unix socket has no need, and says so. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	l->all = all;
	l->fd = fd;
	l->event =
	    event_new(all->base, fd, EV_READ | EV_PERSIST, on_acceptable, l);
	if (l->event == NULL)
		abort();
	event_add(l->event, NULL);
}

/* What systemd hands over may be anything: only stream sockets are ours. */
static int
check_passed(int fd, struct err *e)
{
	socklen_t len = sizeof(int);
	int listens = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == -1 ||
	    !listens)
		return err_set(e, ERR_CONFIG,
		    "descriptor %d of LISTEN_FDS is no listening socket", fd);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == -1 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == -1)
		return err_set(e, ERR_CONFIG, "descriptor %d of LISTEN_FDS: %s",
		    fd, strerror(errno));
	return 0;
}

struct listeners *
listen_new(struct event_base *base, const struct conf_list *addresses,
    listen_fn *fn, void *arg, struct err *e)
{
	size_t passed = (size_t)loop_listen_fds();
	size_t n = passed > 0 ? passed : addresses->n;
	struct listeners *all =
	    xcalloc(1, sizeof(*all) + n * sizeof(all->item[0]));
	int fd;

	all->base = base;
	all->fn = fn;
	all->arg = arg;
	for (size_t i = 0; i < n; i++) {
		if (passed > 0) {
			fd = LOOP_LISTEN_FD + (int)i;
			if (check_passed(fd, e) == -1)
				goto fail;
		} else {
			fd = listen_on(addresses->item[i], e);
			if (fd == -1)
				goto fail;
		}
		add(all, fd);
		log_info("listen=%s",
		    passed > 0 ? "LISTEN_FDS" : addresses->item[i]);
	}
	if (n > 0)
		return all;
	err_set(e, ERR_CONFIG,
	    "agent.listen is empty; there must be at least "
	    "one address");
fail:
	listen_free(all);
	return NULL;
}

void
listen_free(struct listeners *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->n; i++) {
		event_free(all->item[i].event);
		close(all->item[i].fd);
	}
	loop_timer_free(&all->pause);
	free(all);
}

static int
listen_on(const char *address, struct err *e)
{
	if (str_has_prefix(address, "unix:"))
		return listen_unix(address + 5, e);
	return listen_tcp(address, e);
}

/* ERR_CONFIG when path is something that must not be replaced. */
static int
check_stale(const char *path, const struct sockaddr_un *sun, struct err *e)
{
	struct stat st;
	int fd, rc;

	if (lstat(path, &st) == -1)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_CONFIG,
		    "%s is there and is no socket; remove it", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_set(e, ERR_CONFIG, "socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	close(fd);
	if (rc == 0 || errno == EAGAIN)
		return err_set(e, ERR_CONFIG,
		    "another process listens on %s; stop it first", path);
	return 0;
}

/*
 * Bound beside its name and moved there: who connects finds the old socket or
 * the new one, and never one without its mode.
 */
static int
listen_unix(const char *path, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX }, temp = sun;
	int fd, n;

	n = snprintf(temp.sun_path, sizeof(temp.sun_path), "%s.new", path);
	if (path[0] != '/' || n >= (int)sizeof(temp.sun_path))
		return err_set(e, ERR_CONFIG,
		    "unix:%s must be an absolute path of at most %zu bytes",
		    path, sizeof(temp.sun_path) - 5);
	memcpy(sun.sun_path, path, strlen(path));
	if (check_stale(path, &sun, e) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return err_set(e, ERR_CONFIG, "socket: %s", strerror(errno));
	unlink(temp.sun_path);
	if (bind(fd, (struct sockaddr *)&temp, sizeof(temp)) == -1 ||
	    chmod(temp.sun_path, 0660) == -1 || listen(fd, BACKLOG) == -1 ||
	    rename(temp.sun_path, path) == -1) {
		err_set(e, ERR_CONFIG, "cannot listen on unix:%s: %s", path,
		    strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* Split "host:port"; an IPv6 address stands in brackets. */
static int
split(const char *address, char host[static 256], const char **port)
{
	const char *colon = strrchr(address, ':');
	size_t len;

	if (colon == NULL || colon[1] == '\0')
		return -1;
	*port = colon + 1;
	len = (size_t)(colon - address);
	if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (len == 0 || len >= 256)
		return -1;
	memcpy(host, address, len);
	host[len] = '\0';
	return 0;
}

static int
listen_tcp(const char *address, struct err *e)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *ai = NULL;
	const char *port;
	char host[256];
	int fd = -1, one = 1, rc;

	if (split(address, host, &port) == -1)
		return err_set(e, ERR_CONFIG,
		    "agent.listen: \"%s\" must be HOST:PORT or unix:/PATH",
		    address);
	rc = getaddrinfo(host, port, &hints, &ai);
	if (rc != 0)
		return err_set(e, ERR_CONFIG, "agent.listen: %s: %s", address,
		    gai_strerror(rc));
	fd = socket(ai->ai_family,
	    ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);
	if (fd == -1 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) == -1 ||
	    listen(fd, BACKLOG) == -1) {
		err_set(e, ERR_CONFIG, "cannot listen on %s: %s", address,
		    strerror(errno));
		if (fd != -1)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(ai);
	return fd;
}

static void
on_pause_over(void *arg)
{
	struct listeners *all = arg;

	for (size_t i = 0; i < all->n; i++)
		event_add(all->item[i].event, NULL);
}

/* Without a descriptor the backlog cannot shrink, and the loop would spin. */
static void
pause_all(struct listeners *all)
{
	log_error("no descriptor for another connection: %s; raise "
		  "LimitNOFILE",
	    strerror(errno));
	for (size_t i = 0; i < all->n; i++)
		event_del(all->item[i].event);
	loop_after(
	    all->base, &all->pause, NO_DESCRIPTOR_MS, on_pause_over, all);
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct listener *l = arg;
	int conn;

	(void)what;
	for (int i = 0; i < ACCEPT_MAX; i++) {
		conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (conn != -1) {
			l->all->fn(l->all->arg, conn);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS)
			pause_all(l->all);
		/* Whoever connected and left again is no error. */
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}
