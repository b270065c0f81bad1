#include "sync/trials.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/hold.h"
#include "sync/store.h"
#include "sync/store_canary.h"

#define WHY_MAX 160
#define TRIALS_MAX 1024 /* at the same time; the others wait for a look */

/* One that we have to prove; or it is over, and the index is asked. */
struct trial_of {
	LIST_ENTRY(trial_of) link;
	struct trials *trials;
	int partition;
	int64_t since;
	char sha1[41];
	bool custom; /* the owner's own */
	bool seen;   /* in the list that is being read */
	bool over;   /* no longer in the list */
	bool taken;  /* its bundle is in hold */
	int result;  /* as hold_trial() */
	bool told;
	char why[WHY_MAX];
	char name[];
};

struct trials {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct hold *hold;
	trials_news_fn *news;
	trials_over_fn *over;
	void *arg;
	LIST_HEAD(, trial_of) list;
	size_t n;
	LIST_HEAD(, look) looks;
};

/* A partition's list on its way. */
struct look {
	LIST_ENTRY(look) link;
	struct trials *trials;
	int partition;
};

struct trials *
trials_new(struct event_base *base, const struct conf *conf,
    struct store *store, struct hold *hold, trials_news_fn *news,
    trials_over_fn *over, void *arg)
{
	struct trials *t = xcalloc(1, sizeof(*t));

	t->base = base;
	t->conf = conf;
	t->store = store;
	t->hold = hold;
	t->news = news;
	t->over = over;
	t->arg = arg;
	LIST_INIT(&t->list);
	LIST_INIT(&t->looks);
	return t;
}

static void
trial_free(struct trial_of *x)
{
	LIST_REMOVE(x, link);
	x->trials->n--;
	store_forget(x->trials->store, x);
	free(x);
}

static void
look_free(struct look *l)
{
	LIST_REMOVE(l, link);
	store_forget(l->trials->store, l);
	free(l);
}

void
trials_free(struct trials *t)
{
	if (t == NULL)
		return;
	while (!LIST_EMPTY(&t->list))
		trial_free(LIST_FIRST(&t->list));
	while (!LIST_EMPTY(&t->looks))
		look_free(LIST_FIRST(&t->looks));
	free(t);
}

/* --- a trial begins, and ends --------------------------------------------------- */

static void
got_next(void *arg, const void *bundle, size_t len, const struct err *e)
{
	struct trial_of *x = arg;

	if (x->over)
		return;
	if (e != NULL || bundle == NULL) {
		/* The next look begins it again. */
		log_warn("domain=%s canary: %s", x->name,
		    e != NULL ? e->text : "the bundle is not there");
		trial_free(x);
		return;
	}
	x->taken = true;
	hold_try(x->trials->hold, x->name, bundle, len, x->partition);
}

/* The index decides; where it has nothing, nothing was served before. */
static void
got_indexed(void *arg, bool yes, const struct err *e)
{
	struct trial_of *x = arg;
	struct trials *t = x->trials;
	int partition = x->partition;
	char why[WHY_MAX];

	if (e == NULL && !yes && hold_trial(t->hold, x->name, why, WHY_MAX))
		hold_drop(t->hold, x->name);
	trial_free(x);
	t->over(t->arg, partition);
}

/* Another of the same name is on trial here by now: hold has one a name. */
static bool
is_followed(const struct trial_of *x)
{
	const struct trial_of *y;

	LIST_FOREACH (y, &x->trials->list, link)
		if (y != x && !y->over && strcmp(y->name, x->name) == 0)
			return true;
	return false;
}

static void
end(struct trial_of *x)
{
	if (is_followed(x)) {
		trial_free(x);
		return;
	}
	x->over = true;
	store_forget(x->trials->store, x);
	hold_try_end(x->trials->hold, x->name);
	store_indexed(x->trials->store, x->name, got_indexed, x);
}

static void
begin(struct trials *t, int partition, const struct store_canary *c)
{
	size_t len = strlen(c->name);
	char clean[DOMAIN_NAME_MAX];
	struct trial_of *x;
	struct err e;

	if (t->n >= TRIALS_MAX || domain_normalise(c->name, clean, &e) == -1 ||
	    strcmp(clean, c->name) != 0)
		return;
	x = xcalloc(1, sizeof(*x) + len + 1);
	x->trials = t;
	x->partition = partition;
	x->since = c->since;
	x->custom = c->custom;
	x->seen = true;
	memcpy(x->name, c->name, len + 1);
	memcpy(x->sha1, c->sha1, sizeof(x->sha1));
	LIST_INSERT_HEAD(&t->list, x, link);
	t->n++;
	store_next(t->store, x->name, x->custom, got_next, x);
}

static struct trial_of *
find(struct trials *t, const struct store_canary *c)
{
	struct trial_of *x;

	LIST_FOREACH (x, &t->list, link)
		if (!x->over && x->since == c->since &&
		    strcmp(x->name, c->name) == 0 &&
		    strcmp(x->sha1, c->sha1) == 0)
			return x;
	return NULL;
}

/* Those that are no longer in it are over; those that are new begin. */
static void
got_list(void *arg, const struct store_canary *c, size_t n, const struct err *e)
{
	struct look *l = arg;
	struct trials *t = l->trials;
	int partition = l->partition;
	struct trial_of *x, *next;

	look_free(l);
	if (e != NULL)
		return; /* the next look is soon */
	LIST_FOREACH (x, &t->list, link)
		x->seen = false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(c[i].node, t->conf->node) != 0)
			continue;
		x = find(t, &c[i]);
		if (x != NULL)
			x->seen = true;
		else
			begin(t, partition, &c[i]);
	}
	for (x = LIST_FIRST(&t->list); x != NULL; x = next) {
		next = LIST_NEXT(x, link);
		if (x->partition == partition && !x->seen && !x->over)
			end(x);
	}
}

void
trials_look(struct trials *t, int partition)
{
	struct look *l = xcalloc(1, sizeof(*l));

	l->trials = t;
	l->partition = partition;
	LIST_INSERT_HEAD(&t->looks, l, link);
	store_canaries(t->store, partition, got_list, l);
}

void
trials_hear(struct trials *t, int partition, const char *type,
    const struct rds_reply *fields)
{
	const char *node = rds_field(fields, "node");
	const struct trial_of *x;
	bool ours = strcmp(type, "canary") == 0 && node != NULL &&
	            strcmp(node, t->conf->node) == 0;

	LIST_FOREACH (x, &t->list, link)
		ours = ours || x->partition == partition;
	if (ours)
		trials_look(t, partition);
}

/* --- how it went ------------------------------------------------------------------ */

void
trials_check(struct trials *t)
{
	struct trial_of *x;
	char why[WHY_MAX];
	bool news = false;
	int result;

	LIST_FOREACH (x, &t->list, link) {
		if (x->over || !x->taken)
			continue;
		result = hold_trial(t->hold, x->name, why, sizeof(why));
		if (result == 0 || result == x->result)
			continue;
		x->result = result;
		x->told = false;
		memcpy(x->why, why, sizeof(x->why));
		news = true;
	}
	if (news)
		t->news(t->arg);
}

/* What separates is not in a reason. */
static void
put_reason(char *out, const char *why)
{
	for (; *why != '\0'; why++)
		*out++ = *why == ';' ? ',' : *why;
	*out = '\0';
}

void
trials_text(const struct trials *t, char *out, size_t size)
{
	const struct trial_of *x;
	char why[WHY_MAX], one[DOMAIN_NAME_MAX + WHY_MAX + 80];
	size_t at = 0, len;

	out[0] = '\0';
	LIST_FOREACH (x, &t->list, link) {
		if (x->over || x->result == 0)
			continue;
		put_reason(why, x->result == 1      ? ""
				: x->why[0] != '\0' ? x->why
						    : "not served");
		snprintf(one, sizeof(one), "%s%s=%s=%" PRId64 "=%s",
		    at > 0 ? "; " : "", x->name, x->sha1, x->since, why);
		len = strlen(one);
		if (at + len + 1 > size)
			return;
		memcpy(out + at, one, len + 1);
		at += len;
	}
}

void
trials_told(struct trials *t)
{
	char text[DOMAIN_NAME_MAX + 8];
	struct trial_of *x;

	LIST_FOREACH (x, &t->list, link) {
		if (x->over || x->result == 0 || x->told)
			continue;
		x->told = true;
		snprintf(text, sizeof(text), "trial %s", x->name);
		store_say(t->store, text);
	}
}
