#include "sync/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/table.h"
#include "sync/bundle.h"
#include "sync/outbox_impl.h"

static void
found(void *arg, const char *name, enum outbox_kind kind)
{
	struct outbox *o = arg;
	size_t len = strlen(name);
	struct kept *k;

	if (kind == OUTBOX_ACCOUNT)
		return;
	HASH_FIND_STR(o->names, name, k);
	if (k == NULL) {
		k = xcalloc(1, sizeof(*k) + len + 1);
		memcpy(k->name, name, len + 1);
		HASH_ADD_KEYPTR(hh, o->names, k->name, len, k);
	}
	k->key |= kind == OUTBOX_KEY;
	k->bundle |= kind == OUTBOX_BUNDLE;
}

void
outbox_forget(struct outbox *o, struct kept *k)
{
	HASH_DEL(o->names, k);
	free(k);
}

static void
drop(struct outbox *o, struct kept *k)
{
	if (k->key)
		outbox_dir_drop(o->dir, k->name, OUTBOX_KEY);
	if (k->bundle)
		outbox_dir_drop(o->dir, k->name, OUTBOX_BUNDLE);
	outbox_forget(o, k);
}

/* Which certificate it is that was left from before. */
static bool
look_into(const struct outbox *o, struct kept *k, struct err *e)
{
	struct cert cert = { 0 };
	struct buf bundle;
	char *key = NULL;
	bool good;

	buf_init(&bundle, OUTBOX_FILE_MAX);
	good =
	    outbox_dir_get(o->dir, k->name, OUTBOX_BUNDLE, &bundle, e) == 0 &&
	    bundle_open(o->ring, k->name, bundle.p, bundle.len, CERT_ANY_TIME,
		&cert, &key, e) == 0;
	if (good) {
		memcpy(k->sha1, cert.sha1, sizeof(k->sha1));
		k->not_after = cert.not_after;
	}
	mem_wipe_free(key);
	cert_clear(&cert);
	buf_clear(&bundle);
	return good;
}

static void
look_into_bundles(struct outbox *o)
{
	struct kept *k, *next;
	struct err e;

	HASH_ITER (hh, o->names, k, next) {
		if (!k->bundle || look_into(o, k, &e))
			continue;
		log_warn("outbox: certificate of %s: %s", k->name, e.text);
		drop(o, k);
	}
}

struct outbox *
outbox_new(const char *state_dir, const struct seal_ring *ring, size_t max,
    bool sync_keys, struct err *e)
{
	struct outbox *o = xcalloc(1, sizeof(*o));

	LIST_INIT(&o->flushing);
	o->max = max;
	o->ring = ring;
	o->dir = outbox_dir_new(state_dir, sync_keys, found, o, e);
	if (o->dir == NULL) {
		outbox_free(o);
		return NULL;
	}
	look_into_bundles(o);
	if (HASH_COUNT(o->names) > 0)
		log_info(
		    "outbox: domains=%u were left in it", HASH_COUNT(o->names));
	return o;
}

void
outbox_free(struct outbox *o)
{
	struct kept *k, *next;

	if (o == NULL)
		return;
	outbox_flush_end(o);
	HASH_ITER (hh, o->names, k, next)
		outbox_forget(o, k);
	outbox_dir_free(o->dir);
	free(o);
}

struct kept *
outbox_find(const struct outbox *o, const char *name)
{
	struct kept *k = NULL;

	if (o != NULL)
		HASH_FIND_STR(o->names, name, k);
	return k;
}

void
outbox_drop(struct outbox *o, const char *name)
{
	struct kept *k = outbox_find(o, name);

	if (k != NULL)
		drop(o, k);
}

static void
drop_if_safe(struct outbox *o, struct kept *k)
{
	if (k->bundle && k->held && k->replicated)
		drop(o, k);
}

/* Told once, until it works again. */
void
outbox_tell(struct outbox *o, const struct err *e)
{
	if (e != NULL && !o->told)
		log_error("outbox: %s; until that is mended Redis alone has "
			  "what is new",
		    e->text);
	else if (e == NULL && o->told)
		log_info("outbox: in use again");
	o->told = e != NULL;
}

/* There is room for another, if need be in the place of what a node has. */
static bool
make_room(struct outbox *o)
{
	struct kept *k, *next;
	struct err e;

	if (HASH_COUNT(o->names) < o->max)
		return true;
	HASH_ITER (hh, o->names, k, next)
		if (k->held) {
			drop(o, k);
			return true;
		}
	err_set(&e, ERR_AGAIN,
	    "it is full: %zu domains, and no node has acknowledged one of them",
	    o->max);
	outbox_tell(o, &e);
	return false;
}

int
outbox_put(struct outbox *o, const char *name, enum outbox_kind kind,
    const void *bytes, size_t len)
{
	struct err e;
	int flush;

	if (outbox_find(o, name) == NULL && !make_room(o))
		return -1;
	if (outbox_dir_put(o->dir, name, kind, bytes, len, &flush, &e) == -1) {
		outbox_tell(o, &e);
		return -1;
	}
	outbox_tell(o, NULL);
	found(o, name, kind);
	return flush;
}

/* --- certificates ------------------------------------------------------------------ */

void
outbox_put_bundle(struct outbox *o, const char *name, const char *sha1,
    int64_t not_after, const void *bundle, size_t len)
{
	struct kept *k;

	if (o == NULL)
		return;
	outbox_put(o, name, OUTBOX_BUNDLE, bundle, len);
	k = outbox_find(o, name);
	if (k == NULL || !k->bundle)
		return;
	snprintf(k->sha1, sizeof(k->sha1), "%s", sha1);
	k->not_after = not_after;
	k->gen = 0;
	k->held = k->replicated = false;
	/* The key is in the bundle as well. */
	if (k->key)
		outbox_dir_drop(o->dir, name, OUTBOX_KEY);
	k->key = false;
}

void
outbox_committed(struct outbox *o, const char *name, int64_t gen)
{
	struct kept *k = outbox_find(o, name);

	if (k == NULL)
		return;
	o->leads = true;
	k->gen = gen;
	k->turn = ++o->turn;
	k->held = k->replicated = false;
}

void
outbox_acked(struct outbox *o, const struct gens *gens)
{
	struct kept *k, *next;

	if (o == NULL)
		return;
	HASH_ITER (hh, o->names, k, next) {
		if (k->gen == 0 || !gens_reached(gens, k->name, k->gen))
			continue;
		k->held = true;
		drop_if_safe(o, k);
	}
}

void
outbox_held(struct outbox *o, const char *name, const char *sha1)
{
	struct kept *k = outbox_find(o, name);

	if (k == NULL || !k->bundle || strcmp(k->sha1, sha1) != 0)
		return;
	k->held = true;
	/* From Redis; who does not lead leaves the rest to who does. */
	if (o->leads)
		drop_if_safe(o, k);
	else
		drop(o, k);
}

int64_t
outbox_mark(const struct outbox *o)
{
	return o != NULL ? o->turn : 0;
}

static bool
is_waiting(const struct kept *k, int partition, int npartitions)
{
	return k->gen > 0 && !k->replicated &&
	       domain_partition(k->name, npartitions) == partition;
}

bool
outbox_waits(const struct outbox *o, int partition, int npartitions)
{
	const struct kept *k;

	for (k = o != NULL ? o->names : NULL; k != NULL; k = k->hh.next)
		if (is_waiting(k, partition, npartitions))
			return true;
	return false;
}

void
outbox_replicated(
    struct outbox *o, int partition, int npartitions, int64_t mark)
{
	struct kept *k, *next;

	if (o == NULL)
		return;
	HASH_ITER (hh, o->names, k, next) {
		if (!is_waiting(k, partition, npartitions) || k->turn > mark)
			continue;
		k->replicated = true;
		drop_if_safe(o, k);
	}
}

void
outbox_unsure(struct outbox *o)
{
	struct kept *k;

	if (o == NULL)
		return;
	o->leads = false;
	for (k = o->names; k != NULL; k = k->hh.next)
		k->gen = 0;
}

void
outbox_indexed(
    struct outbox *o, const char *name, const char *sha1, int64_t not_after)
{
	struct kept *k = outbox_find(o, name);

	if (k != NULL && k->bundle && k->gen == 0 &&
	    (strcmp(k->sha1, sha1) == 0 || not_after > k->not_after))
		drop(o, k);
}

size_t
outbox_unknown(const struct outbox *o)
{
	const struct kept *k;
	size_t n = 0;

	for (k = o != NULL ? o->names : NULL; k != NULL; k = k->hh.next)
		n += k->bundle && k->gen == 0;
	return n;
}

void
outbox_each(struct outbox *o, bool unknown, outbox_fn *fn, void *arg)
{
	struct kept *k, *next;
	struct buf bundle;
	struct err e;

	if (o == NULL)
		return;
	HASH_ITER (hh, o->names, k, next) {
		if (!k->bundle || (unknown && k->gen != 0))
			continue;
		buf_init(&bundle, OUTBOX_FILE_MAX);
		if (outbox_dir_get(
			o->dir, k->name, OUTBOX_BUNDLE, &bundle, &e) == -1)
			log_warn("outbox: %s", e.text);
		else
			fn(arg, k->name, bundle.p, bundle.len);
		buf_clear(&bundle);
	}
}

size_t
outbox_size(const struct outbox *o)
{
	return o != NULL ? HASH_COUNT(o->names) : 0;
}
