#include "sync/fair.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/table.h"

/* Exists while it has items, waiting or in flight. */
struct fair_line {
	char *key;
	TAILQ_HEAD(fair_items, fair_item) waiting;
	int in_flight, resting;
	bool in_turns;
	TAILQ_ENTRY(fair_line) next;
	UT_hash_handle hh;
};

void
fair_init(struct fair *f, int max)
{
	*f = (struct fair){ .max = max > 0 ? max : 1 };
	TAILQ_INIT(&f->turns);
}

static struct fair_line *
line_of(struct fair *f, const char *key)
{
	struct fair_line *l;

	HASH_FIND_STR(f->by_key, key, l);
	if (l != NULL)
		return l;
	l = xcalloc(1, sizeof(*l));
	l->key = xstrdup(key);
	TAILQ_INIT(&l->waiting);
	HASH_ADD_KEYPTR(hh, f->by_key, l->key, strlen(l->key), l);
	return l;
}

void
fair_put(struct fair *f, struct fair_item *i, const char *key, int64_t deadline,
    void *owner)
{
	struct fair_line *l = line_of(f, key);
	struct fair_item *before;

	i->line = l;
	i->owner = owner;
	i->in_flight = i->resting = false;
	i->deadline = deadline;
	/* Most come in order. */
	TAILQ_FOREACH_REVERSE(before, &l->waiting, fair_items, next)
	if (before->deadline <= deadline)
		break;
	if (before != NULL)
		TAILQ_INSERT_AFTER(&l->waiting, before, i, next);
	else
		TAILQ_INSERT_HEAD(&l->waiting, i, next);
	f->waiting++;
	if (!l->in_turns)
		TAILQ_INSERT_TAIL(&f->turns, l, next);
	l->in_turns = true;
}

/* Out of the line of those who wait; a line without any takes no turns. */
static void
stop_waiting(struct fair *f, struct fair_item *i)
{
	struct fair_line *l = i->line;

	TAILQ_REMOVE(&l->waiting, i, next);
	f->waiting--;
	if (!TAILQ_EMPTY(&l->waiting))
		return;
	TAILQ_REMOVE(&f->turns, l, next);
	l->in_turns = false;
}

void *
fair_next(struct fair *f)
{
	int share = f->max > 3 ? f->max * 3 / 4 : f->max;
	struct fair_line *l;
	struct fair_item *i;

	if (f->in_flight >= f->max)
		return NULL;
	TAILQ_FOREACH (l, &f->turns, next)
		if (l->in_flight < share)
			break;
	if (l == NULL)
		return NULL;
	i = TAILQ_FIRST(&l->waiting);
	stop_waiting(f, i);
	if (l->in_turns) {
		TAILQ_REMOVE(&f->turns, l, next);
		TAILQ_INSERT_TAIL(&f->turns, l, next);
	}
	i->in_flight = true;
	l->in_flight++;
	f->in_flight++;
	return i->owner;
}

void
fair_rest(struct fair *f, struct fair_item *i, bool resting)
{
	struct fair_line *l = i->line;
	int n = resting ? -1 : 1;

	if (l == NULL || !i->in_flight || i->resting == resting)
		return;
	i->resting = resting;
	l->in_flight += n;
	l->resting -= n;
	f->in_flight += n;
}

void
fair_leave(struct fair *f, struct fair_item *i)
{
	struct fair_line *l = i->line;

	if (l == NULL)
		return;
	fair_rest(f, i, false);
	if (i->in_flight) {
		l->in_flight--;
		f->in_flight--;
	} else {
		stop_waiting(f, i);
	}
	i->line = NULL;
	if (l->in_turns || l->in_flight > 0 || l->resting > 0)
		return;
	HASH_DEL(f->by_key, l);
	free(l->key);
	free(l);
}
