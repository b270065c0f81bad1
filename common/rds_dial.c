#include "common/rds_dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* A peer that is gone without a word is noticed by the kernel. */
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_EVERY_S 5
#define KEEPALIVE_TRIES 3
#define UNACKED_MAX_MS 10000

/*
 * An address needs no lookup, and /etc/hosts is a file.  Any other name is
 * looked up here once per attempt, and this may block the loop for as long as
 * the system's resolver does: without Redis there is nothing to do anyway,
 * attempts are seconds apart, and a name that must not depend on DNS can be
 * written as an address with server_name beside it.
 */
struct addrinfo *
rds_dial_look_up(const struct rds_url *u, struct err *e)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG,
	};
	struct addrinfo *found = NULL;
	int rc = getaddrinfo(u->host, u->port, &hints, &found);

	if (rc == 0)
		return found;
	err_set(e, ERR_AGAIN, "Redis host %s: %s", u->host, gai_strerror(rc));
	return NULL;
}

static void
tune(int fd)
{
	static const struct {
		int option, value;
	} options[] = {
		{ TCP_NODELAY, 1 },
		{ TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
		{ TCP_KEEPINTVL, KEEPALIVE_EVERY_S },
		{ TCP_KEEPCNT, KEEPALIVE_TRIES },
		{ TCP_USER_TIMEOUT, UNACKED_MAX_MS },
	};
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, IPPROTO_TCP, options[i].option,
		    &options[i].value, sizeof(options[i].value));
}

int
rds_dial(const struct sockaddr *to, socklen_t len)
{
	int fd, saved;

	fd = socket(
	    to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (to->sa_family != AF_UNIX)
		tune(fd);
	if (connect(fd, to, len) == 0 || errno == EINPROGRESS)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}
