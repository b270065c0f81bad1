#include "sync/fleet_line.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/b64.h"
#include "common/mem.h"
#include "common/str.h"

#define PAIRS_MAX 40 /* in one command */

static const char *const shapes[FLEET_SHAPES] = { "string", "hash", "set",
	"list", "zset" };

json_t *
fleet_text(const char *bytes, size_t len)
{
	json_t *text = json_stringn(bytes, len), *o;
	char *b64;

	if (text != NULL && memchr(bytes, '\0', len) == NULL)
		return text;
	json_decref(text);
	b64 = xmalloc(B64_SIZE(len));
	b64_encode(b64, bytes, len);
	o = json_pack("{s:s}", "b64", b64);
	free(b64);
	return o;
}

int
fleet_bytes(const json_t *v, struct buf *out)
{
	const json_t *b64 = json_object_get(v, "b64");
	const char *text = json_string_value(b64);
	size_t len = json_string_length(b64);
	uint8_t *bytes;
	ptrdiff_t n;

	if (json_is_string(v)) {
		buf_put(out, json_string_value(v), json_string_length(v));
		return 0;
	}
	if (text == NULL)
		return -1;
	bytes = xmalloc(len + 1);
	n = b64_decode(bytes, text, len);
	if (n >= 0)
		buf_put(out, bytes, (size_t)n);
	free(bytes);
	return n >= 0 ? 0 : -1;
}

/* --- from Redis --------------------------------------------------------------- */

static json_t *
one(const struct rds_reply *r)
{
	return fleet_text(r->str != NULL ? r->str : "", r->len);
}

static json_t *
pairs(const struct rds_reply *r)
{
	json_t *o = json_object();

	for (size_t i = 0; i + 1 < r->nitems; i += 2)
		if (r->item[i].type == RDS_STRING)
			json_object_set_new(
			    o, r->item[i].str, one(&r->item[i + 1]));
	return o;
}

static json_t *
items(const struct rds_reply *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->nitems; i++)
		json_array_append_new(list, one(&r->item[i]));
	return list;
}

static int
by_text(const void *a, const void *b)
{
	const struct rds_reply *x = a, *y = b;

	return strcmp(
	    x->str != NULL ? x->str : "", y->str != NULL ? y->str : "");
}

/* In order: a set has none of its own. */
static json_t *
sorted(const struct rds_reply *r)
{
	struct rds_reply copy = *r;
	json_t *list;

	copy.item = xcalloc(r->nitems, sizeof(*r->item));
	memcpy(copy.item, r->item, r->nitems * sizeof(*r->item));
	if (r->nitems > 1)
		qsort(copy.item, copy.nitems, sizeof(*copy.item), by_text);
	list = items(&copy);
	free(copy.item);
	return list;
}

json_t *
fleet_value(enum fleet_shape shape, const struct rds_reply *r)
{
	json_t *v;

	if (shape == FLEET_STRING)
		v = r->type == RDS_STRING ? one(r) : NULL;
	else if (r->type != RDS_ARRAY || r->nitems == 0)
		v = NULL;
	else if (shape == FLEET_SET)
		v = sorted(r);
	else
		v = shape == FLEET_LIST ? items(r) : pairs(r);
	return v != NULL ? json_pack("{s:o}", shapes[shape], v) : NULL;
}

/* --- into Redis ----------------------------------------------------------------- */

/* A command that grows until it is full; bytes holds what it points at. */
struct filling {
	struct rds_cmd cmd;
	struct buf bytes;
	size_t at[2 * PAIRS_MAX], len[2 * PAIRS_MAX], n;
	const char *verb, *key;
	fleet_command_fn *fn;
	void *arg;
};

static void
flush(struct filling *f)
{
	if (f->n == 0)
		return;
	rds_cmd(&f->cmd, f->verb);
	rds_arg(&f->cmd, f->key);
	for (size_t i = 0; i < f->n; i++)
		rds_arg_mem(&f->cmd, f->bytes.p + f->at[i], f->len[i]);
	f->fn(f->arg, &f->cmd);
	buf_wipe(&f->bytes);
	buf_init(&f->bytes, FLEET_LINE_MAX);
	f->n = 0;
}

static int
add(struct filling *f, const json_t *v)
{
	f->at[f->n] = f->bytes.len;
	if (fleet_bytes(v, &f->bytes) == -1)
		return -1;
	f->len[f->n] = f->bytes.len - f->at[f->n];
	f->n++;
	return 0;
}

static void
add_text(struct filling *f, const char *text)
{
	f->at[f->n] = f->bytes.len;
	buf_puts(&f->bytes, text);
	f->len[f->n++] = strlen(text);
}

/* HSET has the field first, ZADD the score. */
static int
add_pairs(struct filling *f, json_t *o, bool score_first)
{
	const char *name;
	json_t *v;

	json_object_foreach (o, name, v) {
		if (!score_first)
			add_text(f, name);
		if (add(f, v) == -1)
			return -1;
		if (score_first)
			add_text(f, name);
		if (f->n == 2 * PAIRS_MAX)
			flush(f);
	}
	return 0;
}

static int
add_items(struct filling *f, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach (list, i, v) {
		if (add(f, v) == -1)
			return -1;
		if (f->n == PAIRS_MAX)
			flush(f);
	}
	return 0;
}

static int
put(struct filling *f, enum fleet_shape shape, json_t *v)
{
	static const char *const verbs[FLEET_SHAPES] = { "SET", "HSET", "SADD",
		"RPUSH", "ZADD" };

	f->verb = verbs[shape];
	switch (shape) {
	case FLEET_STRING:
		return add(f, v);
	case FLEET_HASH:
	case FLEET_ZSET:
		return json_is_object(v) ? add_pairs(f, v, shape == FLEET_ZSET)
		                         : -1;
	case FLEET_SET:
	case FLEET_LIST:
		return json_is_array(v) ? add_items(f, v) : -1;
	case FLEET_SHAPES:
		break;
	}
	return -1;
}

int
fleet_put(const char *key, const json_t *value, fleet_command_fn *fn, void *arg,
    struct err *e)
{
	struct filling f = { .key = key, .fn = fn, .arg = arg };
	int rc = -1;

	buf_init(&f.bytes, FLEET_LINE_MAX);
	for (int s = 0; s < FLEET_SHAPES; s++) {
		json_t *v = json_object_get(value, shapes[s]);

		if (v != NULL)
			rc = put(&f, (enum fleet_shape)s, v);
	}
	if (rc == 0)
		flush(&f);
	buf_wipe(&f.bytes);
	return rc == 0 ? 0
	               : err_set(e, ERR_REFUSED,
			     "what it has for %s is no value", key);
}

void
fleet_digest(struct fleet_digest *d, const json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS);
	const char *kind = json_string_value(json_object_get(line, "kind"));
	uint8_t one_line[EVP_MAX_MD_SIZE];

	EVP_Digest(text, strlen(text), one_line, NULL, EVP_sha256(), NULL);
	free(text);
	for (size_t i = 0; i < sizeof(d->byte); i++)
		d->byte[i] ^= one_line[i];
	d->lines++;
	d->domains += kind != NULL && strcmp(kind, "domain") == 0;
}
