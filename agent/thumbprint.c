#include "agent/thumbprint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
file_name(char out[static PATH_MAX], const char *dir, const char *suffix,
    struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/thumbprint%s", dir, suffix);

	if (n < 0 || n >= PATH_MAX)
		return err_set(e, ERR_CONFIG,
		    "state_dir is too long; at most %d bytes", PATH_MAX);
	return 0;
}

int
thumbprint_load(
    const char *dir, char out[static THUMBPRINT_LEN + 1], struct err *e)
{
	char path[PATH_MAX], text[THUMBPRINT_LEN + 2];
	ssize_t n;
	int fd;

	out[0] = '\0';
	if (file_name(path, dir, "", e) == -1)
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1)
		return err_set(e, ERR_CONFIG, "%s cannot be read: %s", path,
		    strerror(errno));
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n != THUMBPRINT_LEN + 1 || text[THUMBPRINT_LEN] != '\n' ||
	    !keyauth_is_thumbprint(text, THUMBPRINT_LEN))
		return err_set(e, ERR_CONFIG,
		    "%s is damaged; it should hold 43 characters of base64url",
		    path);
	memcpy(out, text, THUMBPRINT_LEN);
	out[THUMBPRINT_LEN] = '\0';
	return 0;
}

int
thumbprint_save(const char *dir, const char *thumbprint, struct err *e)
{
	char path[PATH_MAX], temp[PATH_MAX], line[THUMBPRINT_LEN + 1];
	int fd, rc;

	if (file_name(path, dir, "", e) == -1 ||
	    file_name(temp, dir, ".new", e) == -1)
		return -1;
	memcpy(line, thumbprint, THUMBPRINT_LEN);
	line[THUMBPRINT_LEN] = '\n';
	unlink(temp); /* left behind by a crash: O_EXCL would stumble */
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd == -1)
		return err_set(e, ERR_CONFIG, "%s cannot be created: %s", temp,
		    strerror(errno));
	rc = write(fd, line, sizeof(line)) == (ssize_t)sizeof(line) &&
	             fsync(fd) == 0
	         ? 0
	         : -1;
	close(fd);
	if (rc == -1 || rename(temp, path) == -1) {
		err_set(e, ERR_CONFIG, "%s cannot be written: %s", path,
		    strerror(errno));
		unlink(temp);
		return -1;
	}
	return 0;
}
