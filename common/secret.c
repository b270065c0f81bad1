#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/str.h"

/* In the directory that systemd made for us and nobody else. */
static bool
is_given(const char *path)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	return dir != NULL && dir[0] == '/' && str_has_prefix(path, dir) &&
	       path[strlen(dir)] == '/' &&
	       strchr(path + strlen(dir) + 1, '/') == NULL;
}

char *
secret_given(const char *name)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path;

	if (dir == NULL || dir[0] != '/')
		return NULL;
	path = xasprintf("%s/%s", dir, name);
	if (access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

/* Who may read it, asked of the open file so that nobody can swap it. */
static int
check_private(int fd, const char *path, struct err *e)
{
	mode_t others = is_given(path) ? 037 : 077;
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CONFIG, "%s is not a file", path);
	if ((st.st_mode & others) != 0)
		return err_set(e, ERR_CONFIG,
		    "%s may be used by others (mode %04o); chmod 0600 %s", path,
		    (unsigned int)(st.st_mode & 07777), path);
	return 0;
}

static int
read_all(int fd, const char *path, struct buf *out, struct err *e)
{
	char chunk[4096];
	ssize_t n;
	int rc = 0;

	while ((n = read(fd, chunk, sizeof(chunk))) != 0 && rc == 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			rc = err_set(
			    e, ERR_CONFIG, "%s: %s", path, strerror(errno));
		else if (buf_put(out, chunk, (size_t)n) == -1)
			rc = err_set(e, ERR_CONFIG,
			    "%s is larger than %zu bytes", path, out->cap);
	}
	explicit_bzero(chunk, sizeof(chunk));
	return rc;
}

int
secret_file(const char *path, bool follow, struct buf *out, struct err *e)
{
	/* O_NONBLOCK: a fifo must not hold us up before it is refused. */
	int fd = open(path,
	    O_RDONLY | O_CLOEXEC | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
	int rc;

	if (fd == -1 && errno == ELOOP && !follow)
		return err_set(
		    e, ERR_CONFIG, "%s must not be a symbolic link", path);
	if (fd == -1)
		return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	rc = check_private(fd, path, e);
	if (rc == 0)
		rc = read_all(fd, path, out, e);
	close(fd);
	return rc;
}

static int
from_environment(const char *name, struct buf *out, struct err *e)
{
	const char *value = getenv(name);

	if (value == NULL || value[0] == '\0')
		return err_set(
		    e, ERR_CONFIG, "the environment has no variable %s", name);
	if (buf_puts(out, value) == -1)
		return err_set(e, ERR_CONFIG,
		    "the variable %s is larger than %zu bytes", name, out->cap);
	return 0;
}

int
secret_read(const char *reference, struct buf *out, struct err *e)
{
	const char *path = reference + strlen("file:");
	size_t start = out->len;

	if (str_has_prefix(reference, "env:"))
		return from_environment(reference + strlen("env:"), out, e);
	if (!str_has_prefix(reference, "file:/"))
		return err_set(e, ERR_CONFIG,
		    "a secret must be given as \"file:/path\" or "
		    "\"env:NAME\", never as itself");
	if (secret_file(path, true, out, e) == -1)
		return -1;
	if (out->len > start && out->p[out->len - 1] == '\n')
		out->p[--out->len] = '\0';
	if (out->len == start)
		return err_set(e, ERR_CONFIG, "%s is empty", path);
	if (memchr(out->p + start, '\0', out->len - start) != NULL)
		return err_set(e, ERR_CONFIG, "%s has a NUL byte in it", path);
	return 0;
}
