#include "sync/visits.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/table.h"
#include "haproxy/disk.h"
#include "haproxy/stick.h"
#include "sync/hold.h"
#include "sync/hot.h"
#include "sync/store_hot.h"

#define WRITE_ROUNDS 5   /* from one writing of the file to the next */
#define TALLY_MAX 200000 /* certificates of one round */
#define FIRST_DIVISOR 4  /* the first look is sooner */

/* Requests that one certificate was shown for, on all HAProxys. */
struct tally {
	UT_hash_handle hh;
	int64_t per_hour;
	char sha1[ANSWER_SHA1_MAX];
};

struct visits {
	struct event_base *base;
	const struct conf *conf;
	struct hold *hold;
	struct store *store;
	struct hot *hot;
	char *path;
	struct tally *tally;
	struct stick *stick; /* being read */
	size_t at;           /* its socket */
	unsigned int rounds; /* since the file was written */
	struct event *timer;
	bool told; /* that there is no table */
};

static void next(struct visits *);
static void look(void *);

/* --- the file ---------------------------------------------------------------- */

static void
load(struct visits *v)
{
	struct buf text;
	struct err e;

	if (access(v->path, F_OK) == -1)
		return;
	buf_init(&text, HOT_TEXT_MAX);
	if (disk_read(v->path, &text, &e) == -1 ||
	    hot_take(v->hot, text.p, loop_wall_ms(), loop_now_ms(), &e) == -1)
		log_warn("hot names of %s not taken: %s", v->path, e.text);
	else
		log_info("hot names=%zu from %s", hot_size(v->hot), v->path);
	buf_clear(&text);
}

static void
save(struct visits *v)
{
	struct buf text;
	struct err e;

	v->rounds = 0;
	if (hot_size(v->hot) == 0)
		return;
	buf_init(&text, HOT_TEXT_MAX);
	if (hot_dump(v->hot, loop_wall_ms(), &text) == 0 &&
	    disk_write(v->path, text.p, text.len, &e) == -1)
		log_warn("hot names not kept: %s", e.text);
	buf_clear(&text);
}

/* --- the other nodes ------------------------------------------------------------ */

static bool
is_on(const struct visits *v)
{
	return v->conf->haproxy.hot_ms > 0 &&
	       v->conf->haproxy.hot_table[0] != '\0';
}

static void
put(struct visits *v)
{
	struct buf text;

	if (store_old(v->store)[0] != '\0')
		return;
	buf_init(&text, HOT_TEXT_MAX);
	if (hot_dump(v->hot, loop_wall_ms(), &text) == 0)
		store_hot_put(v->store, text.p);
	buf_clear(&text);
}

/* What they know comes to what we know, and they get that when it is more. */
static void
got_theirs(void *arg, const char *text, const struct err *e)
{
	struct visits *v = arg;
	struct hot *theirs;
	struct err why;

	if (e != NULL) {
		log_debug("hot names of the fleet: %s", e->text);
		return;
	}
	theirs = hot_new(HOT_NAMES);
	if (text[0] != '\0' &&
	    hot_take(theirs, text, loop_wall_ms(), loop_now_ms(), &why) == -1)
		log_warn("hot names of the fleet: %s", why.text);
	else if (text[0] != '\0')
		(void)hot_take(
		    v->hot, text, loop_wall_ms(), loop_now_ms(), &why);
	if (hot_tells(v->hot, theirs))
		put(v);
	hot_free(theirs);
}

void
visits_meet(struct visits *v)
{
	if (is_on(v))
		store_hot(v->store, got_theirs, v);
}

/* --- a round: one HAProxy after the other -------------------------------------- */

static void
forget_tally(struct visits *v)
{
	struct tally *it, *following;

	HASH_ITER (hh, v->tally, it, following) {
		HASH_DEL(v->tally, it);
		free(it);
	}
}

static void
on_rate(void *arg, const char *sha1, int64_t per_hour)
{
	struct visits *v = arg;
	struct tally *t;

	HASH_FIND_STR(v->tally, sha1, t);
	if (t == NULL && HASH_COUNT(v->tally) < TALLY_MAX) {
		t = xcalloc(1, sizeof(*t));
		memcpy(t->sha1, sha1, sizeof(t->sha1));
		HASH_ADD_STR(v->tally, sha1, t);
	}
	if (t != NULL)
		t->per_hour += per_hour;
}

/* Once: it may well be meant so. */
static void
on_read(void *arg, const struct err *e)
{
	struct visits *v = arg;

	v->stick = NULL;
	if (e != NULL && e->kind == ERR_CONFIG && !v->told) {
		v->told = true;
		log_info("hot names are not known: %s", e->text);
	} else if (e != NULL) {
		log_debug("hot names: %s", e->text);
	}
	v->at++;
	next(v);
}

static void
count(void *arg, const char *name, const char *sha1)
{
	struct visits *v = arg;
	struct tally *t;

	HASH_FIND_STR(v->tally, sha1, t);
	if (t != NULL)
		hot_seen(v->hot, name, t->per_hour);
}

static void
end_round(struct visits *v)
{
	if (v->tally != NULL)
		hold_each(v->hold, count, v);
	forget_tally(v);
	hot_settle(v->hot, loop_now_ms());
	if (++v->rounds >= WRITE_ROUNDS) {
		save(v);
		visits_meet(v);
	}
	loop_after(v->base, &v->timer, v->conf->haproxy.hot_ms, look, v);
}

static void
next(struct visits *v)
{
	const struct conf *conf = v->conf;

	if (v->at == conf->haproxy.sockets.n) {
		end_round(v);
		return;
	}
	v->stick = stick_read(v->base, conf->haproxy.sockets.item[v->at],
	    conf->haproxy.hot_table, conf->haproxy.command_timeout_ms, on_rate,
	    on_read, v);
}

static void
look(void *arg)
{
	struct visits *v = arg;

	v->at = 0;
	next(v);
}

/* --- begin and end --------------------------------------------------------------- */

struct visits *
visits_new(struct event_base *base, const struct conf *conf, struct hold *hold,
    struct store *store)
{
	struct visits *v = xcalloc(1, sizeof(*v));

	v->base = base;
	v->conf = conf;
	v->hold = hold;
	v->store = store;
	v->hot = hot_new(HOT_NAMES);
	v->path = xasprintf("%s/hot", conf->state_dir);
	if (is_on(v)) {
		load(v);
		loop_after(base, &v->timer,
		    conf->haproxy.hot_ms / FIRST_DIVISOR, look, v);
	}
	hold_hot(hold, v->hot);
	return v;
}

void
visits_free(struct visits *v)
{
	if (v == NULL)
		return;
	hold_hot(v->hold, NULL);
	save(v);
	stick_cancel(v->stick);
	store_forget(v->store, v);
	forget_tally(v);
	loop_timer_free(&v->timer);
	hot_free(v->hot);
	free(v->path);
	free(v);
}
