#include "sync/plan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/* --- one bucket --------------------------------------------------------------- */

void
plan_bucket_init(struct plan_bucket *b, const struct limit *l,
    const int64_t *spent, size_t n, int64_t blocked_until)
{
	*b = (struct plan_bucket){ .max = l->max,
		.window_ms = l->window_ms,
		.blocked = blocked_until,
		.n = n,
		.room = n };
	if (n == 0)
		return;
	b->at = xcalloc(n, sizeof(*b->at));
	memcpy(b->at, spent, n * sizeof(*b->at));
}

void
plan_bucket_clear(struct plan_bucket *b)
{
	free(b->at);
	*b = (struct plan_bucket){ 0 };
}

int64_t
plan_free(const struct plan_bucket *b, int64_t t)
{
	size_t max = (size_t)b->max;
	int64_t left;

	if (t < b->blocked)
		t = b->blocked;
	if (b->max == 0 || b->n < max)
		return t;
	/* The one that must have left before there is room. */
	left = b->at[b->n - max] + b->window_ms + 1;
	return t > left ? t : left;
}

void
plan_spend(struct plan_bucket *b, int64_t t)
{
	if (b->max == 0)
		return;
	if (b->n == b->room) {
		b->room = b->room > 0 ? b->room * 2 : 16;
		b->at = xrealloc(b->at, b->room * sizeof(*b->at));
	}
	b->at[b->n++] = t;
}

/* --- all of them ---------------------------------------------------------------- */

/* The names of one registered domain that are still to come. */
struct line {
	const struct plan_bucket *bucket;
	struct plan_name **name; /* in their order */
	size_t n, next;
	size_t taken; /* of the next one's certificates */
	int64_t at;   /* when the next one's own and the domain allow it */
};

struct sim {
	struct line *line;
	struct line **heap; /* by time, then as listed */
	size_t nheap;
};

static int
by_ready(const void *a, const void *b)
{
	const struct plan_name *x = *(struct plan_name *const *)a;
	const struct plan_name *y = *(struct plan_name *const *)b;

	if (x->ready != y->ready)
		return x->ready < y->ready ? -1 : 1;
	return x < y ? -1 : x > y;
}

static bool
before(const struct line *a, const struct line *b)
{
	if (a->at != b->at)
		return a->at < b->at;
	return a->name[a->next] < b->name[b->next];
}

static void
swap(struct sim *s, size_t i, size_t j)
{
	struct line *l = s->heap[i];

	s->heap[i] = s->heap[j];
	s->heap[j] = l;
}

static void
push(struct sim *s, struct line *l)
{
	size_t i = s->nheap++;

	for (s->heap[i] = l; i > 0; i = (i - 1) / 2) {
		if (!before(s->heap[i], s->heap[(i - 1) / 2]))
			break;
		swap(s, i, (i - 1) / 2);
	}
}

static struct line *
pop(struct sim *s)
{
	struct line *first = s->heap[0];
	size_t i = 0, child;

	s->heap[0] = s->heap[--s->nheap];
	while ((child = 2 * i + 1) < s->nheap) {
		if (child + 1 < s->nheap &&
		    before(s->heap[child + 1], s->heap[child]))
			child++;
		if (!before(s->heap[child], s->heap[i]))
			break;
		swap(s, i, child);
		i = child;
	}
	return first;
}

/* When the line's next name can come, as far as the account allows. */
static void
aim(struct line *l, int64_t now_ms)
{
	struct plan_name *name = l->name[l->next];
	int64_t own = name->ready > now_ms ? name->ready : now_ms;

	l->at = plan_free(l->bucket, own);
	name->why = LIMIT_BUCKETS;
	if (own > now_ms)
		name->why = name->own;
	if (l->at > own)
		name->why = LIMIT_DOMAIN;
}

static void
sim_init(struct sim *s, const struct plan_bucket *domain, size_t ndomains,
    struct plan_name *name, size_t n, int64_t now_ms)
{
	s->line = xcalloc(ndomains + 1, sizeof(*s->line));
	s->heap = xcalloc(ndomains + 1, sizeof(*s->heap));
	s->nheap = 0;
	for (size_t i = 0; i < n; i++)
		s->line[name[i].domain].n++;
	for (size_t d = 0; d < ndomains; d++) {
		s->line[d].bucket = &domain[d];
		s->line[d].name =
		    xcalloc(s->line[d].n + 1, sizeof(struct plan_name *));
		s->line[d].n = 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct line *l = &s->line[name[i].domain];

		l->name[l->n++] = &name[i];
	}
	for (size_t d = 0; d < ndomains; d++) {
		struct line *l = &s->line[d];

		if (l->n == 0)
			continue;
		qsort(l->name, l->n, sizeof(struct plan_name *), by_ready);
		aim(l, now_ms);
		push(s, l);
	}
}

void
plan_run(struct plan_bucket *orders, struct plan_bucket *domain,
    size_t ndomains, struct plan_name *name, size_t n, int64_t now_ms)
{
	struct plan_name *next;
	struct line *l;
	struct sim s;

	/* In the order of time, so that the account's spends are, too. */
	sim_init(&s, domain, ndomains, name, n, now_ms);
	while (s.nheap > 0) {
		l = pop(&s);
		next = l->name[l->next];
		next->at = plan_free(orders, l->at);
		if (next->at > l->at)
			next->why = LIMIT_ORDERS;
		plan_spend(orders, next->at);
		plan_spend(&domain[next->domain], next->at);
		if (l->taken++ == next->more) {
			l->taken = 0;
			l->next++;
		}
		if (l->next < l->n) {
			aim(l, now_ms);
			push(&s, l);
		}
	}
	for (size_t d = 0; d < ndomains; d++)
		free(s.line[d].name);
	free(s.line);
	free(s.heap);
}
