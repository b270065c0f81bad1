#include "sync/ledger_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "haproxy/disk.h"

#define LINES_MIN 1000 /* not worth writing anew */

struct ledger_file {
	char *path;
	int fd;
	size_t lines;
	bool torn; /* the last line has no end */
};

static int
open_file(struct ledger_file *f, struct err *e)
{
	int fd = open(f->path,
	    O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd == -1 || fchmod(fd, 0600) == -1) {
		err_set(e, ERR_CONFIG, "ledger %s cannot be opened: %s",
		    f->path, strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (f->fd != -1)
		close(f->fd);
	f->fd = fd;
	return 0;
}

static void
take_lines(struct ledger_file *f, struct ledger *l, const struct buf *text)
{
	const char *p = text->p, *end = text->p + text->len, *newline;
	size_t bad = 0;

	for (; p < end; p = newline + 1) {
		newline = memchr(p, '\n', (size_t)(end - p));
		if (newline == NULL) {
			f->torn = true;
			bad++;
			break;
		}
		f->lines++;
		bad += !ledger_take(l, p, (size_t)(newline - p));
	}
	if (bad > 0)
		log_warn("ledger=%s lines=%zu unreadable=%zu", f->path,
		    f->lines, bad);
}

struct ledger_file *
ledger_file_new(const char *state_dir, struct ledger *l, struct err *e)
{
	struct ledger_file *f = xcalloc(1, sizeof(*f));
	struct buf text;
	int rc;

	f->fd = -1;
	f->path = xasprintf("%s/ledger", state_dir);
	buf_init(&text, LEDGER_FILE_MAX);
	rc = open_file(f, e);
	if (rc == 0)
		rc = disk_read(f->path, &text, e);
	if (rc == 0)
		take_lines(f, l, &text);
	buf_clear(&text);
	if (rc == -1) {
		ledger_file_free(f);
		return NULL;
	}
	return f;
}

void
ledger_file_free(struct ledger_file *f)
{
	if (f == NULL)
		return;
	if (f->fd != -1)
		close(f->fd);
	free(f->path);
	free(f);
}

static size_t
count_lines(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->p[i] == '\n';
	return n;
}

int
ledger_file_put(struct ledger_file *f, const struct buf *lines, struct err *e)
{
	/* A torn line is ended first, or the next would be lost with it. */
	if ((f->torn && disk_write_all(f->fd, "\n", 1) == -1) ||
	    disk_write_all(f->fd, lines->p, lines->len) == -1 ||
	    fdatasync(f->fd) == -1) {
		f->torn = true;
		return err_set(e, ERR_AGAIN, "ledger %s not written: %s",
		    f->path, strerror(errno));
	}
	f->torn = false;
	f->lines += count_lines(lines);
	return 0;
}

bool
ledger_file_large(const struct ledger_file *f, const struct ledger *l)
{
	return f->lines > LINES_MIN && f->lines > 2 * ledger_size(l);
}

int
ledger_file_rewrite(
    struct ledger_file *f, const struct ledger *l, struct err *e)
{
	struct buf text;
	int rc = 0;

	buf_init(&text, LEDGER_FILE_MAX);
	if (ledger_dump(l, &text) == -1)
		rc = err_set(e, ERR_BUG, "the ledger is too large");
	if (rc == 0)
		rc = disk_write(f->path, text.p, text.len, e);
	if (rc == 0)
		rc = open_file(f, e);
	if (rc == 0) {
		f->lines = count_lines(&text);
		f->torn = false;
	}
	buf_clear(&text);
	return rc;
}
