/* Store: what a canary has to prove, and the way back. */
#include "sync/store_canary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/bundle.h"
#include "sync/store_call.h"

/* --- what nodes ask ------------------------------------------------------------- */

/* "sha1:since:node", and perhaps ":custom"; the text is cut. */
static int
canary_parse(char *text, struct store_canary *c)
{
	char *since = strchr(text, ':'), *node, *kind;

	if (since == NULL || since - text != 40 ||
	    (node = strchr(since + 1, ':')) == NULL)
		return -1;
	*since++ = '\0';
	*node++ = '\0';
	kind = strchr(node, ':');
	if (kind != NULL)
		*kind++ = '\0';
	c->sha1 = text;
	c->node = node;
	c->custom = kind != NULL && strcmp(kind, "custom") == 0;
	return str_int(since, 0, INT64_MAX, &c->since);
}

static void
got_canaries(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_canary *list;
	char **text;
	size_t n = 0;

	if (e != NULL) {
		c->tell.canaries(c->arg, NULL, 0, e);
		return;
	}
	list = xcalloc(r->nitems / 2 + 1, sizeof(*list));
	text = xcalloc(r->nitems / 2 + 1, sizeof(*text));
	for (size_t i = 0; i + 1 < r->nitems; i += 2) {
		if (r->item[i].type != RDS_STRING ||
		    r->item[i + 1].type != RDS_STRING)
			continue;
		text[n] = xstrdup(r->item[i + 1].str);
		list[n].name = r->item[i].str;
		if (canary_parse(text[n], &list[n]) == 0)
			n++;
		else
			free(text[n]);
	}
	c->tell.canaries(c->arg, list, n, NULL);
	while (n > 0)
		free(text[--n]);
	free(text);
	free(list);
}

void
store_canaries(struct store *s, int partition, store_canaries_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.canaries = fn;
	rds_cmd(&cmd, "HGETALL");
	rds_arg(
	    &cmd, store_key(s, KEY_CANARY, key, sizeof(key), partition, NULL));
	call_send(c, &cmd, got_canaries);
}

static void
got_bundle(struct call *c, const struct rds_reply *r, const struct err *e)
{
	bool there = e == NULL && r->type == RDS_STRING;

	c->tell.bundle(c->arg, there ? r->str : NULL, there ? r->len : 0, e);
}

static void
get_beside(struct store *s, const char *name, bool custom, const char *what,
    store_bundle_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;
	char key[KEY_MAX + 16];

	domain_keys(s, name, &k);
	snprintf(key, sizeof(key), "%s%s", custom ? k.custom : k.cert, what);
	c->tell.bundle = fn;
	rds_cmd(&cmd, "GET");
	rds_arg(&cmd, key);
	call_send(c, &cmd, got_bundle);
}

void
store_next(struct store *s, const char *name, bool custom, store_bundle_fn *fn,
    void *arg)
{
	get_beside(s, name, custom, KEY_NEXT, fn, arg);
}

void
store_previous(struct store *s, const char *name, bool custom,
    store_bundle_fn *fn, void *arg)
{
	get_beside(s, name, custom, KEY_PREVIOUS, fn, arg);
}

void
store_indexed(struct store *s, const char *name, store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.yes = fn;
	rds_cmd(&cmd, "HEXISTS");
	rds_arg(&cmd, k.index);
	rds_arg(&cmd, name);
	call_send(c, &cmd, call_yes);
}

void
store_say(struct store *s, const char *text)
{
	char channel[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "PUBLISH");
	rds_arg(&cmd,
	    store_key(s, CHANNEL_ACKS, channel, sizeof(channel), 0, NULL));
	rds_arg(&cmd, text);
	call_forget(s, &cmd);
}

/* --- what the leader does ----------------------------------------------------------- */

static const char *
field_text(const struct rds_reply *r, const char *name)
{
	const char *value = rds_field(r, name);

	return value != NULL ? value : "";
}

static int64_t
field_int(const struct rds_reply *r, const char *name)
{
	int64_t v = 0;

	str_int(field_text(r, name), 0, INT64_MAX, &v);
	return v;
}

static void
got_staged(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_staged s = { 0 };

	if (e != NULL) {
		c->tell.staged(c->arg, NULL, e);
		return;
	}
	s.sha1 = field_text(r, "sha1");
	s.node = field_text(r, "node");
	s.why = field_text(r, "why");
	s.tried = field_text(r, "tried");
	s.at = field_int(r, "at");
	s.since = field_int(r, "since");
	s.not_after = field_int(r, "not_after");
	s.stops = field_int(r, "stops");
	s.custom = strcmp(field_text(r, "kind"), "custom") == 0;
	s.imported = strcmp(field_text(r, "kind"), "imported") == 0;
	c->tell.staged(c->arg, &s, NULL);
}

void
store_staged(struct store *s, const char *name, bool custom,
    store_staged_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;
	char key[KEY_MAX + 16];

	domain_keys(s, name, &k);
	snprintf(
	    key, sizeof(key), "%s%s", custom ? k.custom : k.cert, KEY_STAGED);
	c->tell.staged = fn;
	rds_cmd(&cmd, "HGETALL");
	rds_arg(&cmd, key);
	call_send(c, &cmd, got_staged);
}

void
store_canary(struct store *s, const char *name, int64_t epoch,
    const struct store_staged *staged, int64_t next_at, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.done = fn;
	call_keys(&cmd, "certfleet_canary",
	    (const char *const[]){ k.domain, staged->custom ? k.custom : k.cert,
		k.due, k.events, k.timeline, NULL });
	rds_arg_int(&cmd, epoch);
	rds_arg(&cmd, name);
	rds_arg(&cmd, staged->sha1);
	rds_arg(&cmd, staged->node);
	rds_arg_int(&cmd, next_at);
	rds_arg(&cmd, staged->why);
	rds_arg(&cmd, staged->tried);
	if (staged->custom)
		rds_arg(&cmd, "custom");
	call_send(c, &cmd, call_done);
}

void
store_promote(struct store *s, const char *name, int64_t epoch,
    const struct store_staged *staged, store_commit_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.commit = fn;
	if (staged->custom) {
		call_owner(&cmd, "certfleet_custom_promote", &k);
		rds_arg(&cmd, name);
		rds_arg_int(&cmd, epoch);
	} else {
		call_keys(&cmd, "certfleet_promote",
		    (const char *const[]){ k.domain, k.cert, k.order, k.due,
			k.index, k.gen, k.events, k.timeline, NULL });
		rds_arg_int(&cmd, epoch);
		rds_arg(&cmd, name);
	}
	rds_arg(&cmd, staged->sha1);
	call_send(c, &cmd, call_committed);
}

void
store_unstaged(struct store *s, const char *name, int64_t epoch, bool custom,
    store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.done = fn;
	if (custom) {
		call_owner(&cmd, "certfleet_custom_unstaged", &k);
		rds_arg(&cmd, name);
	} else {
		call_keys(&cmd, "certfleet_unstaged",
		    (const char *const[]){ k.domain, k.cert, NULL });
	}
	rds_arg_int(&cmd, epoch);
	call_send(c, &cmd, call_done);
}

/* --- the way back ----------------------------------------------------------------------- */

int
store_bundle_look(struct store *s, const char *name, const void *bundle,
    size_t len, struct cert *cert, struct err *e)
{
	char *key = NULL;
	int rc = bundle_open(
	    s->ring, name, bundle, len, loop_wall_ms(), cert, &key, e);

	mem_wipe_free(key);
	return rc;
}

static void
put(struct rds_cmd *cmd, const char *field, const char *value)
{
	rds_arg(cmd, field);
	rds_arg(cmd, value);
}

static void
put_int(struct rds_cmd *cmd, const char *field, int64_t value)
{
	rds_arg(cmd, field);
	rds_arg_int(cmd, value);
}

void
store_rollback(struct store *s, const struct domain *d, const void *bundle,
    size_t len, const char *who, const char *why, store_commit_fn *fn,
    void *arg)
{
	struct call *c = call_new(s, arg);
	bool custom = d->custom_sha1[0] != '\0';
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, d->name, &k);
	c->tell.commit = fn;
	call_owner(&cmd, "certfleet_rollback", &k);
	rds_arg(&cmd, d->name);
	rds_arg(&cmd, custom ? d->custom_sha1 : d->sha1);
	rds_arg_int(&cmd, custom ? d->custom_not_after : d->not_after);
	rds_arg_mem(&cmd, bundle, len);
	rds_arg(&cmd, who);
	rds_arg(&cmd, why);
	if (custom) {
		/* What tells of it is where it is. */
		rds_arg_int(&cmd, 0);
		rds_arg(&cmd, "custom");
		call_send(c, &cmd, call_committed);
		return;
	}
	rds_arg_int(&cmd, 7); /* fields follow */
	put(&cmd, "sha1", d->sha1);
	put(&cmd, "serial", d->serial);
	put(&cmd, "issuer", d->issuer);
	put(&cmd, "ca", d->ca);
	put_int(&cmd, "not_before", d->not_before);
	put_int(&cmd, "not_after", d->not_after);
	put_int(&cmd, "renew_at", d->renew_at);
	call_send(c, &cmd, call_committed);
}
