/* Short talks with what is there: each has an end after a few seconds. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/str.h"
#include "sync/cli/doctor.h"

/* Ready for events before the deadline? */
static int
wait_for(int fd, short events, int64_t deadline, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t left = deadline - loop_now_ms();
	int n = poll(&p, 1, left > 0 ? (int)left : 0);

	if (n == 1)
		return 0;
	return err_set(
	    e, ERR_AGAIN, "%s", n == 0 ? "no answer in time" : strerror(errno));
}

/* The end of a connect that was begun. */
static int
connected(int fd, int64_t deadline, struct err *e)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (wait_for(fd, POLLOUT, deadline, e) == -1)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0)
		return err_set(e, ERR_AGAIN, "%s", strerror(error));
	return 0;
}

static int
dial(const struct sockaddr *address, socklen_t len, struct err *e)
{
	int64_t deadline = loop_now_ms() + DOCTOR_TIMEOUT_MS;
	int fd = socket(
	    address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd == -1)
		return err_set(e, ERR_AGAIN, "%s", strerror(errno));
	rc = connect(fd, address, len);
	if (rc == -1 && (errno == EINPROGRESS || errno == EAGAIN))
		rc = connected(fd, deadline, e);
	else if (rc == -1)
		err_set(e, ERR_AGAIN, "%s", strerror(errno));
	if (rc == 0)
		return fd;
	close(fd);
	return -1;
}

static int
dial_unix(const char *path, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(e, ERR_CONFIG, "the path is too long");
	memcpy(address.sun_path, path, strlen(path) + 1);
	return dial((const struct sockaddr *)(const void *)&address,
	    sizeof(address), e);
}

static int
dial_tcp(const char *text, struct err *e)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	const char *colon = strrchr(text, ':'), *start = text;
	char host[256];
	size_t len;
	int fd = -1, rc;

	if (colon == NULL)
		return err_set(e, ERR_CONFIG, "there is no port");
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		start++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return err_set(e, ERR_CONFIG, "the host is too long");
	memcpy(host, start, len);
	host[len] = '\0';
	rc = getaddrinfo(host, colon + 1, &hints, &list);
	if (rc != 0)
		return err_set(e, ERR_AGAIN, "%s", gai_strerror(rc));
	for (const struct addrinfo *a = list; a != NULL && fd == -1;
	     a = a->ai_next)
		fd = dial(a->ai_addr, a->ai_addrlen, e);
	freeaddrinfo(list);
	return fd;
}

int
doctor_connect(const char *address, struct err *e)
{
	if (str_has_prefix(address, "unix:"))
		return dial_unix(address + strlen("unix:"), e);
	return address[0] == '/' ? dial_unix(address, e) : dial_tcp(address, e);
}

static int
say(int fd, const char *text, size_t len, int64_t deadline, struct err *e)
{
	size_t at = 0;
	ssize_t n;

	while (at < len) {
		if (wait_for(fd, POLLOUT, deadline, e) == -1)
			return -1;
		n = send(fd, text + at, len - at, MSG_NOSIGNAL);
		/* Who has heard enough may answer all the same. */
		if (n == -1 && errno != EAGAIN)
			break;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static ssize_t
hear(int fd, char *out, size_t size, int64_t deadline, struct err *e)
{
	size_t at = 0;
	ssize_t n;

	while (at < size - 1) {
		if (wait_for(fd, POLLIN, deadline, e) == -1)
			return -1;
		n = recv(fd, out + at, size - 1 - at, 0);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			break;
		at += n > 0 ? (size_t)n : 0;
	}
	out[at] = '\0';
	return (ssize_t)at;
}

ssize_t
doctor_talk(const char *address, const char *text, size_t len, char *out,
    size_t size, struct err *e)
{
	int64_t deadline = loop_now_ms() + DOCTOR_TIMEOUT_MS;
	int fd = doctor_connect(address, e);
	ssize_t n = -1;

	out[0] = '\0';
	if (fd == -1)
		return -1;
	if (say(fd, text, len, deadline, e) == 0)
		n = hear(fd, out, size, deadline, e);
	close(fd);
	return n;
}
