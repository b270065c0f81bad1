/* What nodes are to serve: the index, its generation, and the bundles. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/store_call.h"

#define INDEX_PAGE 500 /* entries asked for at a time */

static void
got_gen(struct call *c, const struct rds_reply *r, const struct err *e)
{
	c->tell.gen(c->arg, r != NULL ? reply_int(r) : 0, e);
}

void
store_gen(struct store *s, int partition, store_gen_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.gen = fn;
	rds_cmd(&cmd, "GET");
	rds_arg(&cmd, store_key(s, KEY_GEN, key, sizeof(key), partition, NULL));
	call_send(c, &cmd, got_gen);
}

/* Behind the fingerprint: nothing, or "kind:since". */
static int
choice_parse(char *text, struct store_entry *entry)
{
	char *since = text != NULL ? strchr(text, ':') : NULL;

	if (text == NULL)
		return 0;
	if (since == NULL ||
	    str_int(since + 1, 0, INT64_MAX, &entry->since) == -1)
		return -1;
	*since = '\0';
	entry->custom = strcmp(text, "custom") == 0;
	return entry->custom || strcmp(text, "managed") == 0 ? 0 : -1;
}

/* "version:not_after:sha1[:kind:since]"; -1 when it is something else. */
static int
entry_parse(char *text, struct store_entry *entry)
{
	char *not_after = strchr(text, ':'), *sha1, *choice;

	if (not_after == NULL || (sha1 = strchr(not_after + 1, ':')) == NULL)
		return -1;
	*not_after++ = '\0';
	*sha1++ = '\0';
	choice = strchr(sha1, ':');
	if (choice != NULL)
		*choice++ = '\0';
	entry->sha1 = sha1;
	if (str_int(text, 1, INT64_MAX, &entry->version) == -1 ||
	    str_int(not_after, 0, INT64_MAX, &entry->not_after) == -1 ||
	    strlen(sha1) != 40)
		return -1;
	return choice_parse(choice, entry);
}

static void ask_index(struct call *, const char *cursor);

static void
tell_index(struct call *c, const struct rds_reply *r, bool more)
{
	struct store_entry *entry = xcalloc(r->nitems / 2 + 1, sizeof(*entry));
	char **text = xcalloc(r->nitems / 2 + 1, sizeof(*text));
	size_t n = 0;

	for (size_t i = 0; i + 1 < r->nitems; i += 2) {
		text[n] = xstrdup(r->item[i + 1].str);
		entry[n].name = r->item[i].str;
		if (entry_parse(text[n], &entry[n]) == -1) {
			log_warn("index entry \"%s\" passed over: not ours",
			    r->item[i].str);
			free(text[n]);
		} else {
			n++;
		}
	}
	c->tell.index(c->arg, entry, n, more, NULL);
	for (size_t i = 0; i < n; i++)
		free(text[i]);
	free(text);
	free(entry);
}

/* HSCAN: the cursor, which is "0" at the end, then a page of the hash. */
static void
got_index(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct err bad;
	bool more;

	if (e == NULL && (r->nitems != 2 || r->item[0].type != RDS_STRING)) {
		err_set(&bad, ERR_BUG, "HSCAN answers nonsense");
		e = &bad;
	}
	if (e != NULL) {
		c->tell.index(c->arg, NULL, 0, false, e);
		return;
	}
	more = strcmp(r->item[0].str, "0") != 0;
	/* The next page comes while we work on this one. */
	if (more)
		ask_index(c, r->item[0].str);
	tell_index(c, &r->item[1], more);
}

static void
ask_index(struct call *c, const char *cursor)
{
	struct rds_cmd cmd;

	rds_cmd(&cmd, "HSCAN");
	rds_arg(&cmd, c->state);
	rds_arg(&cmd, cursor);
	rds_arg(&cmd, "COUNT");
	rds_arg_int(&cmd, INDEX_PAGE);
	call_send(c, &cmd, got_index);
}

static void
drop_index(struct call *c)
{
	free(c->state);
}

void
store_index(struct store *s, int partition, store_index_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];

	c->tell.index = fn;
	c->state =
	    xstrdup(store_key(s, KEY_INDEX, key, sizeof(key), partition, NULL));
	c->drop = drop_index;
	ask_index(c, "0");
}

void
store_removed(struct store *s, int partition, store_names_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.names = fn;
	rds_cmd(&cmd, "ZRANGE");
	rds_arg(
	    &cmd, store_key(s, KEY_REMOVED, key, sizeof(key), partition, NULL));
	rds_arg(&cmd, "0");
	rds_arg(&cmd, "-1");
	call_send(c, &cmd, call_names);
}

static void
got_bundle(struct call *c, const struct rds_reply *r, const struct err *e)
{
	if (e != NULL || r->type != RDS_STRING)
		c->tell.bundle(c->arg, NULL, 0, e);
	else
		c->tell.bundle(c->arg, r->str, r->len, NULL);
}

void
store_bundle(struct store *s, const char *name, bool custom,
    store_bundle_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	domain_keys(s, name, &k);
	c->tell.bundle = fn;
	rds_cmd(&cmd, "GET");
	rds_arg(&cmd, custom ? k.custom : k.cert);
	call_send(c, &cmd, got_bundle);
}
