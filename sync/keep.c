#include "sync/keep.h"

#include <stdbool.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "haproxy/files.h"
#include "sync/bundle.h"

static int
not_worse(int64_t was, int64_t is, struct err *e)
{
	char was_text[STR_TIME_MAX], is_text[STR_TIME_MAX];

	if (was <= is || was < loop_wall_ms())
		return 0;
	return err_set(e, ERR_REFUSED,
	    "it ends %s, what is served ends %s: a worse one is not taken",
	    str_time(is_text, is), str_time(was_text, was));
}

/* The copy on disk is sealed by the ring's newest key, whoever sealed it. */
static int
put(const struct seal_ring *ring, struct files *files, const char *name,
    const void *bundle, size_t len, struct stage *staged, const char *pem,
    struct err *e)
{
	struct buf again;
	int rc = -1;

	if (bundle_key_id(bundle, len) == seal_ring_seals(ring))
		return files_put(files, name, bundle, len, staged, pem, e);
	buf_init(&again, BUNDLE_MAX);
	if (bundle_reseal(ring, name, bundle, len, &again, e) == 0)
		rc = files_put(files, name, again.p, again.len, NULL, pem, e);
	buf_clear(&again);
	return rc;
}

/* sealed: the sealed copy, too, which may be staged. */
static int
keep(const struct seal_ring *ring, struct files *files, const char *name,
    int64_t now, int64_t not_after, const void *bundle, size_t len, bool sealed,
    struct stage *staged, struct cert *cert, struct cert *second, struct err *e)
{
	char *key = NULL, *key2 = NULL, *pem = NULL, *pem2 = NULL;
	int rc = -1;

	*second = (struct cert){ 0 };
	if (bundle_open(ring, name, bundle, len, now, cert, &key, e) == 0 &&
	    bundle_open_second(
		ring, name, bundle, len, now, second, &key2, e) == 0 &&
	    not_worse(not_after, cert->not_after, e) == 0) {
		pem = cert_pem(cert, key);
		if (key2 != NULL)
			pem2 = cert_pem(second, key2);
		rc = sealed
		         ? put(ring, files, name, bundle, len, staged, pem, e)
		         : files_put_pem(files, name, pem, e);
		if (rc == 0)
			rc = files_put_second(files, name, pem2, e);
	}
	mem_wipe_free(pem);
	mem_wipe_free(key);
	mem_wipe_free(pem2);
	mem_wipe_free(key2);
	return rc;
}

int
keep_bundle(const struct seal_ring *ring, struct files *files, const char *name,
    int64_t not_after, const void *bundle, size_t len, struct stage *staged,
    struct cert *cert, struct cert *second, struct err *unkept, struct err *e)
{
	int64_t now = loop_wall_ms();

	*unkept = (struct err){ 0 };
	if (keep(ring, files, name, now, not_after, bundle, len, true, staged,
		cert, second, e) == 0)
		return 0;
	if (e->kind != ERR_AGAIN)
		return -1;
	/* A full disk must not let certificates run out: HAProxy's are elsewhere. */
	*unkept = *e;
	cert_clear(cert);
	cert_clear(second);
	*cert = (struct cert){ 0 };
	return keep(ring, files, name, now, not_after, bundle, len, false, NULL,
	    cert, second, e);
}

int
keep_trial(const struct seal_ring *ring, struct files *files, const char *name,
    const void *bundle, size_t len, struct cert *cert, struct cert *second,
    struct err *e)
{
	return keep(ring, files, name, loop_wall_ms(), 0, bundle, len, false,
	    NULL, cert, second, e);
}

struct load {
	const struct seal_ring *ring;
	struct files *files;
	keep_fn *fn;
	void *arg;
	int good;
};

/*
 * What was served stays so: its dates were right when it came, and nobody has
 * told us yet whether our clock is.
 */
static void
look_at_dates(const char *name, const struct cert *c)
{
	int64_t now = loop_wall_ms();
	char at[STR_TIME_MAX];

	if (now >= c->not_after)
		log_warn("domain=%s certificate expired at %s, by this node's "
			 "clock",
		    name, str_time(at, c->not_after));
	else if (now < c->not_before)
		log_warn("domain=%s certificate begins at %s, by this node's "
			 "clock that is to come",
		    name, str_time(at, c->not_before));
}

static void
load_one(void *arg, const char *name, const void *bundle, size_t len)
{
	struct load *l = arg;
	struct cert cert = { 0 }, second = { 0 };
	char its[FILES_NAME_MAX];
	struct err e = { 0 };

	if (keep(l->ring, l->files, name, CERT_ANY_TIME, 0, bundle, len, true,
		NULL, &cert, &second, &e) == -1) {
		log_error(
		    "domain=%s copy on disk not served: %s", name, e.text);
	} else {
		l->good++;
		look_at_dates(name, &cert);
		if (l->fn != NULL)
			l->fn(l->arg, name, &cert);
		files_second(name, its);
		if (l->fn != NULL && second.chain != NULL)
			l->fn(l->arg, its, &second);
	}
	cert_clear(&cert);
	cert_clear(&second);
}

static int
put_default(struct files *files, struct err *e)
{
	char *pem;
	int rc;

	if (files_has_default(files))
		return 0;
	pem = cert_placeholder();
	rc = files_put_default(files, pem, e);
	mem_wipe_free(pem);
	return rc;
}

int
keep_load(const struct seal_ring *ring, struct files *files, keep_fn *fn,
    void *arg, struct err *e)
{
	struct load l = { ring, files, fn, arg, 0 };

	if (put_default(files, e) == -1 ||
	    files_each(files, load_one, &l, e) == -1 ||
	    files_sync(files, e) == -1)
		return -1;
	return l.good;
}
