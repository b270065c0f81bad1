#include "agent/lookup.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agent/keyauth.h"
#include "agent/memory.h"
#include "agent/thumbprint.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds.h"
#include "common/rds_setup.h"
#include "common/redis_keys.h"

#define SPARE_MAX 256

/* A NOTIFY that waits for a flight. */
struct lookup_wait {
	TAILQ_ENTRY(lookup_wait) next; /* of the flight */
	LIST_ENTRY(lookup_wait) other; /* of the asker */
	struct lookup_asker *asker;
	struct flight *flight;
	struct session_notify notify;
};

/*
 * One GET on its way: made with an entry in ASKED, ends with its reply.  Most
 * have one who waits, so there is room for that in it.
 */
struct flight {
	SLIST_ENTRY(flight) spare;
	struct lookup *lookup;
	struct memory_entry *entry;
	TAILQ_HEAD(, lookup_wait) waits;
	struct lookup_wait first; /* asker is NULL: not in use */
	uint64_t id;              /* of the command */
	bool withdrawn; /* while we asked: what comes may be too old to keep */
};

struct lookup {
	const struct conf *conf;
	struct rds_setup redis;
	struct rds *rds;
	struct rds_sub *sub;
	struct memory memory;
	struct lookup_counts counts;
	SLIST_HEAD(, flight) spare; /* at most SPARE_MAX, to be used again */
	unsigned int nspare;
	int64_t warned_at;
	char thumbprint[THUMBPRINT_LEN + 1]; /* "": not known */
	char keyauth[KEYAUTH_MAX];           /* of a stateless answer */
	char channel[KEY_MAX];
	/* Made anew for each question, but too large for a stack frame. */
	struct rds_cmd cmd;
	char key[KEY_MAX]; /* its argument: key_len bytes stay */
	size_t key_len;
};

static void on_state(void *, bool up, const struct err *);
static void on_sub_state(void *, bool up, const struct err *);
static void on_news(void *, const char *channel, const char *, size_t);
static void on_reply(void *, const struct rds_reply *, const struct err *);

struct lookup *
lookup_new(struct event_base *base, const struct conf *conf)
{
	struct lookup *l = xcalloc(1, sizeof(*l));
	struct memory_conf memory = {
		.asked_max = (unsigned int)conf->agent.max_waiting,
		.found_max = (unsigned int)conf->agent.cache_max,
		.none_ttl_ms = conf->agent.negative_ttl_ms,
	};
	const char *channels[] = { l->channel };
	struct err e = { 0 };

	if (getrandom(memory.secret, sizeof(memory.secret), 0) == -1)
		abort();
	memory_init(&l->memory, &memory);
	l->conf = conf;
	l->warned_at = INT64_MIN / 2;
	l->key_len = (size_t)snprintf(
	    l->key, sizeof(l->key), KEY_CHALLENGE, conf->redis.prefix, "");
	snprintf(l->channel, sizeof(l->channel), CHANNEL_CHALLENGES,
	    conf->redis.prefix);
	if (conf->agent.stateless_fallback &&
	    thumbprint_load(conf->state_dir, l->thumbprint, &e) == -1)
		log_warn("%s", e.text);
	rds_setup_init(&l->redis, base, conf, "certfleet-agent", false);
	l->rds = rds_new(base, &l->redis.conf, on_state, l);
	l->sub = rds_sub_new(
	    base, &l->redis.conf, channels, 1, on_news, on_sub_state, l);
	return l;
}

static void
free_wait(struct lookup_wait *w)
{
	TAILQ_REMOVE(&w->flight->waits, w, next);
	LIST_REMOVE(w, other);
	if (w == &w->flight->first)
		w->asker = NULL;
	else
		free(w);
}

static void
free_flight(struct flight *f)
{
	struct lookup *l = f->lookup;

	while (!TAILQ_EMPTY(&f->waits))
		free_wait(TAILQ_FIRST(&f->waits));
	if (l->nspare == SPARE_MAX) {
		free(f);
		return;
	}
	SLIST_INSERT_HEAD(&l->spare, f, spare);
	l->nspare++;
}

static struct flight *
new_flight(struct lookup *l)
{
	struct flight *f = SLIST_FIRST(&l->spare);

	if (f == NULL)
		return xmalloc(sizeof(*f));
	SLIST_REMOVE_HEAD(&l->spare, spare);
	l->nspare--;
	return f;
}

void
lookup_free(struct lookup *l)
{
	struct memory_entry *e;
	struct flight *f;

	if (l == NULL)
		return;
	rds_sub_free(l->sub);
	rds_free(l->rds);
	rds_setup_clear(&l->redis);
	TAILQ_FOREACH (e, &l->memory.list[MEMORY_ASKED], next)
		free_flight(e->asked);
	while ((f = SLIST_FIRST(&l->spare)) != NULL) {
		SLIST_REMOVE_HEAD(&l->spare, spare);
		free(f);
	}
	memory_clear(&l->memory);
	free(l);
}

static void
wait_for(struct flight *f, struct lookup_asker *asker,
    const struct session_notify *n)
{
	struct lookup_wait *w =
	    f->first.asker == NULL ? &f->first : xmalloc(sizeof(*w));

	w->asker = asker;
	w->flight = f;
	w->notify = *n;
	TAILQ_INSERT_TAIL(&f->waits, w, next);
	LIST_INSERT_HEAD(&asker->waits, w, other);
}

/* What can be said when nobody can be asked. */
static void
give_up(struct lookup *l, const char *token, size_t token_len, struct answer *a)
{
	if (l->conf->agent.stateless_fallback && l->thumbprint[0] != '\0') {
		l->counts.stateless++;
		a->kind = ANSWER_FOUND;
		a->keyauth = l->keyauth;
		a->keyauth_len =
		    keyauth_make(l->keyauth, token, token_len, l->thumbprint);
		return;
	}
	l->counts.errors++;
	a->kind = ANSWER_ERROR;
}

static struct flight *
take_off(struct lookup *l, struct memory_entry *e)
{
	struct flight *f = new_flight(l);

	f->lookup = l;
	f->entry = e;
	f->withdrawn = false;
	f->first.asker = NULL;
	TAILQ_INIT(&f->waits);
	e->asked = f;
	memcpy(l->key + l->key_len, e->text, e->token_len);
	rds_cmd(&l->cmd, "GET");
	rds_arg_mem(&l->cmd, l->key, l->key_len + e->token_len);
	f->id = rds_send(
	    l->rds, &l->cmd, l->conf->agent.redis_timeout_ms, on_reply, f);
	l->counts.redis++;
	return f;
}

void
lookup_ask(struct lookup *l, struct lookup_asker *asker,
    const struct session_notify *n, struct spop_str token, int64_t now_ms,
    struct answer *a)
{
	struct memory_entry *e =
	    memory_find(&l->memory, token.ptr, token.len, now_ms);

	if (e == NULL) {
		e = memory_ask(&l->memory, token.ptr, token.len);
		if (e == NULL) {
			give_up(l, token.ptr, token.len, a);
			return;
		}
		take_off(l, e);
	}
	switch ((enum memory_state)e->state) {
	case MEMORY_FOUND:
		l->counts.memory++;
		a->kind = ANSWER_FOUND;
		a->keyauth = e->text;
		a->keyauth_len = memory_keyauth_len(e);
		break;
	case MEMORY_NONE:
		l->counts.memory++;
		a->kind = ANSWER_NONE;
		break;
	case MEMORY_ASKED:
		a->kind = ANSWER_LATER;
		wait_for(e->asked, asker, n);
		break;
	case MEMORY_STATES:
		break;
	}
}

void
lookup_forget(struct lookup *l, struct lookup_asker *asker)
{
	(void)l;
	while (!LIST_EMPTY(&asker->waits))
		free_wait(LIST_FIRST(&asker->waits));
}

bool
lookup_redis_up(const struct lookup *l)
{
	return rds_up(l->rds);
}

unsigned int
lookup_waiting(const struct lookup *l)
{
	return l->memory.n[MEMORY_ASKED];
}

const struct lookup_counts *
lookup_counts(const struct lookup *l)
{
	return &l->counts;
}

/* Tell all who wait; the flight is over and its entry is no longer ASKED. */
static void
land(struct flight *f, const struct answer *a)
{
	struct lookup_wait *w;

	TAILQ_FOREACH (w, &f->waits, next)
		w->asker->answered(w->asker, &w->notify, a);
	free_flight(f);
}

static void
warn_nonsense(struct lookup *l, const char *where)
{
	int64_t now = loop_now_ms();

	if (now - l->warned_at < 1000)
		return;
	l->warned_at = now;
	log_warn("%s holds something else than a key authorization; it is "
		 "not used",
	    where);
}

static void
on_reply(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct flight *f = arg;
	struct lookup *l = f->lookup;
	struct memory_entry *m = f->entry;
	struct answer a = { .kind = ANSWER_NONE };

	if (e != NULL) {
		log_debug("no answer from Redis: %s", e->text);
		give_up(l, m->text, m->token_len, &a);
	} else if (r->type == RDS_STRING &&
		   keyauth_is_for(r->str, r->len, m->text, m->token_len)) {
		a.kind = ANSWER_FOUND;
		a.keyauth = r->str;
		a.keyauth_len = r->len;
	} else if (r->type != RDS_NIL) {
		warn_nonsense(l, "a challenge's key");
	}
	if (e != NULL || f->withdrawn)
		memory_drop(&l->memory, m);
	else
		memory_set(&l->memory, m, a.keyauth, loop_now_ms());
	land(f, &a);
}

/* A challenge is published: those who wait for it wait no longer. */
static void
published(struct lookup *l, const struct keyauth_news *news)
{
	int64_t now = loop_now_ms();
	struct memory_entry *e =
	    memory_find(&l->memory, news->token, news->token_len, now);
	struct answer a = { ANSWER_FOUND, news->keyauth, news->keyauth_len };
	struct flight *f;

	if (e == NULL) {
		memory_put(&l->memory, news->token, news->token_len,
		    news->keyauth, now);
		return;
	}
	f = e->state == MEMORY_ASKED ? e->asked : NULL;
	memory_set(&l->memory, e, news->keyauth, now);
	if (f != NULL) {
		rds_cancel(l->rds, f->id);
		land(f, &a);
	}
}

static void
withdrawn(struct lookup *l, const struct keyauth_news *news)
{
	struct memory_entry *e = memory_find(
	    &l->memory, news->token, news->token_len, loop_now_ms());
	struct flight *f;

	if (e == NULL)
		return;
	if (e->state == MEMORY_ASKED) {
		f = e->asked;
		f->withdrawn = true;
	} else {
		memory_drop(&l->memory, e);
	}
}

static void
learn_thumbprint(struct lookup *l, const char *thumbprint)
{
	struct err e = { 0 };

	if (!l->conf->agent.stateless_fallback ||
	    memcmp(l->thumbprint, thumbprint, THUMBPRINT_LEN) == 0)
		return;
	memcpy(l->thumbprint, thumbprint, THUMBPRINT_LEN);
	if (thumbprint_save(l->conf->state_dir, l->thumbprint, &e) == -1)
		log_error("%s", e.text);
	log_info("thumbprint=%s", l->thumbprint);
}

static void
on_news(void *arg, const char *channel, const char *text, size_t len)
{
	struct lookup *l = arg;
	struct keyauth_news news;

	keyauth_read_news(&news, text, len);
	switch (news.kind) {
	case KEYAUTH_PUBLISHED:
		published(l, &news);
		break;
	case KEYAUTH_WITHDRAWN:
		withdrawn(l, &news);
		break;
	case KEYAUTH_THUMBPRINT:
		learn_thumbprint(l, news.thumbprint);
		break;
	case KEYAUTH_NONSENSE:
		warn_nonsense(l, channel);
		break;
	}
}

static void
on_thumbprint(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct lookup *l = arg;

	if (e != NULL)
		log_warn(
		    "the account's thumbprint cannot be read: %s", e->text);
	else if (r->type == RDS_STRING && keyauth_is_thumbprint(r->str, r->len))
		learn_thumbprint(l, r->str);
	else if (r->type != RDS_NIL)
		warn_nonsense(l, "the thumbprint's key");
}

static void
on_state(void *arg, bool up, const struct err *why)
{
	struct lookup *l = arg;
	char key[KEY_MAX];

	if (!up) {
		log_warn("redis=down memory=%u %s", l->memory.n[MEMORY_FOUND],
		    why != NULL ? why->text : "");
		return;
	}
	log_info("redis=up memory=%u", l->memory.n[MEMORY_FOUND]);
	if (!l->conf->agent.stateless_fallback)
		return;
	snprintf(key, sizeof(key), KEY_THUMBPRINT, l->conf->redis.prefix);
	rds_cmd(&l->cmd, "GET");
	rds_arg(&l->cmd, key);
	rds_send(l->rds, &l->cmd, 0, on_thumbprint, l);
}

/* While we did not listen, what was not there may have been published. */
static void
on_sub_state(void *arg, bool up, const struct err *why)
{
	struct lookup *l = arg;

	if (up)
		memory_drop_none(&l->memory);
	log_debug("subscription=%s %s", up ? "up" : "down",
	    why != NULL ? why->text : "");
}
