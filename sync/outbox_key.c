/* Outbox: the keys of orders and accounts, each sealed with its URL. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/seal.h"
#include "sync/outbox_impl.h"

static int
seal_pair(const struct outbox *o, const char *type, const char *name,
    const char *url, const char *key_pem, struct buf *sealed, struct err *e)
{
	struct buf plain;
	int rc;

	buf_init(sealed, OUTBOX_FILE_MAX);
	buf_init(&plain, OUTBOX_FILE_MAX);
	buf_putf(&plain, "%s\n%s", url, key_pem);
	rc = seal(o->ring, type, name, "", plain.p, plain.len, sealed, e);
	buf_wipe(&plain);
	return rc;
}

static bool
open_pair(const struct outbox *o, const char *type, const char *name,
    const struct buf *sealed, char **url, char **key_pem)
{
	struct buf plain;
	struct err e;
	char *end;

	buf_init(&plain, OUTBOX_FILE_MAX);
	if (seal_open(o->ring, type, name, "", sealed->p, sealed->len, &plain,
		&e) == -1) {
		log_warn("outbox: %s of %s: %s", type, name, e.text);
	} else if ((end = memchr(plain.p, '\n', plain.len)) != NULL) {
		*url = xmemdup0(plain.p, (size_t)(end - plain.p));
		*key_pem =
		    xmemdup0(end + 1, plain.len - (size_t)(end + 1 - plain.p));
	}
	buf_wipe(&plain);
	return *key_pem != NULL;
}

static bool
get_pair(const struct outbox *o, const char *type, enum outbox_kind kind,
    const char *name, char **url, char **key_pem)
{
	struct buf sealed;
	struct err e;
	bool got = false;

	*url = *key_pem = NULL;
	buf_init(&sealed, OUTBOX_FILE_MAX);
	if (outbox_dir_get(o->dir, name, kind, &sealed, &e) == 0)
		got = open_pair(o, type, name, &sealed, url, key_pem);
	buf_clear(&sealed);
	return got;
}

/* The first line is the URL, a blank, and what is to be replaced. */
bool
outbox_put_key(struct outbox *o, const char *name, const char *url,
    const char *was, const char *key_pem, outbox_flushed_fn *fn, void *arg)
{
	struct buf sealed;
	struct err e;
	char *line;
	int fd = -1;

	if (o == NULL)
		return false;
	line = xasprintf("%s %s", url, was);
	if (seal_pair(o, "outbox", name, line, key_pem, &sealed, &e) == 0)
		fd = outbox_put(o, name, OUTBOX_KEY, sealed.p, sealed.len);
	buf_clear(&sealed);
	free(line);
	return outbox_flush(o, fd, fn, arg);
}

bool
outbox_get_key(struct outbox *o, const char *name, const char *was, char **url,
    char **key_pem)
{
	struct kept *k = outbox_find(o, name);
	char *blank;

	*url = *key_pem = NULL;
	if (k == NULL || !k->key)
		return false;
	if (get_pair(o, "outbox", OUTBOX_KEY, name, url, key_pem) &&
	    (blank = strchr(*url, ' ')) != NULL) {
		*blank = '\0';
		if (strcmp(blank + 1, was) == 0)
			return true;
	}
	free(*url);
	mem_wipe_free(*key_pem);
	*url = *key_pem = NULL;
	outbox_dir_drop(o->dir, name, OUTBOX_KEY);
	k->key = false;
	if (!k->bundle)
		outbox_forget(o, k);
	return false;
}

static void
keep_account(
    struct outbox *o, const char *ca, const char *key_pem, const char *url)
{
	struct buf sealed;
	struct err e;
	int flush;

	if (seal_pair(o, "account", ca, url, key_pem, &sealed, &e) == 0 &&
	    outbox_dir_put(o->dir, ca, OUTBOX_ACCOUNT, sealed.p, sealed.len,
		&flush, &e) == -1)
		outbox_tell(o, &e);
	buf_clear(&sealed);
}

void
outbox_put_account(
    struct outbox *o, const char *ca, const char *key_pem, const char *url)
{
	char *had_url, *had_key;
	bool same;

	if (o == NULL)
		return;
	same = outbox_get_account(o, ca, &had_url, &had_key) &&
	       strcmp(had_url, url) == 0 && strcmp(had_key, key_pem) == 0;
	free(had_url);
	mem_wipe_free(had_key);
	if (!same)
		keep_account(o, ca, key_pem, url);
}

void
outbox_seal_anew(struct outbox *o, const char *ca)
{
	struct seal_key key[2];
	char *url, *key_pem;

	if (o == NULL || ca[0] == '\0' || seal_ring_keys(o->ring, key, 2) < 2)
		return;
	if (outbox_get_account(o, ca, &url, &key_pem))
		keep_account(o, ca, key_pem, url);
	free(url);
	mem_wipe_free(key_pem);
}

bool
outbox_get_account(struct outbox *o, const char *ca, char **url, char **key_pem)
{
	*url = *key_pem = NULL;
	return o != NULL &&
	       get_pair(o, "account", OUTBOX_ACCOUNT, ca, url, key_pem);
}
