#include "sync/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/mem.h"
#include "common/str.h"
#include "common/table.h"

struct spend {
	UT_hash_handle hh;
	LIST_ENTRY(spend) next;
	int64_t at;
	const char *id; /* inside name */
	char name[];    /* "domain shop.example@ca.example www...:17640..." */
};

struct bucket {
	UT_hash_handle hh;
	enum limit_bucket kind;
	LIST_HEAD(, spend) spends;
	int64_t blocked; /* until, 0: not */
	const char *key; /* inside name */
	char name[];     /* "domain shop.example@ca.example" */
};

/* Spends have one table for all: most buckets have one or two. */
struct ledger {
	struct bucket *buckets;
	struct spend *spends;
	size_t nblocks;
};

#define BUCKET_NAME_MAX (LIMIT_KEY_MAX + 16)

struct ledger *
ledger_new(void)
{
	return xcalloc(1, sizeof(struct ledger));
}

static void
spend_free(struct ledger *l, struct spend *s)
{
	HASH_DEL(l->spends, s);
	LIST_REMOVE(s, next);
	free(s);
}

static void
bucket_free(struct ledger *l, struct bucket *b)
{
	while (!LIST_EMPTY(&b->spends))
		spend_free(l, LIST_FIRST(&b->spends));
	HASH_DEL(l->buckets, b);
	free(b);
}

void
ledger_free(struct ledger *l)
{
	struct bucket *b, *next;

	if (l == NULL)
		return;
	HASH_ITER (hh, l->buckets, b, next)
		bucket_free(l, b);
	free(l);
}

static struct bucket *
find(const struct ledger *l, enum limit_bucket kind, const char *key)
{
	char name[BUCKET_NAME_MAX];
	struct bucket *b;

	snprintf(name, sizeof(name), "%s %s", limit_name(kind), key);
	HASH_FIND_STR(l->buckets, name, b);
	return b;
}

static struct bucket *
find_or_make(struct ledger *l, enum limit_bucket kind, const char *key)
{
	struct bucket *b = find(l, kind, key);
	size_t at = strlen(limit_name(kind)) + 1;

	if (b != NULL)
		return b;
	b = xcalloc(1, sizeof(*b) + at + strlen(key) + 1);
	b->kind = kind;
	LIST_INIT(&b->spends);
	memcpy(b->name, limit_name(kind), at - 1);
	b->name[at - 1] = ' ';
	memcpy(b->name + at, key, strlen(key) + 1);
	b->key = b->name + at;
	HASH_ADD_STR(l->buckets, name, b);
	return b;
}

static struct spend *
find_spend(const struct ledger *l, const struct bucket *b, const char *id)
{
	char *name = xasprintf("%s %s", b->name, id);
	struct spend *s;

	HASH_FIND_STR(l->spends, name, s);
	free(name);
	return s;
}

static void
put_line(struct buf *out, char what, int64_t at, enum limit_bucket kind,
    const char *key, const char *id)
{
	if (out != NULL)
		buf_putf(out, "%c %" PRId64 " %s %s%s%s\n", what, at,
		    limit_name(kind), key, id != NULL ? " " : "",
		    id != NULL ? id : "");
}

void
ledger_spend(struct ledger *l, enum limit_bucket kind, const char *key,
    const char *id, int64_t at, struct buf *line)
{
	struct bucket *b = find_or_make(l, kind, key);
	struct spend *s = find_spend(l, b, id);
	size_t at_id = strlen(b->name) + 1;

	if (s == NULL) {
		s = xcalloc(1, sizeof(*s) + at_id + strlen(id) + 1);
		memcpy(s->name, b->name, at_id - 1);
		s->name[at_id - 1] = ' ';
		memcpy(s->name + at_id, id, strlen(id) + 1);
		s->id = s->name + at_id;
		HASH_ADD_STR(l->spends, name, s);
		LIST_INSERT_HEAD(&b->spends, s, next);
	}
	if (at > s->at)
		s->at = at;
	put_line(line, '+', s->at, kind, key, id);
}

void
ledger_refund(struct ledger *l, enum limit_bucket kind, const char *key,
    const char *id, struct buf *line)
{
	struct bucket *b = find(l, kind, key);
	struct spend *s = b != NULL ? find_spend(l, b, id) : NULL;

	if (s == NULL)
		return;
	spend_free(l, s);
	put_line(line, '-', 0, kind, key, id);
}

void
ledger_block(struct ledger *l, enum limit_bucket kind, const char *key,
    int64_t until, struct buf *line)
{
	struct bucket *b = find_or_make(l, kind, key);

	if (b->blocked == 0)
		l->nblocks++;
	if (until > b->blocked)
		b->blocked = until;
	put_line(line, '!', b->blocked, kind, key, NULL);
}

/* Cut the next word off; NULL when there is none. */
static char *
word(char **p)
{
	char *w = strsep(p, " ");

	return w != NULL && w[0] != '\0' ? w : NULL;
}

bool
ledger_take(struct ledger *l, const char *line, size_t len)
{
	char copy[LEDGER_LINE_MAX], *p = copy, *what, *key, *id;
	const char *at_text, *bucket;
	int64_t at;
	int kind;

	if (len >= sizeof(copy))
		return false;
	for (size_t i = 0; i < len; i++)
		if (line[i] < ' ' || line[i] >= 0x7f)
			return false;
	memcpy(copy, line, len);
	copy[len] = '\0';
	what = word(&p);
	at_text = word(&p);
	bucket = word(&p);
	key = word(&p);
	id = word(&p);
	if (what == NULL || at_text == NULL || bucket == NULL || key == NULL ||
	    p != NULL || strlen(what) != 1 ||
	    str_int(at_text, *what == '!', INT64_MAX, &at) == -1 ||
	    (kind = limit_parse(bucket)) == -1 ||
	    strlen(key) >= LIMIT_KEY_MAX || (id == NULL) != (*what == '!'))
		return false;
	if (*what == '+')
		ledger_spend(l, (enum limit_bucket)kind, key, id, at, NULL);
	else if (*what == '-')
		ledger_refund(l, (enum limit_bucket)kind, key, id, NULL);
	else if (*what == '!')
		ledger_block(l, (enum limit_bucket)kind, key, at, NULL);
	else
		return false;
	return true;
}

size_t
ledger_used(const struct ledger *l, enum limit_bucket kind, const char *key,
    int64_t since, const char *id)
{
	const struct bucket *b = find(l, kind, key);
	const struct spend *s;
	size_t n = 0;

	if (b == NULL)
		return 0;
	LIST_FOREACH (s, &b->spends, next)
		n += s->at >= since && strcmp(s->id, id) != 0;
	return n;
}

void
ledger_forget(struct ledger *l, const int64_t since[static LIMIT_BUCKETS])
{
	struct bucket *b, *bnext;
	struct spend *s, *next;

	HASH_ITER (hh, l->buckets, b, bnext) {
		for (s = LIST_FIRST(&b->spends); s != NULL; s = next) {
			next = LIST_NEXT(s, next);
			if (s->at < since[b->kind])
				spend_free(l, s);
		}
		if (b->blocked != 0 && b->blocked < since[b->kind]) {
			b->blocked = 0;
			l->nblocks--;
		}
		if (LIST_EMPTY(&b->spends) && b->blocked == 0)
			bucket_free(l, b);
	}
}

size_t
ledger_size(const struct ledger *l)
{
	return HASH_COUNT(l->spends) + l->nblocks;
}

static void
each_of(const struct bucket *b, ledger_fn *fn, void *arg)
{
	const struct spend *s;

	if (b->blocked != 0)
		fn(arg, b->kind, b->key, NULL, b->blocked);
	LIST_FOREACH (s, &b->spends, next)
		fn(arg, b->kind, b->key, s->id, s->at);
}

void
ledger_each(const struct ledger *l, enum limit_bucket kind, const char *key,
    ledger_fn *fn, void *arg)
{
	const struct bucket *b;

	if (key == NULL) {
		for (b = l->buckets; b != NULL; b = b->hh.next)
			each_of(b, fn, arg);
		return;
	}
	b = find(l, kind, key);
	if (b != NULL)
		each_of(b, fn, arg);
}

struct dump {
	struct buf *out;
	bool full;
};

static void
dump_one(void *arg, enum limit_bucket kind, const char *key, const char *id,
    int64_t at)
{
	struct dump *d = arg;
	size_t len = d->out->len;

	put_line(d->out, id != NULL ? '+' : '!', at, kind, key, id);
	d->full |= d->out->len == len;
}

int
ledger_dump(const struct ledger *l, struct buf *out)
{
	struct dump d = { out, false };

	ledger_each(l, LIMIT_ORDERS, NULL, dump_one, &d);
	return d.full ? -1 : 0;
}
