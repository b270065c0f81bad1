#include "haproxy/push.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "haproxy/push_state.h"
#include "haproxy/runtime.h"

#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 30000
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 5000
#define WEDGED_AFTER_MS 2000
#define FRESH_MS 10000 /* a new process is at least so long at full speed */
#define BURST_MS 100   /* of unused budget that paced changes may save up */

static void run(void *arg);
static void forget(struct push *, struct cert *);

struct push *
push_new(struct event_base *base, const struct push_conf *conf,
    push_done_fn *done, push_process_fn *process, void *arg)
{
	struct push *p = xcalloc(1, sizeof(*p));

	p->magic = PUSH_MAGIC;
	p->base = base;
	p->conf = *conf;
	p->done = done;
	p->process = process;
	p->arg = arg;
	push_queues(p);
	push_wake(p, 0);
	return p;
}

void
push_free(struct push *p)
{
	struct cert *it, *next;

	if (p == NULL)
		return;
	assert(p->magic == PUSH_MAGIC);
	push_talk_end(p);
	HASH_ITER (hh, p->certs, it, next)
		forget(p, it);
	heap_clear(&p->ready);
	loop_timer_free(&p->timer);
	free(p->dir);
	p->magic = 0;
	free(p);
}

struct cert *
push_find(const struct push *p, const char *path)
{
	struct cert *c;

	HASH_FIND_STR(p->certs, path, c);
	return c;
}

struct cert *
push_add(struct push *p, const char *path, const char *filter)
{
	size_t len = strlen(path), room = len + 1 + strlen(filter) + 1;
	struct cert *c = xcalloc(1, sizeof(*c) + room);

	memcpy(c->path, path, len);
	c->filter = c->path + len + 1;
	memcpy(c->filter, filter, strlen(filter) + 1);
	HASH_ADD_KEYPTR(hh, p->certs, c->path, len, c);
	return c;
}

static void
free_filter(struct cert *c)
{
	if (c->filter != c->path + strlen(c->path) + 1)
		free(c->filter);
}

static void
forget(struct push *p, struct cert *c)
{
	push_enqueue(p, c, NULL);
	HASH_DEL(p->certs, c);
	free_filter(c);
	free(c);
}

struct deploy_want
push_want_of(const struct push *p, const struct cert *c)
{
	return (struct deploy_want){ .name = c->path,
		.list = p->conf.crt_list,
		.filter = c->filter,
		.sha1 = c->sha1 };
}

/* A transaction that a predecessor of ours left behind is in our directory. */
bool
push_is_ours(const struct push *p, const char *name)
{
	return push_find(p, name) != NULL ||
	       (p->dir != NULL && str_has_prefix(name, p->dir));
}

/* Not at once: done() must not be called from within push_want(). */
static void
check(struct push *p, struct cert *c)
{
	if (c->queue != &p->look)
		push_enqueue(p, c, &p->check);
	push_wake(p, 0);
}

void
push_want(
    struct push *p, const char *path, const char *sha1, const char *filter)
{
	struct cert *c = push_find(p, path);
	const char *slash = strrchr(path, '/');
	struct err e = { 0 };

	if (p->dir == NULL && slash != NULL)
		p->dir = xmemdup0(path, (size_t)(slash + 1 - path));
	if (c == NULL)
		c = push_add(p, path, filter);
	c->stray = false;
	c->refused = false;
	c->reported = false; /* who wants it again hears of it again */
	if (strcmp(c->filter, filter) != 0) {
		free_filter(c);
		c->filter = xstrdup(filter);
		/* Which entries have the right filter must be seen again. */
		c->have.unsure = true;
	}
	if (strcmp(c->sha1, sha1) != 0) {
		/* What is no fingerprint is never served, and shows as such. */
		if (str_copy(c->sha1, sizeof(c->sha1), sha1, &e) == -1)
			str_copy(c->sha1, sizeof(c->sha1), "?", &e);
		c->attempts = 0;
	}
	check(p, c);
}

void
push_unwant(struct push *p, const char *path)
{
	struct cert *c = push_find(p, path);

	if (c == NULL)
		return;
	c->sha1[0] = '\0';
	c->served = false;
	c->attempts = 0;
	c->stray = false;
	check(p, c);
}

void
push_prune(struct push *p)
{
	struct cert *it, *next;

	p->pruning = true;
	HASH_ITER (hh, p->certs, it, next)
		if (it->stray)
			check(p, it);
}

static void
prove(struct push *p, struct cert *c)
{
	c->served = true;
	c->attempts = 0;
	push_enqueue(p, c, NULL);
	if (c->reported)
		return;
	c->reported = true;
	p->done(p->arg, c->path, c->sha1, NULL);
}

/* Put it where it belongs by what is wanted and what HAProxy has. */
void
push_classify(struct push *p, struct cert *c)
{
	struct deploy_want want = push_want_of(p, c);
	struct deploy_plan plan;

	if (c->busy || !p->compared || c->queue != NULL)
		return;
	if (c->have.unsure) {
		p->need_list = true;
		return;
	}
	if (c->sha1[0] != '\0' && c->have.store && c->have.sha1[0] == '\0' &&
	    !c->looked) {
		push_enqueue(p, c, &p->look);
		return;
	}
	deploy_plan(&c->have, &want, &plan);
	if (plan.nsteps > 0) {
		c->served = false;
		if (!c->refused && (!c->stray || p->pruning))
			push_make_ready(p, c);
	} else if (c->sha1[0] != '\0') {
		prove(p, c);
	} else {
		forget(p, c);
	}
}

const char *
push_served(const struct push *p, const char *path)
{
	const struct cert *c = push_find(p, path);

	return c != NULL && c->served ? c->have.sha1 : "";
}

void
push_note(struct push *p, const struct err *e)
{
	struct err ignored;

	str_copy(p->error, sizeof(p->error), e->text, &ignored);
}

/* An attempt came to nothing: say so, and try again unless it is no use. */
void
push_failed(struct push *p, struct cert *c, const struct err *e)
{
	int64_t ms = RETRY_FIRST_MS;
	unsigned int i;

	for (i = 0; i < c->attempts && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	c->attempts++;
	c->retry_at = loop_now_ms() + ms + loop_random((uint32_t)ms / 4 + 1);
	c->refused = e->kind == ERR_REFUSED;
	push_enqueue(p, c, c->refused ? NULL : &p->later);
	push_note(p, e);
	if (c->sha1[0] != '\0')
		p->done(p->arg, c->path, c->sha1, e);
	else
		log_warn("haproxy_pid=%d remove: %s", p->info.pid, e->text);
}

void
push_pause(struct push *p)
{
	p->pause_ms = p->pause_ms == 0 ? PAUSE_FIRST_MS : p->pause_ms * 2;
	if (p->pause_ms > PAUSE_MAX_MS)
		p->pause_ms = PAUSE_MAX_MS;
	p->pause_until = loop_now_ms() + p->pause_ms;
}

/*
 * Somebody else may be at the certificates for a moment.  HAProxy 3.4 loses
 * the lock for good when two clients meet, and only a new process has one.
 */
void
push_locked(struct push *p)
{
	int64_t now = loop_now_ms();
	struct err e = { 0 };

	if (p->locked_since == 0)
		p->locked_since = now;
	push_pause(p);
	err_set(&e, ERR_AGAIN,
	    "HAProxy's certificates are locked by another client of %s",
	    p->conf.socket);
	if (now - p->locked_since > WEDGED_AFTER_MS) {
		err_set(&e, ERR_CONFIG,
		    "HAProxy (pid %d, version %s) keeps its certificates "
		    "locked: only a reload of HAProxy helps",
		    p->info.pid, p->info.version);
		if (!p->wedged)
			log_error("%s", e.text);
		p->wedged = true;
	}
	push_note(p, &e);
}

void
push_unlocked(struct push *p)
{
	if (p->wedged)
		log_info("haproxy_pid=%d certificates=unlocked", p->info.pid);
	p->locked_since = p->pause_ms = p->pause_until = 0;
	p->wedged = p->busy_told = false;
}

void
push_wake(struct push *p, int64_t after_ms)
{
	loop_after(p->base, &p->timer, after_ms, run, p);
}

/* What was asked for since, and what has waited long enough. */
static void
revive(struct push *p, int64_t now)
{
	struct cert *c, *next;

	while ((c = TAILQ_FIRST(&p->check)) != NULL) {
		push_enqueue(p, c, NULL);
		push_classify(p, c);
	}
	for (c = TAILQ_FIRST(&p->later); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->retry_at > now)
			continue;
		push_enqueue(p, c, NULL);
		push_classify(p, c);
	}
}

static int64_t
least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* How many certificates may be changed now; none: *at says when. */
static unsigned int
budget(struct push *p, int64_t now, int64_t *at)
{
	if (p->fresh || p->conf.per_s == 0)
		return PUSH_CHANGES;
	if (p->change_at < now - BURST_MS)
		p->change_at = now - BURST_MS;
	if (p->change_at > now) {
		*at = least(*at, p->change_at);
		return 0;
	}
	p->change_at += 1000 / p->conf.per_s;
	return 1;
}

/* Changes and looks wait while the certificates are not to be touched. */
static bool
work(struct push *p, int64_t now, int64_t *at)
{
	unsigned int n;

	if (p->pause_until > now) {
		*at = least(*at, p->pause_until);
		return false;
	}
	if (p->need_list) {
		push_list(p);
	} else if (!TAILQ_EMPTY(&p->look)) {
		push_look(p);
	} else if (p->ready.n > 0) {
		n = budget(p, now, at);
		if (n > 0)
			push_change(p, n);
	} else if (now - p->compared_at > FRESH_MS) {
		p->fresh = false;
	}
	return p->runtime != NULL;
}

/* One conversation at a time: the next step, or sleep until there is one. */
static void
run(void *arg)
{
	struct push *p = arg;
	int64_t now = loop_now_ms(), at = p->poll_at;
	struct cert *c;

	assert(p->magic == PUSH_MAGIC);
	if (p->runtime != NULL)
		return;
	if (p->poll_at <= now) {
		push_poll(p);
		return;
	}
	revive(p, now);
	if (p->up && work(p, now, &at))
		return;
	TAILQ_FOREACH (c, &p->later, link)
		at = least(at, c->retry_at);
	push_wake(p, at > now ? at - now : 0);
}

void
push_status(const struct push *p, struct push_status *s)
{
	const struct cert *it, *next;
	struct err ignored;

	*s = (struct push_status){ .up = p->up,
		.wedged = p->wedged,
		.pid = p->info.pid,
		.started_at = p->info.started_at };
	str_copy(s->version, sizeof(s->version), p->info.version, &ignored);
	for (it = p->certs; it != NULL; it = next) {
		next = it->hh.next;
		if (it->sha1[0] != '\0')
			s->wanted++;
		if (it->sha1[0] != '\0' && it->served)
			s->served++;
	}
	s->waiting = s->wanted - s->served;
	if (!p->up || p->wedged || s->waiting > 0)
		str_copy(s->error, sizeof(s->error), p->error, &ignored);
}
