#include "common/rds_codec.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "common/mem.h"
#include "common/str.h"

/* hiredis moves what is left in its buffer after each kilobyte it consumed. */
#define READER_IDLE_MAX (256 * 1024)

#define CHUNK_SIZE 8192
#define ARENA_MAX (2 * RDS_REPLY_MAX) /* arrays take more than their bytes */
#define ITEMS_FIRST 16                /* a power of two */

struct chunk {
	struct chunk *next;
	size_t used, size;
	char bytes[];
};

struct rds_reader {
	redisReader *hiredis;
	struct chunk *chunks; /* newest first; the last one is kept */
	size_t total;
};

/* --- commands ------------------------------------------------------------ */

void
rds_cmd(struct rds_cmd *c, const char *command)
{
	c->argc = 0;
	c->at = NULL;
	rds_arg(c, command);
}

void
rds_arg(struct rds_cmd *c, const char *text)
{
	rds_arg_mem(c, text, strlen(text));
}

void
rds_arg_mem(struct rds_cmd *c, const void *bytes, size_t len)
{
	if (c->argc == RDS_ARGS_MAX)
		abort();
	c->argv[c->argc] = bytes;
	c->len[c->argc++] = len;
}

void
rds_arg_int(struct rds_cmd *c, int64_t number)
{
	char *text;

	if (c->argc == RDS_ARGS_MAX)
		abort();
	text = c->number[c->argc];
	snprintf(text, sizeof(c->number[0]), "%" PRId64, number);
	rds_arg(c, text);
}

/* Append the sigil, the number and CRLF: snprintf() would cost the most. */
static void
put_header(struct buf *out, char sigil, size_t number)
{
	char text[24];
	size_t at = sizeof(text);

	text[--at] = '\n';
	text[--at] = '\r';
	do {
		text[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	text[--at] = sigil;
	buf_put(out, text + at, sizeof(text) - at);
}

/*
 * Not by redisFormatCommandArgv(), which makes an allocation per command: this
 * is on the path of each lookup and writes where the bytes are sent from.
 */
int
rds_encode(struct buf *out, const struct rds_cmd *c)
{
	size_t room = out->cap - out->len;

	for (size_t i = 0; i <= c->argc; i++) {
		size_t need = 26 + (i < c->argc ? c->len[i] : 0);

		if (need > room)
			return -1;
		room -= need;
	}
	put_header(out, '*', c->argc);
	for (size_t i = 0; i < c->argc; i++) {
		put_header(out, '$', c->len[i]);
		buf_put(out, c->argv[i], c->len[i]);
		buf_put(out, "\r\n", 2);
	}
	return 0;
}

/* --- the arena ----------------------------------------------------------- */

/* NULL when the reply has become too large. */
static void *
arena_get(struct rds_reader *r, size_t size)
{
	struct chunk *c = r->chunks;
	size_t room;
	void *p;

	size = (size + 7) & ~(size_t)7;
	if (size > ARENA_MAX - r->total)
		return NULL;
	if (c == NULL || size > c->size - c->used) {
		room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
		c = xmalloc(sizeof(*c) + room);
		*c = (struct chunk){ .next = r->chunks, .size = room };
		r->chunks = c;
	}
	p = c->bytes + c->used;
	c->used += size;
	r->total += size;
	return p;
}

static void
arena_empty(struct rds_reader *r, bool keep)
{
	struct chunk *c;

	r->total = 0;
	while ((c = r->chunks) != NULL) {
		if (keep && c->next == NULL && c->size == CHUNK_SIZE) {
			c->used = 0;
			return;
		}
		r->chunks = c->next;
		free(c);
	}
}

/* --- objects ------------------------------------------------------------- */

/*
 * Where a new object goes.  The items of an array are made room for as they
 * come, not as announced: a reply has as much memory as it sent bytes.  An
 * array may move, since nothing points into it but its own last item.
 */
static struct rds_reply *
slot(const redisReadTask *task, enum rds_type type)
{
	struct rds_reader *r = task->privdata;
	struct rds_reply *array, *items, *o;
	size_t i, all, room;

	if (task->parent == NULL) {
		o = arena_get(r, sizeof(*o));
		if (o != NULL)
			*o = (struct rds_reply){ .type = type };
		return o;
	}
	array = task->parent->obj;
	i = (size_t)task->idx;
	all = (size_t)task->parent->elements;
	if (i == 0 || (i >= ITEMS_FIRST && (i & (i - 1)) == 0)) {
		room = i == 0 ? ITEMS_FIRST : 2 * i;
		if (room > all)
			room = all;
		items = arena_get(r, room * sizeof(*items));
		if (items == NULL)
			return NULL;
		if (i > 0)
			memcpy(items, array->item, i * sizeof(*items));
		array->item = items;
	}
	o = &array->item[i];
	*o = (struct rds_reply){ .type = type };
	array->nitems = i + 1;
	return o;
}

static void *
make_string(const redisReadTask *task, char *bytes, size_t len)
{
	struct rds_reply *o = slot(
	    task, task->type == REDIS_REPLY_ERROR ? RDS_ERROR : RDS_STRING);
	char *text = o != NULL ? arena_get(task->privdata, len + 1) : NULL;

	if (text == NULL)
		return NULL;
	if (len > 0)
		memcpy(text, bytes, len);
	text[len] = '\0';
	o->str = text;
	o->len = len;
	return o;
}

#if HIREDIS_MAJOR >= 1
static void *
make_array(const redisReadTask *task, size_t n)
{
	(void)n;
	return slot(task, RDS_ARRAY);
}

/* The types of RESP3, which we never ask for but a server might send. */
static void *
make_double(const redisReadTask *task, double v, char *text, size_t len)
{
	(void)v;
	return make_string(task, text, len);
}
#else
static void *
make_array(const redisReadTask *task, int n)
{
	(void)n;
	return slot(task, RDS_ARRAY);
}
#endif

static void *
make_integer(const redisReadTask *task, long long v)
{
	struct rds_reply *o = slot(task, RDS_INTEGER);

	if (o != NULL)
		o->integer = v;
	return o;
}

#if HIREDIS_MAJOR >= 1
static void *
make_bool(const redisReadTask *task, int v)
{
	return make_integer(task, v);
}
#endif

static void *
make_nil(const redisReadTask *task)
{
	return slot(task, RDS_NIL);
}

/* Everything is in the arena. */
static void
drop(void *object)
{
	(void)object;
}

static redisReplyObjectFunctions functions = {
	.createString = make_string,
	.createArray = make_array,
	.createInteger = make_integer,
	.createNil = make_nil,
#if HIREDIS_MAJOR >= 1
	.createDouble = make_double,
	.createBool = make_bool,
#endif
	.freeObject = drop,
};

/* --- the reader ---------------------------------------------------------- */

struct rds_reader *
rds_reader_new(void)
{
	struct rds_reader *r = xcalloc(1, sizeof(*r));

	r->hiredis = redisReaderCreateWithFunctions(&functions);
	if (r->hiredis == NULL)
		abort();
	r->hiredis->privdata = r;
	r->hiredis->maxbuf = READER_IDLE_MAX;
	return r;
}

void
rds_reader_free(struct rds_reader *r)
{
	if (r == NULL)
		return;
	redisReaderFree(r->hiredis);
	arena_empty(r, false);
	free(r);
}

static int
nonsense(const struct rds_reader *r, struct err *e)
{
	err_set(
	    e, ERR_BUG, "what Redis sent is no reply: %s", r->hiredis->errstr);
	return -1;
}

int
rds_reader_feed(
    struct rds_reader *r, const char *bytes, size_t len, struct err *e)
{
	if (r->hiredis->len - r->hiredis->pos + len > RDS_REPLY_MAX)
		return err_set(e, ERR_BUG,
		    "Redis sent a value of more than %zu MiB",
		    RDS_REPLY_MAX >> 20);
	if (redisReaderFeed(r->hiredis, bytes, len) != REDIS_OK)
		return nonsense(r, e);
	return 0;
}

int
rds_reader_next(
    struct rds_reader *r, const struct rds_reply **reply, struct err *e)
{
	void *object = NULL;

	/* Unless one is half done, the last reply has been used. */
	if (r->hiredis->ridx == -1)
		arena_empty(r, true);
	if (redisReaderGetReply(r->hiredis, &object) != REDIS_OK)
		return nonsense(r, e);
	*reply = object;
	return object != NULL ? 1 : 0;
}

/* --- reading replies ----------------------------------------------------- */

#define TRY_AGAIN "TRYAGAIN"
/* What a function is told of a key, which it was not called with. */
#define MOVING_KEY "attempted to access a non local key"

/* What servers say in a word, what to do about it and how people say it. */
static const struct word {
	const char *type;
	enum err_kind kind;
	const char *text; /* NULL: as the server says it */
} words[] = {
	{ "LOADING", ERR_AGAIN, "Redis has started and still loads its data" },
	{ "READONLY", ERR_AGAIN,
	    "this Redis has become a replica and takes no writes; the master "
	    "is looked for" },
	{ "MASTERDOWN", ERR_AGAIN,
	    "this Redis is a replica that has lost its master" },
	{ "CLUSTERDOWN", ERR_AGAIN,
	    "the Redis Cluster is down: a part of its slots has no master" },
	{ TRY_AGAIN, ERR_AGAIN, "the Redis Cluster is moving these keys" },
	{ "NOREPLICAS", ERR_AGAIN,
	    "Redis takes no writes: fewer replicas are connected than its "
	    "min-replicas-to-write" },
	{ "BUSY", ERR_AGAIN, "Redis is busy with a script that does not end" },
	{ "MISCONF", ERR_CONFIG,
	    "Redis takes no writes: it cannot save its data; its log says "
	    "why" },
	{ "OOM", ERR_CONFIG,
	    "Redis takes no writes: its memory is full (maxmemory)" },
	{ "NOAUTH", ERR_CONFIG, NULL },
	{ "NOPERM", ERR_CONFIG, NULL },
	{ "WRONGPASS", ERR_CONFIG, NULL },
	{ "MOVED", ERR_AGAIN, NULL },
	{ "ASK", ERR_AGAIN, NULL },
};

static const struct word *
word_of(const char *type)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].type, type) == 0)
			return &words[i];
	return NULL;
}

void
rds_reply_err(const struct rds_reply *reply, struct err *e)
{
	const char *space = memchr(reply->str, ' ', reply->len);
	size_t n = space != NULL ? (size_t)(space - reply->str) : reply->len;
	size_t rest = n < reply->len ? n + 1 : n;
	const struct word *word;
	struct err ignored;

	err_set(e, ERR_BUG, "%s", "");
	str_printable(e->type, sizeof(e->type), reply->str, n);
	str_printable(
	    e->text, sizeof(e->text), reply->str + rest, reply->len - rest);
	if (strstr(e->text, MOVING_KEY) != NULL)
		memcpy(e->type, TRY_AGAIN, sizeof(TRY_AGAIN));
	word = word_of(e->type);
	if (word == NULL)
		return;
	e->kind = word->kind;
	if (word->text != NULL)
		str_copy(e->text, sizeof(e->text), word->text, &ignored);
}

const char *
rds_field(const struct rds_reply *fields, const char *name)
{
	if (fields == NULL || fields->type != RDS_ARRAY)
		return NULL;
	for (size_t i = 0; i + 1 < fields->nitems; i += 2) {
		const struct rds_reply *value = &fields->item[i + 1];

		if (fields->item[i].type == RDS_STRING &&
		    strcmp(fields->item[i].str, name) == 0)
			return value->type == RDS_STRING ? value->str : NULL;
	}
	return NULL;
}
