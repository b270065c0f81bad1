#include "haproxy/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/buf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "haproxy/command.h"
#include "haproxy/disk.h"
#include "haproxy/stage.h"

#define BUNDLE_SUFFIX ".bundle"
#define PEM_SUFFIX ".pem"
#define SECOND "~rsa"          /* no domain's name has a tilde */
#define WILDCARD "_wildcard_." /* domain_file()'s for "*." */
#define BUNDLE_MAX (1024 * 1024)
/* What a directory leaves of FILES_PATH_MAX to the file's name. */
#define DIR_MAX (FILES_PATH_MAX - 256)
/* Of a file's name, so that temporary ones also stay below NAME_MAX. */
#define STEM_MAX 200
#define STEM_KEPT 150

struct files {
	char *bundles; /* state_dir/certs */
	char *cert_dir;
	char *crt_list;
	char **names; /* of domains on disk in both forms, sorted */
	size_t nnames, room;
	bool dirty;  /* the crt-list differs from names */
	bool fresh;  /* files were put since both directories were synced */
	bool listed; /* the crt-list is known to be ours */
};

static int load(struct files *, struct err *);
static void stem(const char *name, char out[static DOMAIN_FILE_MAX]);
static char *bundle_path(const struct files *, const char *name);
static void insert(struct files *, const char *name);

/* HAProxy's names are paths, and a crt-list's line ends a path at a blank. */
static int
check_path(const char *what, const char *path, struct err *e)
{
	if (path[0] != '/')
		return err_set(e, ERR_CONFIG,
		    "%s is \"%s\"; it must be an absolute path", what, path);
	if (!command_name_ok(path) || strlen(path) > DIR_MAX)
		return err_set(e, ERR_CONFIG,
		    "%s \"%s\" cannot be a name in HAProxy; it must be at most "
		    "%d letters, digits and ._/=@+~-",
		    what, path, DIR_MAX);
	return 0;
}

struct files *
files_new(const char *state_dir, const char *cert_dir, const char *crt_list,
    struct err *e)
{
	struct files *f;

	if (check_path("cert_dir", cert_dir, e) == -1 ||
	    check_path("crt_list", crt_list, e) == -1)
		return NULL;
	f = xcalloc(1, sizeof(*f));
	f->bundles = xasprintf("%s/certs", state_dir);
	f->cert_dir = xstrdup(cert_dir);
	f->crt_list = xstrdup(crt_list);
	f->dirty = true;
	if (disk_dir(state_dir, false, e) == -1 ||
	    disk_dir(f->bundles, true, e) == -1 ||
	    disk_dir(f->cert_dir, true, e) == -1 || load(f, e) == -1) {
		files_free(f);
		return NULL;
	}
	return f;
}

void
files_free(struct files *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->nnames; i++)
		free(f->names[i]);
	free(f->names);
	free(f->bundles);
	free(f->cert_dir);
	free(f->crt_list);
	free(f);
}

/*
 * A bundle file is the domain's name, a newline and the bundle: a long name
 * does not fit into a file's name.  The two must agree, so that a file that
 * was copied to another name is not taken for it.  Return the bundle, inside
 * file, or NULL.
 */
static const char *
bundle_name(const char *path, const struct buf *file, char *name)
{
	char expected[DOMAIN_FILE_MAX], *want;
	const char *newline = memchr(file->p, '\n', file->len);
	bool same;

	if (newline == NULL || newline - file->p >= DOMAIN_NAME_MAX ||
	    newline == file->p)
		return NULL;
	memcpy(name, file->p, (size_t)(newline - file->p));
	name[newline - file->p] = '\0';
	if (!command_filter_ok(name))
		return NULL;
	stem(name, expected);
	want = xasprintf("/%s%s", expected, BUNDLE_SUFFIX);
	same = str_has_suffix(path, want);
	free(want);
	return same ? newline + 1 : NULL;
}

int
files_each(struct files *f, files_fn *fn, void *arg, struct err *e)
{
	char name[DOMAIN_NAME_MAX], *path;
	const char *bundle;
	struct dirent **found;
	struct buf file;
	struct err why = { 0 };
	int i, n;

	n = scandir(f->bundles, &found, NULL, alphasort);
	if (n == -1)
		return err_set(e, ERR_AGAIN, "cannot read %s: %s", f->bundles,
		    strerror(errno));
	for (i = 0; i < n; i++) {
		path = xasprintf("%s/%s", f->bundles, found[i]->d_name);
		buf_init(&file, BUNDLE_MAX + DOMAIN_NAME_MAX);
		if (!str_has_suffix(path, BUNDLE_SUFFIX))
			;
		else if (disk_read(path, &file, &why) == -1)
			log_warn("%s", why.text);
		else if ((bundle = bundle_name(path, &file, name)) == NULL)
			log_warn("%s is not a bundle of that name", path);
		else
			fn(arg, name, bundle,
			    file.len - (size_t)(bundle - file.p));
		buf_clear(&file);
		free(path);
		free(found[i]);
	}
	free(found);
	return 0;
}

/* A PEM that is gone (a tmpfs after a boot) comes back with files_put(). */
static void
load_one(void *arg, const char *name, const void *bundle, size_t len)
{
	struct files *f = arg;
	char path[FILES_PATH_MAX], second[FILES_NAME_MAX];

	(void)bundle, (void)len;
	files_path(f, name, path);
	if (access(path, R_OK) == 0)
		insert(f, name);
	files_second(name, second);
	files_path(f, second, path);
	if (access(path, R_OK) == 0)
		insert(f, second);
}

static int
load(struct files *f, struct err *e)
{
	disk_sweep(f->bundles);
	disk_sweep(f->cert_dir);
	return files_each(f, load_one, f, e);
}

/* The name as a file name; a long one is cut and ends in its own digest. */
static void
stem(const char *name, char out[static DOMAIN_FILE_MAX])
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	domain_file(name, out);
	if (strlen(out) <= STEM_MAX)
		return;
	EVP_Digest(name, strlen(name), digest, NULL, EVP_sha256(), NULL);
	out[STEM_KEPT] = '~';
	str_hex(out + STEM_KEPT + 1, digest, 16);
}

void
files_second(const char *name, char out[static FILES_NAME_MAX])
{
	snprintf(out, FILES_NAME_MAX, "%s" SECOND, name);
}

int
files_is_second(const char *name)
{
	return str_has_suffix(name, SECOND);
}

void
files_domain(const char *name, char out[static DOMAIN_NAME_MAX])
{
	size_t len = strlen(name);

	if (files_is_second(name))
		len -= strlen(SECOND);
	snprintf(out, DOMAIN_NAME_MAX, "%.*s", (int)len, name);
}

void
files_path(
    const struct files *f, const char *name, char out[static FILES_PATH_MAX])
{
	char file[DOMAIN_FILE_MAX];

	stem(name, file);
	snprintf(out, FILES_PATH_MAX, "%.*s/%.*s" PEM_SUFFIX, DIR_MAX,
	    f->cert_dir, STEM_MAX, file);
}

int
files_name(const char *path, char name[static DOMAIN_NAME_MAX])
{
	const char *slash = strrchr(path, '/');
	const char *file = slash != NULL ? slash + 1 : path;
	bool wild = str_has_prefix(file, WILDCARD);
	size_t len = strlen(file);

	if (!str_has_suffix(file, PEM_SUFFIX) || len > STEM_MAX)
		return -1;
	if (wild)
		file += strlen(WILDCARD);
	len = strlen(file) - strlen(PEM_SUFFIX);
	snprintf(
	    name, DOMAIN_NAME_MAX, "%s%.*s", wild ? "*." : "", (int)len, file);
	return 0;
}

static char *
bundle_path(const struct files *f, const char *name)
{
	char file[DOMAIN_FILE_MAX];

	stem(name, file);
	return xasprintf("%s/%s%s", f->bundles, file, BUNDLE_SUFFIX);
}

/* Where the name is, or would be. */
static size_t
find(const struct files *f, const char *name, bool *found)
{
	size_t low = 0, high = f->nnames, middle;
	int order;

	*found = false;
	/* They often come in order. */
	if (high > 0 && strcmp(f->names[high - 1], name) < 0)
		return high;
	while (low < high) {
		middle = low + (high - low) / 2;
		order = strcmp(f->names[middle], name);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
insert(struct files *f, const char *name)
{
	bool found;
	size_t at = find(f, name, &found);

	if (found)
		return;
	if (f->nnames == f->room) {
		f->room = f->room > 0 ? f->room * 2 : 64;
		f->names = xrealloc(f->names, f->room * sizeof(char *));
	}
	memmove(&f->names[at + 1], &f->names[at],
	    (f->nnames - at) * sizeof(char *));
	f->names[at] = xstrdup(name);
	f->nnames++;
	f->dirty = true;
}

static void
take_out(struct files *f, const char *name)
{
	bool found;
	size_t at = find(f, name, &found);

	if (!found)
		return;
	free(f->names[at]);
	f->nnames--;
	memmove(&f->names[at], &f->names[at + 1],
	    (f->nnames - at) * sizeof(char *));
	f->dirty = true;
}

int
files_get(
    const struct files *f, const char *name, struct buf *out, struct err *e)
{
	char its[DOMAIN_NAME_MAX], *path = bundle_path(f, name);
	const char *bundle = NULL;
	struct buf file;
	int rc;

	buf_init(&file, BUNDLE_MAX + DOMAIN_NAME_MAX);
	rc = disk_read(path, &file, e);
	if (rc == 0)
		bundle = bundle_name(path, &file, its);
	if (rc == 0 && (bundle == NULL || strcmp(its, name) != 0))
		rc = err_set(
		    e, ERR_AGAIN, "%s is not a bundle of that name", path);
	if (rc == 0)
		rc = buf_put(out, bundle, file.len - (size_t)(bundle - file.p));
	buf_clear(&file);
	free(path);
	return rc;
}

/* What stands in its file; whoever calls has looked at the length. */
static void
put_bundle(struct buf *file, const char *name, const void *bundle, size_t len)
{
	buf_init(file, BUNDLE_MAX + DOMAIN_NAME_MAX);
	buf_putf(file, "%s\n", name);
	buf_put(file, bundle, len);
}

struct stage *
files_stage(const struct files *f, struct worker *worker, const char *name,
    const void *bundle, size_t len, files_stage_fn *fn, void *arg)
{
	char *path = bundle_path(f, name);
	struct stage *staged;
	struct buf file;

	/* One that is too long is refused by files_put(). */
	put_bundle(&file, name, bundle, len <= BUNDLE_MAX ? len : 0);
	staged = stage_new(worker, path, file.p, file.len, fn, arg);
	buf_clear(&file);
	free(path);
	return staged;
}

int
files_put(struct files *f, const char *name, const void *bundle,
    size_t bundle_len, struct stage *staged, const char *pem, struct err *e)
{
	struct buf file;
	char *sealed;
	int rc;

	if (!command_filter_ok(name))
		return err_set(e, ERR_BUG, "not a domain's name");
	if (bundle_len > BUNDLE_MAX)
		return err_set(e, ERR_REFUSED,
		    "bundle of %s has %zu bytes, it may have %d", name,
		    bundle_len, BUNDLE_MAX);
	put_bundle(&file, name, bundle, bundle_len);
	sealed = bundle_path(f, name);
	f->fresh = true;
	rc = staged != NULL ? stage_put(staged, sealed, file.p, file.len, e)
	                    : disk_put(sealed, file.p, file.len, e);
	free(sealed);
	buf_clear(&file);
	return rc == -1 ? -1 : files_put_pem(f, name, pem, e);
}

int
files_put_pem(struct files *f, const char *name, const char *pem, struct err *e)
{
	char path[FILES_PATH_MAX];

	if (!command_filter_ok(name))
		return err_set(e, ERR_BUG, "not a domain's name");
	f->fresh = true;
	files_path(f, name, path);
	if (disk_put(path, pem, strlen(pem), e) == -1)
		return -1;
	insert(f, name);
	return 0;
}

int
files_put_second(
    struct files *f, const char *name, const char *pem, struct err *e)
{
	char path[FILES_PATH_MAX], second[FILES_NAME_MAX];
	bool found;

	files_second(name, second);
	files_path(f, second, path);
	if (pem != NULL) {
		if (disk_write(path, pem, strlen(pem), e) == -1)
			return -1;
		insert(f, second);
		return 0;
	}
	(void)find(f, second, &found);
	if (!found)
		return 0;
	take_out(f, second);
	if (files_sync(f, e) == -1)
		return -1;
	return disk_remove(path, e);
}

/*
 * The key goes before the bundle: what a crash leaves behind is sealed, and
 * is taken up again by whoever finds out that the domain is gone.
 */
int
files_remove(struct files *f, const char *name, struct err *e)
{
	char path[FILES_PATH_MAX], *sealed;
	int rc;

	take_out(f, name);
	if (files_put_second(f, name, NULL, e) == -1 || files_sync(f, e) == -1)
		return -1;
	files_path(f, name, path);
	sealed = bundle_path(f, name);
	rc = disk_remove(path, e) == -1 || disk_remove(sealed, e) == -1;
	free(sealed);
	return rc ? -1 : 0;
}

/* The crt-list: of a hundred thousand names it is ten megabytes. */
static void
list_names(void *arg, struct disk_file *out)
{
	const struct files *f = arg;
	char path[FILES_PATH_MAX], domain[DOMAIN_NAME_MAX];

	for (size_t i = 0; i < f->nnames; i++) {
		files_path(f, f->names[i], path);
		files_domain(f->names[i], domain);
		disk_add(out, path, strlen(path));
		disk_add(out, " ", 1);
		disk_add(out, domain, strlen(domain));
		disk_add(out, "\n", 1);
	}
}

int
files_sync(struct files *f, struct err *e)
{
	/* The list names only what is there to stay. */
	if (f->fresh &&
	    (disk_sync(f->bundles, e) == -1 || disk_sync(f->cert_dir, e) == -1))
		return -1;
	f->fresh = false;
	if (!f->dirty && access(f->crt_list, F_OK) == 0)
		return 0;
	/* After a start it most often is as it should be. */
	if ((f->listed || !disk_holds(f->crt_list, list_names, f)) &&
	    disk_fill(f->crt_list, list_names, f, e) == -1)
		return -1;
	f->listed = true;
	f->dirty = false;
	return 0;
}

int
files_put_default(struct files *f, const char *pem, struct err *e)
{
	char *path = xasprintf("%s/default" PEM_SUFFIX, f->cert_dir);
	int rc = disk_write(path, pem, strlen(pem), e);

	free(path);
	return rc;
}

int
files_has_default(const struct files *f)
{
	char *path = xasprintf("%s/default" PEM_SUFFIX, f->cert_dir);
	int found = access(path, R_OK) == 0;

	free(path);
	return found;
}
