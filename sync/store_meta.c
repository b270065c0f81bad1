/* The fleet's meta record: read before anything else, made by who is first. */
#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "sync/schema.h"
#include "sync/store_call.h"

enum {
	META_SCHEMA = 0,
	META_PARTITIONS,
	META_NAMED,
	META_MIN_READER,
	META_MIN_WRITER,
	META_FIELDS
};

static const char *
text_of(const struct rds_reply *r, int field)
{
	return r->item[field].type == RDS_STRING ? r->item[field].str : NULL;
}

/* Said when it changes: once at start, and when somebody upgrades. */
static int
take_schema(struct store *s, const struct rds_reply *r, struct err *e)
{
	enum schema_use use = schema_judge(text_of(r, META_SCHEMA),
	    text_of(r, META_MIN_READER), text_of(r, META_MIN_WRITER), e);

	if (use == SCHEMA_REFUSE)
		return -1;
	if (use == SCHEMA_READ && s->old[0] == '\0')
		log_error("redis: %s", e->text);
	snprintf(
	    s->old, sizeof(s->old), "%s", use == SCHEMA_READ ? e->text : "");
	return 0;
}

static int
take_meta(struct store *s, const struct rds_reply *r, struct err *e)
{
	const char *prefix = s->conf->redis.prefix;
	int64_t n;

	if (r->type != RDS_ARRAY || r->nitems != META_FIELDS ||
	    text_of(r, META_SCHEMA) == NULL ||
	    text_of(r, META_PARTITIONS) == NULL)
		return err_set(e, ERR_CONFIG,
		    "%smeta in Redis is not certfleet's", prefix);
	if (take_schema(s, r, e) == -1)
		return -1;
	n = reply_int(&r->item[META_PARTITIONS]);
	if (n < 1 || n > GENS_MAX)
		return err_set(e, ERR_CONFIG,
		    "%smeta says %s partitions; it must be 1 to %d", prefix,
		    text_of(r, META_PARTITIONS), GENS_MAX);
	if (s->known && n != s->partitions)
		return err_set(e, ERR_CONFIG,
		    "this Redis has %s partitions, that of before had %d: "
		    "restart certfleet-sync if it is the right one",
		    text_of(r, META_PARTITIONS), s->partitions);
	s->partitions = (int)n;
	s->known = true;
	s->named = reply_int(&r->item[META_NAMED]) == 1;
	return 0;
}

static void read_meta(struct call *,
    void (*got)(struct call *, const struct rds_reply *, const struct err *));

static void
got_made(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct err bad;

	if (e == NULL && take_meta(c->store, r, &bad) == -1)
		e = &bad;
	c->tell.done(c->arg, e);
}

static void
made(struct call *c, const struct rds_reply *r, const struct err *e)
{
	(void)r;
	if (e != NULL)
		c->tell.done(c->arg, e);
	else
		read_meta(c, got_made);
}

/* The first start of a fleet; of two nodes at the same time one makes it. */
static void
make_meta(struct call *c)
{
	struct store *s = c->store;
	char key[KEY_MAX], id[33];
	struct rds_cmd cmd;

	snprintf(id, sizeof(id), "%08x%08x", loop_random(UINT32_MAX),
	    loop_random(UINT32_MAX));
	call_function(&cmd, "certfleet_init", 1);
	rds_arg(&cmd, store_key(s, KEY_META, key, sizeof(key), 0, NULL));
	rds_arg_int(&cmd, s->partitions);
	rds_arg(&cmd, id);
	call_send(c, &cmd, made);
}

static void
got_meta(struct call *c, const struct rds_reply *r, const struct err *e)
{
	if (e == NULL && r->type == RDS_ARRAY && r->nitems == META_FIELDS &&
	    r->item[META_SCHEMA].type == RDS_NIL &&
	    r->item[META_PARTITIONS].type == RDS_NIL)
		make_meta(c);
	else
		got_made(c, r, e);
}

static void
read_meta(struct call *c,
    void (*got)(struct call *, const struct rds_reply *, const struct err *))
{
	static const char *const fields[META_FIELDS] = { "schema", "partitions",
		"named", "min_reader", "min_writer" };
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "HMGET");
	rds_arg(&cmd, store_key(c->store, KEY_META, key, sizeof(key), 0, NULL));
	for (int i = 0; i < META_FIELDS; i++)
		rds_arg(&cmd, fields[i]);
	call_send(c, &cmd, got);
}

/* Read before it is made: most nodes need not be allowed to make it. */
void
store_init(struct store *s, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);

	c->tell.done = fn;
	read_meta(c, got_meta);
}

const char *
store_old(const struct store *s)
{
	return s->old;
}
