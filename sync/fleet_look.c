/* Asking a fleet's Redis: for one key, and what there is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/mem.h"
#include "common/redis_keys.h"
#include "common/str.h"
#include "sync/fleet_read_impl.h"

#define SCAN_COUNT 1000

/* What an answer is put into. */
struct want {
	json_t *into;
	const char *member;
	enum fleet_shape shape;
	bool text; /* the text itself, no value */
};

static void
got(void *arg, const struct rds_reply *r)
{
	struct want *w = arg;
	json_t *v = NULL;

	if (r == NULL)
		v = NULL;
	else if (w->text && r->type == RDS_STRING)
		v = fleet_text(r->str, r->len);
	else if (!w->text)
		v = fleet_value(w->shape, r);
	if (v != NULL)
		json_object_set_new(w->into, w->member, v);
	free(w);
}

void
fleet_ask(struct reader *r, const struct rds_cmd *cmd, json_t *into,
    const char *member, enum fleet_shape shape, bool text)
{
	struct want *w = xcalloc(1, sizeof(*w));

	*w = (struct want){ into, member, shape, text };
	link_send(r->link, cmd, got, w);
}

void
fleet_ask_key(struct reader *r, const char *key, enum fleet_shape shape,
    json_t *into, const char *member)
{
	static const char *const verbs[FLEET_SHAPES] = { "GET", "HGETALL",
		"SMEMBERS", "LRANGE", "ZRANGE" };
	struct rds_cmd cmd;

	rds_cmd(&cmd, verbs[shape]);
	rds_arg(&cmd, key);
	if (shape == FLEET_LIST || shape == FLEET_ZSET) {
		rds_arg(&cmd, "0");
		rds_arg(&cmd, "-1");
	}
	if (shape == FLEET_ZSET)
		rds_arg(&cmd, "WITHSCORES");
	fleet_ask(r, &cmd, into, member, shape, false);
}

static void
got_scan(void *arg, const struct rds_reply *r)
{
	struct scan *s = arg;
	json_t *list;

	snprintf(s->cursor, sizeof(s->cursor), "0");
	if (r == NULL || r->type != RDS_ARRAY || r->nitems != 2 ||
	    r->item[0].type != RDS_STRING)
		return;
	snprintf(s->cursor, sizeof(s->cursor), "%.31s", r->item[0].str);
	list = fleet_value(FLEET_LIST, &r->item[1]);
	json_array_extend(s->keys, json_object_get(list, "list"));
	json_decref(list);
}

/* A function, so that a Cluster asks the server that has the key. */
void
fleet_send_scan(
    struct link *link, struct scan *s, const char *at, const char *pattern)
{
	struct rds_cmd cmd;

	rds_cmd(&cmd, "FCALL");
	rds_arg(&cmd, "certfleet_scan");
	rds_arg_int(&cmd, 1);
	rds_arg(&cmd, at);
	rds_arg(&cmd, s->cursor);
	rds_arg(&cmd, pattern);
	rds_arg_int(&cmd, SCAN_COUNT);
	link_send(link, &cmd, got_scan, s);
}

int
fleet_read_any(
    struct link *link, const struct conf *conf, int partition, struct err *e)
{
	struct scan s = { .cursor = "0", .keys = json_array() };
	char at[FLEET_KEY_MAX], *pattern;
	int rc;

	pattern = xasprintf("%s*", conf->redis.prefix);
	fleet_key(conf, KEY_GEN, partition, NULL, at);
	do {
		fleet_send_scan(link, &s, at, pattern);
		rc = link_wait(link, e);
	} while (rc == 0 && strcmp(s.cursor, "0") != 0 &&
		 json_array_size(s.keys) == 0);
	if (rc == 0)
		rc = json_array_size(s.keys) > 0;
	json_decref(s.keys);
	free(pattern);
	return rc;
}

int
fleet_read_gens(struct link *link, const struct conf *conf, int partitions,
    json_t *gens, struct err *e)
{
	struct reader r = { .link = link, .conf = conf };

	for (int i = 0; i < partitions; i++) {
		json_t *o = json_object();
		char key[FLEET_KEY_MAX];
		const char *text;
		int64_t gen = 0;

		fleet_ask_key(&r, fleet_key(conf, KEY_GEN, i, NULL, key),
		    FLEET_STRING, o, "gen");
		if (link_wait(link, e) == -1) {
			json_decref(o);
			return -1;
		}
		text = json_string_value(
		    json_object_get(json_object_get(o, "gen"), "string"));
		if (text != NULL)
			str_int(text, 0, INT64_MAX, &gen);
		json_array_append_new(gens, json_integer(gen));
		json_decref(o);
	}
	return 0;
}

json_t *
fleet_read_meta(struct link *link, const struct conf *conf, struct err *e)
{
	struct reader r = { .link = link, .conf = conf };
	json_t *o = json_object(), *meta = NULL;
	char key[FLEET_KEY_MAX];

	fleet_ask_key(
	    &r, fleet_key(conf, KEY_META, 0, NULL, key), FLEET_HASH, o, "meta");
	if (link_wait(link, e) == 0) {
		meta = json_incref(
		    json_object_get(json_object_get(o, "meta"), "hash"));
		if (meta == NULL)
			meta = json_object();
	}
	json_decref(o);
	return meta;
}
