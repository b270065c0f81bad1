#include "sync/api/quota.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/table.h"

#define MINUTE_MS 60000
#define WHO_MAX 80
#define SWEEP 4096 /* with more than so many, those that are full go */

/*
 * A bucket is known by when it will be full: each that is taken moves that
 * further away, and a minute away it is empty.
 */
struct bucket {
	char who[WHO_MAX];
	int64_t full_at; /* in per_minute-ths of a ms, as below */
	UT_hash_handle hh;
};

struct quota {
	int per_minute;
	struct bucket *buckets;
};

struct quota *
quota_new(int per_minute)
{
	struct quota *p = xcalloc(1, sizeof(*p));

	p->per_minute = per_minute;
	return p;
}

static void
drop(struct quota *p, struct bucket *b)
{
	HASH_DEL(p->buckets, b);
	free(b);
}

void
quota_free(struct quota *p)
{
	struct bucket *b, *next;

	if (p == NULL)
		return;
	HASH_ITER (hh, p->buckets, b, next)
		drop(p, b);
	free(p);
}

/* A full bucket is as good as none. */
static void
sweep(struct quota *p, int64_t at)
{
	struct bucket *b, *next;

	HASH_ITER (hh, p->buckets, b, next)
		if (b->full_at <= at)
			drop(p, b);
}

static struct bucket *
find(struct quota *p, const char *who, int64_t at)
{
	struct bucket *b;

	HASH_FIND_STR(p->buckets, who, b);
	if (b != NULL)
		return b;
	if (HASH_COUNT(p->buckets) >= SWEEP)
		sweep(p, at);
	b = xcalloc(1, sizeof(*b));
	strncpy(b->who, who, sizeof(b->who) - 1);
	HASH_ADD_STR(p->buckets, who, b);
	return b;
}

int64_t
quota_take(struct quota *p, const char *who, int64_t now)
{
	/* One costs 60000 of per_minute-ths of a ms: whole numbers. */
	int64_t per = p->per_minute, full, at = now * per;
	struct bucket *b;

	if (per == 0)
		return 0;
	b = find(p, who, at);
	full = b->full_at > at ? b->full_at : at;
	if (full + MINUTE_MS > at + MINUTE_MS * per)
		return (full + MINUTE_MS - at - MINUTE_MS * per + per - 1) /
		       per;
	b->full_at = full + MINUTE_MS;
	return 0;
}
