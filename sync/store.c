#include "sync/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/store_call.h"

/* What the API or the library writes; the leader's update leaves it alone. */
static const char *const not_the_leaders[] = { "name", "app", "letsencrypt",
	"canonical", "created_at", "version", "gen", "epoch", "revoke",
	"custom_sha1", "custom_serial", "custom_issuer", "custom_subject",
	"custom_key", "custom_note", "custom_not_before", "custom_not_after",
	"custom_left_at", "canary", "custom_trial_at", "rolled_back_at" };

struct store *
store_new(
    struct rds *rds, const struct conf *conf, const struct seal_ring *ring)
{
	struct store *s = xcalloc(1, sizeof(*s));

	s->rds = rds;
	s->conf = conf;
	s->ring = ring;
	s->partitions = conf->redis.partitions;
	LIST_INIT(&s->calls);
	return s;
}

static void
call_free(struct call *c)
{
	LIST_REMOVE(c, link);
	if (c->drop != NULL)
		c->drop(c);
	free(c);
}

void
store_free(struct store *s)
{
	if (s == NULL)
		return;
	while (!LIST_EMPTY(&s->calls))
		call_free(LIST_FIRST(&s->calls));
	free(s);
}

static void
got_unwanted(struct call *c, const struct rds_reply *r, const struct err *e)
{
	(void)c, (void)r, (void)e;
}

void
store_forget(struct store *s, const void *arg)
{
	struct call *c;

	LIST_FOREACH (c, &s->calls, link)
		if (c->arg == arg)
			c->got = got_unwanted;
}

int
store_partitions(const struct store *s)
{
	return s->partitions;
}

struct call *
call_new(struct store *s, void *arg)
{
	struct call *c = xcalloc(1, sizeof(*c));

	c->store = s;
	c->arg = arg;
	LIST_INSERT_HEAD(&s->calls, c, link);
	return c;
}

void
store_on_fenced(struct store *s, store_fenced_fn *fn, void *arg)
{
	s->fenced = fn;
	s->fenced_arg = arg;
}

/* "epoch 7 is older than 8": fence() of common/library.lua. */
static void
tell_fenced(const struct store *s, const struct err *e)
{
	const char *last = strrchr(e->text, ' ');
	int64_t seen;

	if (s->fenced != NULL && last != NULL &&
	    str_int(last + 1, 1, INT64_MAX, &seen) == 0)
		s->fenced(s->fenced_arg, seen);
}

static void
on_reply(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct call *c = arg;

	c->waiting--;
	if (e != NULL && strcmp(e->type, "FENCED") == 0)
		tell_fenced(c->store, e);
	c->got(c, r, e);
	if (c->waiting == 0)
		call_free(c);
}

void
call_send(struct call *c, const struct rds_cmd *cmd,
    void (*got)(struct call *, const struct rds_reply *, const struct err *))
{
	c->got = got;
	c->waiting++;
	rds_send(c->store->rds, cmd, 0, on_reply, c);
}

void
call_function(struct rds_cmd *cmd, const char *function, int nkeys)
{
	rds_cmd(cmd, "FCALL");
	rds_arg(cmd, function);
	rds_arg_int(cmd, nkeys);
}

void
call_read_only(struct rds_cmd *cmd)
{
	static const char command[] = "FCALL_RO";

	cmd->argv[0] = command;
	cmd->len[0] = sizeof(command) - 1;
}

void
call_keys(struct rds_cmd *cmd, const char *function, const char *const *keys)
{
	int n = 0;

	while (keys[n] != NULL)
		n++;
	call_function(cmd, function, n);
	for (int i = 0; i < n; i++)
		rds_arg(cmd, keys[i]);
}

void
call_owner(
    struct rds_cmd *cmd, const char *function, const struct domain_keys *k)
{
	call_keys(cmd, function,
	    (const char *const[]){ k->domain, k->custom, k->cert, k->due,
		k->index, k->gen, k->events, k->removed, k->timeline, NULL });
}

void
call_arg_set(struct rds_cmd *cmd, size_t at, int64_t v)
{
	cmd->len[at] = (size_t)snprintf(
	    cmd->number[at], sizeof(cmd->number[at]), "%lld", (long long)v);
	cmd->argv[at] = cmd->number[at];
}

void
call_done(struct call *c, const struct rds_reply *r, const struct err *e)
{
	(void)r;
	c->tell.done(c->arg, e);
}

void
call_yes(struct call *c, const struct rds_reply *r, const struct err *e)
{
	c->tell.yes(c->arg, r != NULL && reply_int(r) == 1, e);
}

void
call_names(struct call *c, const struct rds_reply *r, const struct err *e)
{
	const char **names;
	size_t n = 0;

	if (e != NULL) {
		c->tell.names(c->arg, NULL, 0, e);
		return;
	}
	names = xcalloc(r->nitems, sizeof(*names));
	for (size_t i = 0; i < r->nitems; i++)
		if (r->item[i].type == RDS_STRING)
			names[n++] = r->item[i].str;
	c->tell.names(c->arg, names, n, NULL);
	free(names);
}

static void
got_forgotten(struct call *c, const struct rds_reply *r, const struct err *e)
{
	(void)c, (void)r;
	if (e == NULL)
		return;
	/* A Redis that is away or takes no writes is told of elsewhere, once. */
	if (e->kind == ERR_BUG || strcmp(e->type, "NOPERM") == 0)
		log_warn("redis: %s %s", e->type, e->text);
	else
		log_debug("redis: %s %s", e->type, e->text);
}

void
call_forget(struct store *s, const struct rds_cmd *cmd)
{
	call_send(call_new(s, NULL), cmd, got_forgotten);
}

/* The stream is cut by the library, with the next event of a domain. */
void
call_event(struct store *s, const char *type, const char *app)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "XADD");
	rds_arg(&cmd, store_key(s, KEY_EVENTS, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, "*");
	rds_arg(&cmd, "type");
	rds_arg(&cmd, type);
	if (app != NULL) {
		rds_arg(&cmd, "app");
		rds_arg(&cmd, app);
	}
	rds_arg(&cmd, "at");
	rds_arg_int(&cmd, loop_wall_ms());
	call_forget(s, &cmd);
}

static size_t
put_text(char *out, size_t room, const char *text)
{
	size_t len = strnlen(text, room);

	memcpy(out, text, len);
	return len;
}

/*
 * The formats are those of redis_keys.h: of "%s" the first is the prefix, the
 * second one the name, and "%d" is the partition.  A certificate takes hundreds.
 */
const char *
store_key(const struct store *s, const char *format, char *out, size_t size,
    int partition, const char *name)
{
	const char *text = s->conf->redis.prefix;
	char number[12];
	size_t at = 0;

	for (const char *p = format; *p != '\0' && at + 1 < size; p++) {
		if (*p != '%') {
			out[at++] = *p;
		} else if (*++p == 's') {
			at += put_text(out + at, size - 1 - at, text);
			text = name;
		} else {
			snprintf(number, sizeof(number), "%d", partition);
			at += put_text(out + at, size - 1 - at, number);
		}
	}
	out[at] = '\0';
	return out;
}

void
domain_keys(const struct store *s, const char *name, struct domain_keys *k)
{
	int p = domain_partition(name, s->partitions);

	store_key(s, KEY_DOMAIN, k->domain, sizeof(k->domain), p, name);
	store_key(s, KEY_CERT, k->cert, sizeof(k->cert), p, name);
	store_key(s, KEY_ORDER, k->order, sizeof(k->order), p, name);
	store_key(s, KEY_DUE, k->due, sizeof(k->due), p, name);
	store_key(s, KEY_INDEX, k->index, sizeof(k->index), p, name);
	store_key(s, KEY_GEN, k->gen, sizeof(k->gen), p, name);
	store_key(s, KEY_EVENTS, k->events, sizeof(k->events), p, name);
	store_key(s, KEY_REMOVED, k->removed, sizeof(k->removed), p, name);
	store_key(s, KEY_CUSTOM, k->custom, sizeof(k->custom), p, name);
	store_key(s, KEY_TIMELINE, k->timeline, sizeof(k->timeline), p, name);
}

int64_t
reply_int(const struct rds_reply *r)
{
	int64_t v = 0;

	if (r->type == RDS_INTEGER)
		return r->integer;
	if (r->type == RDS_STRING)
		str_int(r->str, INT64_MIN, INT64_MAX, &v);
	return v;
}

int
reply_domain(const struct rds_reply *r, struct domain *d, struct err *e)
{
	for (size_t i = 0; i + 1 < r->nitems; i += 2) {
		const struct rds_reply *field = &r->item[i];

		if (field[0].type != RDS_STRING || field[1].type != RDS_STRING)
			return err_set(e, ERR_BUG,
			    "Redis sent a record that is not of strings");
		if (domain_set(d, field[0].str, field[1].str, e) == -1)
			return -1;
	}
	return 0;
}

static bool
leaders_field(const struct domain *d, const char *field)
{
	for (size_t i = 0;
	     i < sizeof(not_the_leaders) / sizeof(not_the_leaders[0]); i++)
		if (not_the_leaders[i][0] == field[0] &&
		    strcmp(not_the_leaders[i], field) == 0)
			return false;
	for (size_t i = 0; i < d->nextra; i++)
		if (strcmp(d->extra[i].name, field) == 0)
			return false;
	return true;
}

struct args {
	const struct domain *d;
	struct rds_cmd *cmd;
	size_t n;
};

static void
put_field(void *arg, const char *field, const char *value)
{
	struct args *a = arg;

	char *copy;

	if (!leaders_field(a->d, field))
		return;
	rds_arg(a->cmd, field);
	/*
	 * A command borrows its text.  What is long lies in the record, but a
	 * number's text is gone when we return: short text is copied.
	 */
	copy = a->cmd->number[a->cmd->argc];
	if (strlen(value) < sizeof(a->cmd->number[0]))
		value = memcpy(copy, value, strlen(value) + 1);
	rds_arg(a->cmd, value);
	a->n++;
}

size_t
domain_args(const struct domain *d, struct rds_cmd *cmd)
{
	struct args a = { d, cmd, 0 };

	domain_each(d, put_field, &a);
	return a.n;
}

static void
put_absent(void *arg, const char *field)
{
	struct args *a = arg;

	if (leaders_field(a->d, field))
		rds_arg(a->cmd, field);
}

void
domain_absent_args(const struct domain *d, struct rds_cmd *cmd)
{
	struct args a = { d, cmd, 0 };

	domain_each_absent(d, put_absent, &a);
}
