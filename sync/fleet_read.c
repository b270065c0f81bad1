#include "sync/fleet_read.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/mem.h"
#include "common/redis_keys.h"
#include "common/str.h"
#include "sync/fleet_read_impl.h"

#define PAGE 200

/* What a list of all has for a name. */
static void
ask_in(struct reader *r, const char *verb, const char *format, int partition,
    const char *name, json_t *into, const char *member)
{
	char key[FLEET_KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, verb);
	rds_arg(&cmd, fleet_key(r->conf, format, partition, NULL, key));
	rds_arg(&cmd, name);
	fleet_ask(r, &cmd, into, member, FLEET_STRING, true);
}

/* --- domains ---------------------------------------------------------------------- */

static json_t *
ask_domain(struct reader *r, int partition, const char *name)
{
	json_t *line = json_pack("{s:s, s:s}", "kind", "domain", "name", name);
	char key[FLEET_KEY_MAX], whole[FLEET_KEY_MAX + 16];

	for (int i = 0; i < FLEET_PARTS; i++) {
		const struct fleet_part *p = &fleet_parts[i];

		fleet_key(r->conf, p->format, partition, name, key);
		snprintf(whole, sizeof(whole), "%s%s", key, p->suffix);
		fleet_ask_key(
		    r, whole, (enum fleet_shape)p->shape, line, p->member);
	}
	ask_in(r, "HGET", KEY_INDEX, partition, name, line, "index");
	ask_in(r, "HGET", KEY_CANARY, partition, name, line, "canary");
	ask_in(r, "ZSCORE", KEY_DUE, partition, name, line, "due");
	return line;
}

/* Accounts go by the CAs that were used, as store_account.c names them. */
static void
add_ca(struct reader *r, const char *directory)
{
	char name[256];

	if (str_has_prefix(directory, "https://"))
		directory += strlen("https://");
	snprintf(name, sizeof(name), "%.255s", directory);
	if (name[0] != '\0')
		json_object_set_new(r->cas, name, json_true());
}

static void
note_ca(struct reader *r, const json_t *line)
{
	const json_t *record =
	    json_object_get(json_object_get(line, "record"), "hash");
	const char *ca = json_string_value(json_object_get(record, "ca"));

	if (ca != NULL)
		add_ca(r, ca);
}

/* A name without a record was removed in between. */
static int
tell(struct reader *r, const json_t *line, struct err *e)
{
	const char *kind = json_string_value(json_object_get(line, "kind"));

	if (strcmp(kind, "domain") != 0)
		return r->fn(r->arg, line, e);
	if (json_object_get(line, "record") == NULL)
		return 0;
	note_ca(r, line);
	return r->fn(r->arg, line, e);
}

/* The names that are in *page, all at the same time. */
static int
read_names(struct reader *r, int partition, const json_t *page, struct err *e)
{
	json_t *lines = json_array();
	const json_t *v, *line;
	size_t i;
	int rc;

	json_array_foreach (page, i, v)
		if (json_is_string(v))
			json_array_append_new(lines,
			    ask_domain(r, partition, json_string_value(v)));
	rc = link_wait(r->link, e);
	json_array_foreach (lines, i, line)
		if (rc == 0)
			rc = tell(r, line, e);
	json_decref(lines);
	return rc;
}

/* A page of a sorted set from offset on, scores where they are wanted. */
static json_t *
read_page(struct reader *r, const char *format, int partition, size_t offset,
    bool scores, struct err *e)
{
	json_t *o = json_object(), *page;
	char key[FLEET_KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "ZRANGE");
	rds_arg(&cmd, fleet_key(r->conf, format, partition, NULL, key));
	rds_arg_int(&cmd, (int64_t)offset);
	rds_arg_int(&cmd, (int64_t)offset + PAGE - 1);
	if (scores)
		rds_arg(&cmd, "WITHSCORES");
	fleet_ask(r, &cmd, o, "page", FLEET_LIST, false);
	if (link_wait(r->link, e) == -1) {
		json_decref(o);
		return NULL;
	}
	page = json_incref(json_object_get(json_object_get(o, "page"), "list"));
	json_decref(o);
	return page != NULL ? page : json_array();
}

static int
read_domains(struct reader *r, int partition, struct err *e)
{
	size_t offset = 0, n;
	json_t *page;
	int rc;

	do {
		page = read_page(r, KEY_NAMES, partition, offset, false, e);
		if (page == NULL)
			return -1;
		rc = read_names(r, partition, page, e);
		n = json_array_size(page);
		offset += n;
		json_decref(page);
	} while (rc == 0 && n == PAGE);
	return rc;
}

static int
read_removed(struct reader *r, int partition, struct err *e)
{
	size_t offset = 0, n;
	json_t *page, *line;
	int rc = 0;

	do {
		page = read_page(r, KEY_REMOVED, partition, offset, true, e);
		if (page == NULL)
			return -1;
		n = json_array_size(page);
		for (size_t i = 0; rc == 0 && i + 1 < n; i += 2) {
			line = json_pack("{s:s, s:O, s:O}", "kind", "removed",
			    "name", json_array_get(page, i), "at",
			    json_array_get(page, i + 1));
			rc = tell(r, line, e);
			json_decref(line);
		}
		offset += n / 2;
		json_decref(page);
	} while (rc == 0 && n == 2 * PAGE);
	return rc;
}

/* --- what is there once, and apps --------------------------------------------------- */

/* One key, as a line of its own when there is anything. */
static int
read_key(struct reader *r, const char *kind, const char *name, const char *key,
    enum fleet_shape shape, struct err *e)
{
	json_t *line = json_pack("{s:s, s:s}", "kind", kind, "name", name);
	int rc;

	fleet_ask_key(r, key, shape, line, "value");
	rc = link_wait(r->link, e);
	if (rc == 0 && json_object_get(line, "value") != NULL)
		rc = tell(r, line, e);
	json_decref(line);
	return rc;
}

static int
read_singles(struct reader *r, struct err *e)
{
	char key[FLEET_KEY_MAX];
	int rc = 0;

	for (int i = 0; rc == 0 && i < FLEET_SINGLES; i++) {
		const struct fleet_part *p = &fleet_singles[i];

		fleet_key(r->conf, p->format, 0, NULL, key);
		rc = read_key(
		    r, "single", p->member, key, (enum fleet_shape)p->shape, e);
	}
	return rc;
}

static int
read_app(struct reader *r, const char *app, struct err *e)
{
	char key[FLEET_KEY_MAX];

	fleet_key(r->conf, KEY_APP, 0, app, key);
	if (read_key(r, "app", app, key, FLEET_SET, e) != 0)
		return -1;
	fleet_key(r->conf, KEY_ENV, 0, app, key);
	return read_key(r, "env", app, key, FLEET_STRING, e);
}

static int
read_apps(struct reader *r, struct err *e)
{
	json_t *o = json_object();
	char key[FLEET_KEY_MAX];
	const json_t *v;
	size_t i;
	int rc;

	fleet_ask_key(r, fleet_key(r->conf, KEY_APPS, 0, NULL, key), FLEET_SET,
	    o, "apps");
	rc = link_wait(r->link, e);
	json_array_foreach (
	    json_object_get(json_object_get(o, "apps"), "set"), i, v)
		if (rc == 0 && json_is_string(v))
			rc = read_app(r, json_string_value(v), e);
	json_decref(o);
	return rc;
}

static int
read_accounts(struct reader *r, struct err *e)
{
	char key[FLEET_KEY_MAX];
	const char *ca;
	json_t *unused;
	int rc = 0;

	add_ca(r, r->conf->acme.directory);
	add_ca(r, r->conf->acme_fallback.directory);
	json_object_foreach (r->cas, ca, unused) {
		if (rc != 0)
			break;
		fleet_key(r->conf, KEY_ACCOUNT, 0, ca, key);
		rc = read_key(r, "account", ca, key, FLEET_STRING, e);
	}
	return rc;
}

/* --- what has no list: found by looking at all keys ------------------------------------ */

/* How long it is kept does not count as a difference. */
static int
read_limit(struct reader *r, const char *name, struct err *e)
{
	json_t *line = json_pack("{s:s, s:s}", "kind", "limit", "name", name);
	char key[FLEET_KEY_MAX];
	int rc;

	fleet_limit_key(r->conf, name, key);
	fleet_ask_key(r, key, FLEET_ZSET, line, "value");
	rc = link_wait(r->link, e);
	if (rc == 0 && json_object_get(line, "value") != NULL)
		rc = tell(r, line, e);
	json_decref(line);
	return rc;
}

static int
read_limits(struct reader *r, struct err *e)
{
	struct scan s = { .cursor = "0", .keys = json_array() };
	char at[FLEET_KEY_MAX], *pattern;
	const json_t *key;
	size_t i, skip;
	int rc;

	fleet_limit_key(r->conf, "", at);
	skip = strlen(at);
	pattern = xasprintf("%s*", at);
	do {
		fleet_send_scan(r->link, &s, at, pattern);
		rc = link_wait(r->link, e);
		json_array_foreach (s.keys, i, key)
			if (rc == 0 && json_string_length(key) > skip)
				rc = read_limit(
				    r, json_string_value(key) + skip, e);
		json_array_clear(s.keys);
	} while (rc == 0 && strcmp(s.cursor, "0") != 0);
	json_decref(s.keys);
	free(pattern);
	return rc;
}

/* --- all of it --------------------------------------------------------------------------- */

int
fleet_read(struct link *link, const struct conf *conf, int partitions,
    fleet_read_fn *fn, void *arg, struct err *e)
{
	struct reader r = { .link = link,
		.conf = conf,
		.partitions = partitions,
		.fn = fn,
		.arg = arg,
		.cas = json_object() };
	int rc = 0;

	for (int i = 0; rc == 0 && i < partitions; i++) {
		rc = read_domains(&r, i, e);
		if (rc == 0)
			rc = read_removed(&r, i, e);
	}
	if (rc == 0)
		rc = read_singles(&r, e);
	if (rc == 0)
		rc = read_apps(&r, e);
	if (rc == 0)
		rc = read_accounts(&r, e);
	if (rc == 0)
		rc = read_limits(&r, e);
	json_decref(r.cas);
	return rc;
}
