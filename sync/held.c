/* One certificate of this node: its state, and what waits for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "haproxy/files.h"
#include "haproxy/handshake.h"
#include "sync/hold_impl.h"

#define ERROR_MAX 160

static void
tell(void *arg)
{
	struct hold *h = arg;

	h->fn(h->arg);
}

void
hold_changed(struct hold *h)
{
	loop_after(h->base, &h->changed, 0, tell, h);
}

static void
count(const struct held *x, int n)
{
	size_t *is = &x->hold->count[files_is_second(x->name)][x->state];

	*is += (size_t)n;
}

void
held_free(struct held *x)
{
	held_set_missing(x, false);
	x->hold->nunkept -= x->unkept;
	HASH_DELETE(hh, x->hold->names, x);
	held_set_state(x, HELD_FAILED);
	held_settle(x);
	count(x, -1);
	patrol_gone(x->hold->patrol, x);
	free(x->error);
	free(x->other);
	free(x->trial);
	if (x->handshake != NULL)
		handshake_cancel(x->handshake);
	loop_timer_free(&x->again);
	free(x);
}

struct held *
held_find(const struct hold *h, const char *name)
{
	struct held *x;

	HASH_FIND_STR(h->names, name, x);
	return x;
}

bool
held_is_default(const struct held *x)
{
	return strcmp(x->name, DEFAULT_NAME) == 0;
}

struct held *
held_new(struct hold *h, const char *name)
{
	size_t len = strlen(name);
	struct held *x = xcalloc(1, sizeof(*x) + len + 1);

	x->hold = h;
	x->state = HELD_FAILED; /* until it is pushed */
	memcpy(x->name, name, len + 1);
	count(x, 1);
	HASH_ADD_KEYPTR(hh, h->names, x->name, len, x);
	return x;
}

/* By the name in the path; one that is too long for a file's name is rare. */
struct held *
held_find_path(const struct hold *h, const char *path)
{
	char name[DOMAIN_NAME_MAX], its[FILES_PATH_MAX];
	struct held *x = NULL;

	if (files_name(path, name) == 0 && (x = held_find(h, name)) != NULL) {
		files_path(h->files, name, its);
		if (strcmp(its, path) == 0)
			return x;
	}
	for (x = h->names; x != NULL; x = x->hh.next) {
		files_path(h->files, x->name, its);
		if (strcmp(its, path) == 0)
			break;
	}
	return x;
}

/* --- what is under way holds back what counts as applied -------------------------- */

static bool
is_under_way(const struct held *x)
{
	return x->gen > 0 &&
	       (x->state == HELD_PUSHING || x->state == HELD_PROVING);
}

void
held_settle(struct held *x)
{
	struct hold *h = x->hold;
	struct held *it;

	if (!is_under_way(x))
		return;
	TAILQ_REMOVE(&h->under_way, x, under_way);
	if (!lowest_remove(&h->lowest[x->partition], x->gen))
		return;
	TAILQ_FOREACH (it, &h->under_way, under_way)
		if (it->partition == x->partition)
			lowest_add(&h->lowest[x->partition], it->gen);
}

void
held_unsettle(struct held *x)
{
	if (!is_under_way(x))
		return;
	TAILQ_INSERT_TAIL(&x->hold->under_way, x, under_way);
	lowest_add(&x->hold->lowest[x->partition], x->gen);
}

/* What is served is in the digest: in or out, at each change. */
static void
toggle(struct held *x)
{
	if (x->state == HELD_SERVED && !held_is_default(x) &&
	    !files_is_second(x->name))
		digest_toggle(&x->hold->served, x->name, x->sha1);
}

void
held_set_state(struct held *x, enum held_state state)
{
	held_settle(x);
	count(x, -1);
	toggle(x);
	x->state = state;
	toggle(x);
	count(x, 1);
	held_unsettle(x);
}

void
held_set_sha1(struct held *x, const char sha1[static 41])
{
	toggle(x);
	if (strcmp(x->sha1, sha1) != 0) {
		x->shown = false;
		x->served_at = 0;
		held_shows_other(x, NULL);
	}
	memcpy(x->sha1, sha1, sizeof(x->sha1));
	toggle(x);
}

void
held_shows_other(struct held *x, const char *sha1)
{
	free(x->other);
	x->other = sha1 != NULL ? xstrdup(sha1) : NULL;
	if (sha1 != NULL)
		x->served_at = 0;
}

void
held_set_error(struct held *x, const char *text)
{
	free(x->error);
	x->error =
	    text != NULL ? xmemdup0(text, strnlen(text, ERROR_MAX)) : NULL;
}

void
held_failed(struct held *x, const struct err *e)
{
	if (x->error == NULL || strncmp(x->error, e->text, ERROR_MAX) != 0)
		log_error("domain=%s version=%lld not served: %s", x->name,
		    (long long)x->version, e->text);
	held_set_error(x, e->text);
	held_set_state(x, HELD_FAILED);
	hold_changed(x->hold);
}

void
held_set_unkept(struct held *x, const struct err *why)
{
	struct hold *h = x->hold;
	bool unkept = why->kind != ERR_NONE;

	if (unkept)
		snprintf(
		    h->unkept_why, sizeof(h->unkept_why), "%.150s", why->text);
	if (x->unkept == unkept)
		return;
	if (unkept)
		log_error("domain=%s version=%lld served, but not kept: %s",
		    x->name, (long long)x->version, why->text);
	else
		log_info("domain=%s version=%lld kept", x->name,
		    (long long)x->version);
	x->unkept = unkept;
	if (unkept)
		h->nunkept++;
	else
		h->nunkept--;
	hold_changed(h);
}

void
held_served(struct held *x)
{
	if (x->state != HELD_SERVED && !x->proven_before) {
		fault_point("F17");
		log_info("domain=%s version=%lld served sha1=%s", x->name,
		    (long long)x->version, x->sha1);
	}
	if (x->served_at == 0)
		x->served_at = loop_wall_ms();
	held_shows_other(x, NULL);
	held_set_state(x, HELD_SERVED);
	held_set_error(x, NULL);
	hold_changed(x->hold);
}
