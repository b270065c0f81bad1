#include "haproxy/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fault.h"
#include "common/mem.h"
#include "common/str.h"

#define CHUNK_SIZE 16384

/* On its way into a file, or compared with one. */
struct disk_file {
	int fd;
	bool compares;
	int error; /* errno; of one that compares: not 0 is another file */
	size_t len;
	char chunk[CHUNK_SIZE];
};

static int
failed(struct err *e, const char *what, const char *path)
{
	return err_set(
	    e, ERR_AGAIN, "cannot %s %s: %s", what, path, strerror(errno));
}

static int
make_parents(const char *path, struct err *e)
{
	char *copy = xstrdup(path), *slash = copy;
	int rc = 0;

	while (rc == 0 && (slash = strchr(slash + 1, '/')) != NULL) {
		*slash = '\0';
		if (mkdir(copy, 0755) == -1 && errno != EEXIST)
			rc = failed(e, "make directory", copy);
		*slash = '/';
	}
	free(copy);
	return rc;
}

int
disk_dir(const char *path, bool closed, struct err *e)
{
	mode_t open_bits = closed ? 077 : 022;
	struct stat st;

	if (mkdir(path, 0700) == -1 && errno == ENOENT) {
		if (make_parents(path, e) == -1)
			return -1;
		mkdir(path, 0700);
	}
	if (lstat(path, &st) == -1)
		return failed(e, "make directory", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG,
		    "%s is not a directory; it must be one", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, ERR_CONFIG,
		    "%s belongs to user %u; it must belong to user %u", path,
		    (unsigned int)st.st_uid, (unsigned int)geteuid());
	if (st.st_mode & open_bits)
		return err_set(e, ERR_CONFIG,
		    "%s has mode %04o; it must be closed to group and others "
		    "(0700)",
		    path, (unsigned int)st.st_mode & 07777);
	return 0;
}

/* A file as we write them. */
static bool
is_ours(const char *path, struct stat *st)
{
	return lstat(path, st) == 0 && S_ISREG(st->st_mode) &&
	       (st->st_mode & 07777) == 0600 && st->st_uid == geteuid();
}

bool
disk_is(const char *path, const void *bytes, size_t len)
{
	struct err ignored = { 0 };
	struct stat st;
	struct buf now;
	bool same;

	/* Most often the size tells already. */
	if (!is_ours(path, &st) || (size_t)st.st_size != len)
		return false;
	buf_init(&now, len);
	same = disk_read(path, &now, &ignored) == 0 && now.len == len &&
	       memcmp(now.p, bytes, len) == 0;
	buf_wipe(&now);
	return same;
}

int
disk_write_all(int fd, const char *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* --- piece by piece ------------------------------------------------------------ */

static bool
compare(int fd, const char *p, size_t len)
{
	char now[CHUNK_SIZE];
	bool same = true;
	ssize_t n;

	while (same && len > 0) {
		n = read(fd, now, len < sizeof(now) ? len : sizeof(now));
		if (n == -1 && errno == EINTR)
			continue;
		same = n > 0 && memcmp(now, p, (size_t)n) == 0;
		p += same ? n : 0;
		len -= same ? (size_t)n : 0;
	}
	mem_wipe(now, sizeof(now));
	return same;
}

/* What is in the chunk goes out. */
static void
pass_on(struct disk_file *f)
{
	if (f->error != 0)
		;
	else if (f->compares)
		f->error = compare(f->fd, f->chunk, f->len) ? 0 : EEXIST;
	else if (disk_write_all(f->fd, f->chunk, f->len) == -1)
		f->error = errno;
	f->len = 0;
}

void
disk_add(struct disk_file *f, const void *bytes, size_t len)
{
	const char *p = bytes;
	size_t n;

	while (len > 0 && f->error == 0) {
		if (f->len == sizeof(f->chunk))
			pass_on(f);
		n = sizeof(f->chunk) - f->len;
		if (n > len)
			n = len;
		memcpy(f->chunk + f->len, p, n);
		f->len += n;
		p += n;
		len -= n;
	}
}

/* All of it; -1 and errno. */
static int
fill_up(struct disk_file *f, disk_fill_fn *fill, void *arg)
{
	fill(arg, f);
	pass_on(f);
	mem_wipe(f->chunk, sizeof(f->chunk));
	errno = f->error;
	return f->error != 0 ? -1 : 0;
}

bool
disk_holds(const char *path, disk_fill_fn *fill, void *arg)
{
	struct disk_file f = { .compares = true };
	struct stat st;
	bool same;
	char more;

	f.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (f.fd == -1)
		return false;
	same = is_ours(path, &st) && fill_up(&f, fill, arg) == 0 &&
	       read(f.fd, &more, 1) == 0;
	close(f.fd);
	return same;
}

/* --- written beside, then renamed ----------------------------------------------- */

/* The directory's path, with the slash that file names follow. */
static char *
dir_of(const char *path)
{
	return xmemdup0(path, (size_t)(strrchr(path, '/') + 1 - path));
}

static int
sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd == -1)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static int
create(const char *temp)
{
	return open(
	    temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* What a crash left there is in nobody's way. */
int
disk_create(const char *temp)
{
	int fd = create(temp);

	if (fd == -1 && errno == EEXIST && unlink(temp) == 0)
		fd = create(temp);
	return fd;
}

static int
replace(const char *temp, const char *path, disk_fill_fn *fill, void *arg)
{
	struct disk_file f = { .fd = disk_create(temp) };
	int rc;

	if (f.fd == -1)
		return -1;
	rc = fchmod(f.fd, 0600) == -1 || fill_up(&f, fill, arg) == -1 ||
	     fsync(f.fd) == -1;
	/* Some file systems report a full disk only here. */
	rc = close(f.fd) == -1 || rc;
	fault_point("F14");
	return rc || rename(temp, path) == -1 ? -1 : 0;
}

static int
put(const char *path, disk_fill_fn *fill, void *arg, struct err *e)
{
	char *dir = dir_of(path);
	char *temp = xasprintf("%s" DISK_TEMP "%s", dir, path + strlen(dir));
	int rc = 0;

	if (replace(temp, path, fill, arg) == -1) {
		rc = failed(e, "write", path);
		unlink(temp);
	}
	free(temp);
	free(dir);
	return rc;
}

struct bytes {
	const void *p;
	size_t len;
};

static void
add_bytes(void *arg, struct disk_file *f)
{
	const struct bytes *b = arg;

	disk_add(f, b->p, b->len);
}

int
disk_put(const char *path, const void *bytes, size_t len, struct err *e)
{
	struct bytes b = { bytes, len };

	return disk_is(path, bytes, len) ? 0 : put(path, add_bytes, &b, e);
}

int
disk_sync(const char *dir, struct err *e)
{
	return sync_dir(dir) == -1 ? failed(e, "sync", dir) : 0;
}

int
disk_fill(const char *path, disk_fill_fn *fill, void *arg, struct err *e)
{
	char *dir;
	int rc;

	if (put(path, fill, arg, e) == -1)
		return -1;
	dir = dir_of(path);
	rc = sync_dir(dir) == -1 ? failed(e, "write", path) : 0;
	free(dir);
	return rc;
}

int
disk_write(const char *path, const void *bytes, size_t len, struct err *e)
{
	struct bytes b = { bytes, len };

	return disk_is(path, bytes, len) ? 0
	                                 : disk_fill(path, add_bytes, &b, e);
}

static int
read_all(int fd, const char *path, struct buf *out, struct err *e)
{
	char chunk[16384];
	ssize_t n;
	int rc = 0;

	do {
		n = read(fd, chunk, sizeof(chunk));
		if (n == -1 && errno != EINTR)
			rc = failed(e, "read", path);
		else if (n > 0 && buf_put(out, chunk, (size_t)n) == -1)
			rc = err_set(e, ERR_CONFIG,
			    "%s has more than %zu bytes", path, out->cap);
	} while (rc == 0 && n != 0);
	mem_wipe(chunk, sizeof(chunk));
	return rc;
}

int
disk_read(const char *path, struct buf *out, struct err *e)
{
	/* Without O_NONBLOCK the opening of a FIFO would wait for ever. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int rc;

	if (fd == -1)
		return failed(e, "read", path);
	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		rc = err_set(e, ERR_CONFIG, "%s is not a plain file", path);
	else
		rc = read_all(fd, path, out, e);
	close(fd);
	return rc;
}

int
disk_remove(const char *path, struct err *e)
{
	char *dir;
	int rc;

	if (unlink(path) == -1)
		return errno == ENOENT ? 0 : failed(e, "remove", path);
	dir = dir_of(path);
	rc = sync_dir(dir) == -1 ? failed(e, "remove", path) : 0;
	free(dir);
	return rc;
}

void
disk_sweep(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *it;

	if (d == NULL)
		return;
	while ((it = readdir(d)) != NULL)
		if (str_has_prefix(it->d_name, DISK_TEMP))
			unlinkat(dirfd(d), it->d_name, 0);
	closedir(d);
}
