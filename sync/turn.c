#include "sync/turn.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/table.h"

/* A bucket that some wait for. */
struct queue {
	UT_hash_handle hh;
	int64_t next; /* no place before that is anybody's */
	char key[];
};

struct turns {
	struct queue *table;
};

struct turns *
turns_new(void)
{
	return xcalloc(1, sizeof(struct turns));
}

void
turns_forget(struct turns *t, int64_t now_ms)
{
	struct queue *q, *next;

	HASH_ITER (hh, t->table, q, next) {
		if (q->next > now_ms)
			continue;
		HASH_DEL(t->table, q);
		free(q);
	}
}

void
turns_free(struct turns *t)
{
	if (t == NULL)
		return;
	turns_forget(t, INT64_MAX);
	free(t);
}

static struct queue *
find_or_make(struct turns *t, const char *key)
{
	size_t len = strlen(key);
	struct queue *q;

	HASH_FIND(hh, t->table, key, len, q);
	if (q != NULL)
		return q;
	q = xcalloc(1, sizeof(*q) + len + 1);
	memcpy(q->key, key, len + 1);
	HASH_ADD_KEYPTR(hh, t->table, q->key, len, q);
	return q;
}

int64_t
turns_take(
    struct turns *t, const struct limit *l, int64_t free_at, int64_t now_ms)
{
	struct queue *q = find_or_make(t, l->key);
	int64_t end = now_ms + l->window_ms, at = free_at, step;

	if (l->max <= 0 || free_at >= end)
		return free_at;
	step = (end - free_at) / l->max;
	if (q->next > at && q->next <= end)
		at = q->next;
	q->next = at + (step > 0 ? step : 1);
	return at;
}
