#include "sync/hold.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "haproxy/files.h"
#include "sync/cert.h"
#include "sync/hold_impl.h"
#include "sync/keep.h"
#include "sync/skew.h"

#define LIST_FIRST_MS 50       /* a change of the crt-list waits for others */
#define LIST_PAUSES 50         /* times what writing it took, in between */
#define LIST_PAUSE_MAX_MS 2000 /* it may have been the disk, that once */
#define LIST_AGAIN_MS 10000

static void write_crt_list(void *);

struct hold *
hold_new(struct event_base *base, const struct conf *conf,
    const struct seal_ring *ring, const struct skew *skew, struct files *files,
    struct worker *worker, hold_fn *fn, void *arg)
{
	struct hold *h = xcalloc(1, sizeof(*h));

	h->base = base;
	h->conf = conf;
	h->ring = ring;
	h->skew = skew;
	h->files = files;
	h->fn = fn;
	h->arg = arg;
	TAILQ_INIT(&h->under_way);
	TAILQ_INIT(&h->landings);
	h->worker = worker;
	h->patrol = patrol_new(h);
	for (size_t i = 0; i < conf->haproxy.sockets.n && i < TARGETS_MAX;
	     i++) {
		struct target *t = &h->target[h->ntargets];

		t->hold = h;
		t->number = h->ntargets++;
		t->conf = (struct push_conf){
			.socket = conf->haproxy.sockets.item[i],
			.crt_list = conf->haproxy.crt_list,
			.bufsize = conf->haproxy.bufsize,
			.poll_ms = conf->haproxy.poll_ms,
			.per_s = conf->haproxy.push_per_s,
			.command_timeout_ms = conf->haproxy.command_timeout_ms,
			.heat = hold_heat,
		};
		t->push = push_new(
		    base, &t->conf, hold_on_pushed, hold_on_process, t);
	}
	return h;
}

void
hold_free(struct hold *h)
{
	struct held *x, *next;

	if (h == NULL)
		return;
	hold_forget_all(h);
	for (unsigned int i = 0; i < h->ntargets; i++)
		push_free(h->target[i].push);
	HASH_ITER (hh, h->names, x, next)
		held_free(x);
	patrol_free(h->patrol);
	loop_timer_free(&h->changed);
	if (h->writing)
		write_crt_list(h);
	loop_timer_free(&h->sync);
	free(h);
}

/* --- writing the crt-list ----------------------------------------------------------- */

/*
 * HAProxy reads the list at its start only.  A new name should be in it before
 * visitors are shown its certificate, or they see the default one when HAProxy
 * starts just then; of many that come at once the list may be late, as we compare
 * soon after a start.  A long one is written so seldom that little time goes into
 * it.
 */
static void
write_crt_list(void *arg)
{
	struct hold *h = arg;
	int64_t began = loop_now_ms(), pause;
	struct err e;

	h->writing = false;
	if (files_sync(h->files, &e) == -1) {
		log_error("crt-list: %s", e.text);
		h->writing = true;
		loop_after(h->base, &h->sync, LIST_AGAIN_MS, write_crt_list, h);
	}
	pause = (loop_now_ms() - began) * LIST_PAUSES;
	if (pause > LIST_PAUSE_MAX_MS)
		pause = LIST_PAUSE_MAX_MS;
	h->list_at = loop_now_ms() + pause;
}

void
hold_want_crt_list(struct hold *h, bool first)
{
	int64_t wait = h->list_at - loop_now_ms();

	if (first && wait <= 0) {
		loop_cancel(h->sync);
		write_crt_list(h);
		return;
	}
	if (h->writing)
		return;
	h->writing = true;
	loop_after(h->base, &h->sync,
	    wait > LIST_FIRST_MS ? wait : LIST_FIRST_MS, write_crt_list, h);
}

/* --- from a bundle ---------------------------------------------------------------- */

/* The end that a new one must reach: none where its owner chose it since. */
static int64_t
least_not_after(const struct held *x, const struct hold_entry *entry)
{
	const struct trial *trial = x->trial;
	const char *sha1 = trial != NULL ? trial->before : x->sha1;

	if (sha1[0] == '\0' || entry->since > x->since)
		return 0;
	return trial != NULL ? trial->not_after : x->not_after;
}

/* The files of a second one are the first one's business. */
static void
drop_second(struct hold *h, const char *name)
{
	char its[FILES_NAME_MAX];
	struct held *x;

	files_second(name, its);
	x = held_find(h, its);
	if (x == NULL)
		return;
	held_unwant(x);
	held_free(x);
}

void
hold_take_second(struct hold *h, const char *name, const struct cert *cert,
    const struct hold_entry *entry)
{
	char its[FILES_NAME_MAX];
	struct held *x;

	if (cert->chain == NULL) {
		drop_second(h, name);
		return;
	}
	files_second(name, its);
	x = held_find(h, its);
	if (x == NULL)
		x = held_new(h, its);
	held_settle(x);
	x->version = entry->version;
	x->partition = (uint8_t)entry->partition;
	x->gen = entry->gen;
	held_unsettle(x);
	held_set_sha1(x, cert->sha1);
	x->not_after = cert->not_after;
	x->proven_before = false;
	held_push(x);
}

void
hold_land(struct hold *h, const char *name, const void *bundle, size_t len,
    const struct hold_entry *entry, struct stage *staged)
{
	struct held *x = held_find(h, name);
	struct cert cert = { 0 }, second = { 0 };
	struct err unkept, e = { 0 };

	if (x == NULL)
		x = held_new(h, name);
	x->version = entry->version;
	held_settle(x);
	x->partition = (uint8_t)entry->partition;
	x->gen = entry->gen;
	held_unsettle(x);
	if (skew_implausible(h->skew, loop_wall_ms(), loop_now_ms())) {
		/* Its dates cannot be judged; the index is read again soon. */
		err_set(&e, ERR_AGAIN,
		    "the clock of this node is wrong: nothing is replaced");
		held_failed(x, &e);
	} else if (entry->since < x->since) {
		err_set(&e, ERR_REFUSED,
		    "Redis offers what was served before the owner's last "
		    "choice: an older state is not taken");
		held_failed(x, &e);
	} else if (keep_bundle(h->ring, h->files, name,
		       least_not_after(x, entry), bundle, len, staged, &cert,
		       &second, &unkept, &e) == -1) {
		held_failed(x, &e);
	} else {
		/* A HAProxy that starts now has it from its files. */
		fault_point("F15");
		hold_want_crt_list(h, x->sha1[0] == '\0');
		x->since = entry->since;
		free(x->trial);
		x->trial = NULL;
		held_set_sha1(x, cert.sha1);
		held_set_missing(x, false);
		held_set_unkept(x, &unkept);
		x->not_after = cert.not_after;
		x->proven_before = false;
		held_push(x);
		hold_take_second(h, name, &second, entry);
	}
	cert_clear(&cert);
	cert_clear(&second);
}

void
hold_drop(struct hold *h, const char *name)
{
	struct held *x = held_find(h, name);
	struct err e;

	if (x == NULL)
		return;
	log_info("domain=%s removed", name);
	drop_second(h, name);
	held_unwant(x);
	if (files_remove(h->files, name, &e) == -1)
		log_error("domain=%s files: %s", name, e.text);
	held_free(x);
	hold_changed(h);
}

void
hold_default(struct hold *h, const struct cert *cert, const char *key_pem)
{
	struct held *x = held_find(h, DEFAULT_NAME);
	char *pem = cert_pem(cert, key_pem);
	struct err e;

	if (x == NULL)
		x = held_new(h, DEFAULT_NAME);
	held_set_sha1(x, cert->sha1);
	x->not_after = cert->not_after;
	if (files_put_default(h->files, pem, &e) == -1)
		held_failed(x, &e);
	else
		held_push(x);
	mem_wipe_free(pem);
}

/* --- at start ----------------------------------------------------------------------- */

/* It was proven before it came to the disk; HAProxy has yet to show it. */
static void
adopt(void *arg, const char *name, const struct cert *cert)
{
	struct hold *h = arg;
	struct held *x = held_new(h, name);

	held_set_sha1(x, cert->sha1);
	x->not_after = cert->not_after;
	x->proven_before = true;
	held_push(x);
}

int
hold_load(struct hold *h, struct err *e)
{
	return keep_load(h->ring, h->files, adopt, h, e);
}

void
hold_prune(struct hold *h)
{
	for (unsigned int i = 0; i < h->ntargets; i++)
		push_prune(h->target[i].push);
}
