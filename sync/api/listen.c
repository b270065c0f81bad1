#include "sync/api/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/str.h"

#define BACKLOG 128
#define GROUP_BUFFER 16384

static int
open_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Something has the name: remove it if it is a socket nobody serves. */
static int
clear_the_way(const char *path, const struct sockaddr_un *sun, struct err *e)
{
	struct stat st;
	int fd, rc, why;

	if (lstat(path, &st) == -1)
		return errno == ENOENT
		           ? 0
		           : err_set(e, ERR_CONFIG, "cannot look at %s: %s",
				 path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_CONFIG,
		    "%s is there and is not a socket; remove it or set "
		    "another api socket",
		    path);
	fd = open_socket();
	if (fd == -1)
		return err_set(e, ERR_AGAIN, "no socket: %s", strerror(errno));
	rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	why = errno;
	close(fd);
	if (rc == 0 || why != ECONNREFUSED)
		return err_set(e, ERR_CONFIG,
		    "%s is served by another process; stop it or set another "
		    "api socket",
		    path);
	if (unlink(path) == -1 && errno != ENOENT)
		return err_set(e, ERR_CONFIG, "cannot remove %s: %s", path,
		    strerror(errno));
	return 0;
}

static int
give_to_group(const char *path, const char *group, struct err *e)
{
	struct group entry, *found = NULL;
	char *text;
	int rc;

	if (group[0] == '\0')
		return 0;
	text = xmalloc(GROUP_BUFFER);
	getgrnam_r(group, &entry, text, GROUP_BUFFER, &found);
	rc = found == NULL ? -1 : lchown(path, (uid_t)-1, entry.gr_gid);
	free(text);
	if (found == NULL)
		return err_set(e, ERR_CONFIG,
		    "there is no group \"%s\" to give %s to", group, path);
	if (rc == -1 || chmod(path, 0660) == -1)
		return err_set(e, ERR_CONFIG,
		    "cannot give %s to group \"%s\": %s", path, group,
		    strerror(errno));
	return 0;
}

int
listen_unix(const char *path, const char *group, ino_t *inode, struct err *e)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t old;
	int fd, rc;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(e, ERR_CONFIG,
		    "the path of the api socket has %zu bytes; at most %zu fit",
		    strlen(path), sizeof(sun.sun_path) - 1);
	memcpy(sun.sun_path, path, strlen(path));
	if (clear_the_way(path, &sun, e) == -1)
		return -1;
	fd = open_socket();
	if (fd == -1)
		return err_set(e, ERR_AGAIN, "no socket: %s", strerror(errno));
	/* Nobody may connect before the mode is what it shall be. */
	old = umask(0177);
	rc = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(old);
	if (rc == -1) {
		err_set(
		    e, ERR_CONFIG, "cannot bind %s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	*inode = lstat(path, &st) == 0 ? st.st_ino : 0;
	if (give_to_group(path, group, e) == -1) {
		listen_unlink(path, *inode);
		close(fd);
		return -1;
	}
	if (listen(fd, BACKLOG) == -1) {
		err_set(e, ERR_CONFIG, "cannot listen on %s: %s", path,
		    strerror(errno));
		listen_unlink(path, *inode);
		close(fd);
		return -1;
	}
	return fd;
}

/* An address and a port; never what others than this machine could reach. */
static int
read_address(const char *text, struct sockaddr_storage *out, socklen_t *len)
{
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)out;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)out;
	const char *colon = strrchr(text, ':');
	char host[64];
	int64_t port;

	memset(out, 0, sizeof(*out));
	if (colon == NULL || str_int(colon + 1, 1, 65535, &port) == -1 ||
	    (size_t)(colon - text) >= sizeof(host))
		return -1;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (strcmp(host, "[::1]") == 0) {
		six->sin6_family = AF_INET6;
		six->sin6_addr = in6addr_loopback;
		six->sin6_port = htons((uint16_t)port);
		*len = sizeof(*six);
		return 0;
	}
	four->sin_family = AF_INET;
	four->sin_port = htons((uint16_t)port);
	*len = sizeof(*four);
	return inet_pton(AF_INET, host, &four->sin_addr) == 1 &&
	               ntohl(four->sin_addr.s_addr) >> 24 == 127
	           ? 0
	           : -1;
}

int
listen_loopback(const char *address, struct err *e)
{
	struct sockaddr_storage sa;
	socklen_t len;
	int fd, on = 1;

	if (read_address(address, &sa, &len) == -1)
		return err_set(e, ERR_CONFIG,
		    "api listen: %s is no loopback address with a port",
		    address);
	fd =
	    socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_set(e, ERR_AGAIN, "no socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, len) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	err_set(
	    e, ERR_CONFIG, "cannot listen on %s: %s", address, strerror(errno));
	close(fd);
	return -1;
}

void
listen_unlink(const char *path, ino_t inode)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == inode)
		unlink(path);
}
