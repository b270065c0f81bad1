#include "sync/hot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain.h"
#include "common/mem.h"
#include "common/str.h"
#include "common/table.h"

#define HEAD "certfleet-hot 1 "
#define DAY_MS INT64_C(86400000)
#define UNITS 16         /* of heat, for a request an hour */
#define LINE_MAX_LEN 300 /* a name and a number */

struct heat {
	UT_hash_handle hh;
	uint32_t heat; /* at that time */
	uint32_t seen; /* in the round that is under way */
	int64_t at;
	char name[];
};

struct hot {
	struct heat *names;
	size_t max;
	int64_t now; /* of the last round */
};

struct hot *
hot_new(size_t max)
{
	struct hot *h = xcalloc(1, sizeof(*h));

	h->max = max;
	return h;
}

static void
forget(struct hot *h, struct heat *x)
{
	HASH_DEL(h->names, x);
	free(x);
}

void
hot_free(struct hot *h)
{
	struct heat *x, *next;

	if (h == NULL)
		return;
	HASH_ITER (hh, h->names, x, next)
		forget(h, x);
	free(h);
}

static struct heat *
find(const struct hot *h, const char *name)
{
	struct heat *x;

	HASH_FIND_STR(h->names, name, x);
	return x;
}

static struct heat *
find_or_add(struct hot *h, const char *name)
{
	size_t len = strlen(name);
	struct heat *x = find(h, name);

	if (x != NULL)
		return x;
	x = xcalloc(1, sizeof(*x) + len + 1);
	memcpy(x->name, name, len + 1);
	HASH_ADD_KEYPTR(hh, h->names, x->name, len, x);
	return x;
}

/* Half for each day, and in between on a straight line. */
static uint32_t
heat_now(const struct heat *x, int64_t now)
{
	int64_t age = now > x->at ? now - x->at : 0, days = age / DAY_MS;
	uint32_t heat;

	if (days >= 32)
		return 0;
	heat = x->heat >> days;
	return heat - (uint32_t)(heat * (age % DAY_MS) / (2 * DAY_MS));
}

void
hot_seen(struct hot *h, const char *name, int64_t per_hour)
{
	struct heat *x;
	int64_t most = UINT32_MAX / UNITS;

	if (per_hour <= 0)
		return;
	x = find_or_add(h, name);
	if (per_hour > most)
		per_hour = most;
	if (per_hour * UNITS > UINT32_MAX - x->seen)
		x->seen = UINT32_MAX;
	else
		x->seen += (uint32_t)per_hour * UNITS;
}

static int
by_heat(const void *a, const void *b)
{
	const struct heat *x = *(struct heat *const *)a;
	const struct heat *y = *(struct heat *const *)b;

	if (x->heat != y->heat)
		return x->heat > y->heat ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* All there are, the hottest first; the caller frees it. */
static struct heat **
sorted(const struct hot *h, size_t *n)
{
	struct heat **list, *x;

	*n = 0;
	list = xcalloc(HASH_COUNT(h->names) + 1, sizeof(struct heat *));
	for (x = h->names; x != NULL; x = x->hh.next)
		list[(*n)++] = x;
	qsort(list, *n, sizeof(struct heat *), by_heat);
	return list;
}

void
hot_settle(struct hot *h, int64_t now)
{
	struct heat *x, *next, **list;
	size_t n;

	h->now = now;
	HASH_ITER (hh, h->names, x, next) {
		x->heat = heat_now(x, now);
		x->at = now;
		if (x->seen > x->heat)
			x->heat = x->seen;
		x->seen = 0;
		if (x->heat == 0)
			forget(h, x);
	}
	if (HASH_COUNT(h->names) <= h->max)
		return;
	list = sorted(h, &n);
	while (n > h->max)
		forget(h, list[--n]);
	free(list);
}

uint32_t
hot_heat(const struct hot *h, const char *name)
{
	const struct heat *x = find(h, name);

	return x != NULL ? heat_now(x, h->now) : 0;
}

size_t
hot_size(const struct hot *h)
{
	return HASH_COUNT(h->names);
}

/* By less it may differ from one look to the next, or by a node's clock. */
bool
hot_tells(const struct hot *h, const struct hot *other)
{
	const struct heat *x;
	uint64_t its;

	for (x = h->names; x != NULL; x = x->hh.next) {
		its = hot_heat(other, x->name);
		if (heat_now(x, h->now) > its + its / 4 + UNITS)
			return true;
	}
	return false;
}

/* --- as text ------------------------------------------------------------------------ */

int
hot_dump(const struct hot *h, int64_t wall, struct buf *out)
{
	struct heat **list;
	size_t n;
	int rc = buf_putf(out, HEAD "%" PRId64 "\n", wall);

	list = sorted(h, &n);
	for (size_t i = 0; rc == 0 && i < n && i < h->max; i++)
		if (list[i]->heat > 0)
			rc = buf_putf(out, "%s %" PRIu32 "\n", list[i]->name,
			    heat_now(list[i], h->now));
	free(list);
	return rc;
}

/* "NAME HEAT"; a name in the one form that names have. */
static void
take_line(struct hot *h, const char *line, size_t len, int64_t at, int64_t now)
{
	char copy[LINE_MAX_LEN], clean[DOMAIN_NAME_MAX], *space;
	struct heat *x, new = { .at = at };
	int64_t heat;
	struct err e;

	if (len >= sizeof(copy))
		return;
	memcpy(copy, line, len);
	copy[len] = '\0';
	space = strchr(copy, ' ');
	if (space == NULL || str_int(space + 1, 1, UINT32_MAX, &heat) == -1)
		return;
	*space = '\0';
	if (domain_normalise(copy, clean, &e) == -1 || strcmp(copy, clean) != 0)
		return;
	new.heat = (uint32_t)heat;
	x = find_or_add(h, clean);
	if (heat_now(&new, now) <= heat_now(x, now))
		return;
	x->heat = new.heat;
	x->at = at;
}

int
hot_take(
    struct hot *h, const char *text, int64_t wall, int64_t now, struct err *e)
{
	const char *p = text, *end;
	int64_t then;
	char stamp[24];
	size_t len, lines = 0;

	if (!str_has_prefix(p, HEAD))
		return err_set(e, ERR_REFUSED, "it does not begin with \"%s\"",
		    "certfleet-hot 1");
	p += strlen(HEAD);
	len = strcspn(p, "\n");
	if (len >= sizeof(stamp) || p[len] == '\0')
		return err_set(e, ERR_REFUSED, "it does not say of when it is");
	memcpy(stamp, p, len);
	stamp[len] = '\0';
	if (str_int(stamp, 0, INT64_MAX, &then) == -1)
		return err_set(e, ERR_REFUSED, "it does not say of when it is");
	if (then > wall)
		then = wall;
	/* The last line may be torn: without its end it does not count. */
	for (p += len + 1; (end = strchr(p, '\n')) != NULL && lines < h->max;
	     p = end + 1, lines++)
		take_line(h, p, (size_t)(end - p), now - (wall - then), now);
	hot_settle(h, now);
	return 0;
}
