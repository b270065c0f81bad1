#include "sync/outbox_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "haproxy/disk.h"

#define NAME_MAX_LEN 1024
#define DIGEST_LEN 16
/*
 * Files that were dropped are written anew, as many as that: a busy issuer has
 * two for each certificate, and file systems are slow at making them.  What is
 * left of them at the end, or after a crash, goes as all temporary files do.
 */
#define SPARES_MAX 256

static const char *const suffix[OUTBOX_KINDS] = { ".key", ".bundle",
	".account" };

struct outbox_dir {
	char *path;
	bool sync_keys;
	unsigned int spares; /* of these names, from 0 */
};

static char *
path_of(const struct outbox_dir *d, const char *name, enum outbox_kind kind)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char hex[2 * DIGEST_LEN + 1];

	EVP_Digest(name, strlen(name), digest, NULL, EVP_sha256(), NULL);
	str_hex(hex, digest, DIGEST_LEN);
	return xasprintf("%s/%s%s", d->path, hex, suffix[kind]);
}

static char *
spare_of(const struct outbox_dir *d, unsigned int i)
{
	return xasprintf("%s/.tmp-spare-%u", d->path, i);
}

/* Where the sealed bytes begin; NULL when there is no name before them. */
static const char *
name_end(const struct buf *file)
{
	size_t len = file->len < NAME_MAX_LEN ? file->len : NAME_MAX_LEN;
	const char *end = file->len > 0 ? memchr(file->p, '\n', len) : NULL;

	return end != NULL && end > file->p ? end : NULL;
}

static int
read_file(const char *path, struct buf *file, struct err *e)
{
	buf_init(file, OUTBOX_FILE_MAX + NAME_MAX_LEN);
	if (disk_read(path, file, e) == -1)
		return -1;
	if (name_end(file) == NULL)
		return err_set(e, ERR_AGAIN, "%s is not of an outbox", path);
	return 0;
}

static void
tell_one(const struct outbox_dir *d, const char *file_name,
    enum outbox_kind kind, outbox_found_fn *fn, void *arg)
{
	char *path = xasprintf("%s/%s", d->path, file_name), *name, *its;
	struct buf file;
	struct err e;

	if (read_file(path, &file, &e) == -1) {
		log_warn("outbox: %s", e.text);
	} else {
		name = xmemdup0(file.p, (size_t)(name_end(&file) - file.p));
		its = path_of(d, name, kind);
		if (strcmp(its, path) == 0)
			fn(arg, name, kind);
		else
			log_warn("outbox: %s is of another name", path);
		free(its);
		free(name);
	}
	buf_clear(&file);
	free(path);
}

static int
tell_all(
    const struct outbox_dir *d, outbox_found_fn *fn, void *arg, struct err *e)
{
	DIR *dir = opendir(d->path);
	const struct dirent *entry;

	if (dir == NULL)
		return err_set(e, ERR_CONFIG, "cannot read %s: %s", d->path,
		    strerror(errno));
	while ((entry = readdir(dir)) != NULL)
		for (int i = 0; i < OUTBOX_KINDS; i++)
			if (str_has_suffix(entry->d_name, suffix[i]))
				tell_one(d, entry->d_name, (enum outbox_kind)i,
				    fn, arg);
	closedir(dir);
	return 0;
}

struct outbox_dir *
outbox_dir_new(const char *state_dir, bool sync_keys, outbox_found_fn *fn,
    void *arg, struct err *e)
{
	struct outbox_dir *d = xcalloc(1, sizeof(*d));

	d->path = xasprintf("%s/outbox", state_dir);
	d->sync_keys = sync_keys;
	if (disk_dir(d->path, true, e) == 0) {
		disk_sweep(d->path);
		if (tell_all(d, fn, arg, e) == 0)
			return d;
	}
	outbox_dir_free(d);
	return NULL;
}

void
outbox_dir_free(struct outbox_dir *d)
{
	if (d == NULL)
		return;
	disk_sweep(d->path);
	free(d->path);
	free(d);
}

/*
 * A file that a crash tears is as good as none, since nothing of it can be
 * opened.  It is flushed where it is to be found.  What was in it is written
 * over, and cut only then: so it keeps its blocks, which a file system takes
 * longer to free and find again than to write.
 */
static int
write_file(
    const char *temp, const char *path, const struct buf *file, int *left)
{
	int fd = open(temp, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = -1;

	if (fd == -1)
		return -1;
	if (disk_write_all(fd, file->p, file->len) == 0 &&
	    ftruncate(fd, (off_t)file->len) == 0 && rename(temp, path) == 0)
		rc = 0;
	if (rc == 0 && left != NULL) {
		*left = fd;
		return 0;
	}
	/* Some file systems report a full disk only here. */
	return close(fd) == -1 ? -1 : rc;
}

/* In the place of one that was dropped, if there is one. */
static int
put_file(
    struct outbox_dir *d, const char *path, const struct buf *file, int *left)
{
	unsigned int i = d->spares > 0 ? d->spares - 1 : 0;
	char *temp = spare_of(d, i);
	int rc = write_file(temp, path, file, left), saved = errno;

	d->spares = i;
	if (rc == -1) {
		unlink(temp);
		unlink(path);
	}
	free(temp);
	errno = saved;
	return rc;
}

/* It is on the disk before anything goes on, or it is gone. */
static int
flush_now(int fd, const char *path)
{
	int rc = fsync(fd), saved;

	rc = close(fd) == -1 ? -1 : rc;
	saved = errno;
	if (rc == -1)
		unlink(path);
	errno = saved;
	return rc;
}

int
outbox_dir_put(struct outbox_dir *d, const char *name, enum outbox_kind kind,
    const void *bytes, size_t len, int *flush, struct err *e)
{
	bool now = kind == OUTBOX_ACCOUNT;
	bool later = kind == OUTBOX_KEY && d->sync_keys;
	char *path = path_of(d, name, kind);
	struct buf file;
	int rc, fd = -1;

	*flush = -1;
	buf_init(&file, OUTBOX_FILE_MAX + NAME_MAX_LEN);
	buf_putf(&file, "%s\n", name);
	if (buf_put(&file, bytes, len) == -1)
		rc = err_set(
		    e, ERR_BUG, "%zu bytes are too many for %s", len, path);
	else if (put_file(d, path, &file, now || later ? &fd : NULL) == -1 ||
		 (now && flush_now(fd, path) == -1))
		rc = err_set(
		    e, ERR_AGAIN, "cannot write %s: %s", path, strerror(errno));
	else
		rc = 0;
	if (later)
		*flush = fd;
	buf_clear(&file);
	free(path);
	return rc;
}

int
outbox_dir_get(const struct outbox_dir *d, const char *name,
    enum outbox_kind kind, struct buf *out, struct err *e)
{
	char *path = path_of(d, name, kind);
	const char *end;
	struct buf file;
	int rc = read_file(path, &file, e);

	if (rc == 0) {
		end = name_end(&file) + 1;
		rc = buf_put(out, end, file.len - (size_t)(end - file.p));
	}
	buf_clear(&file);
	free(path);
	return rc;
}

/* One that comes back after a crash is only of no use. */
void
outbox_dir_drop(struct outbox_dir *d, const char *name, enum outbox_kind kind)
{
	char *path = path_of(d, name, kind), *spare = spare_of(d, d->spares);

	if (d->spares >= SPARES_MAX)
		unlink(path);
	else if (rename(path, spare) == 0)
		d->spares++;
	free(spare);
	free(path);
}
