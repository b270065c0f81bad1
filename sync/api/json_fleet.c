/* Nodes, counts and events as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "sync/api/json.h"

#define YEAR_10000 INT64_C(253402300800000) /* no time of ours is beyond */

/* The node's error for this name in "name=why; name=why", or "". */
static const char *
node_error(
    const struct store_node *node, const char *name, char *out, size_t size)
{
	const char *p = node->errors;
	size_t len = strlen(name), end;

	out[0] = '\0';
	while (*p != '\0') {
		end = strcspn(p, ";");
		if (end > len && p[len] == '=' && memcmp(p, name, len) == 0) {
			snprintf(out, size, "%.*s", (int)(end - len - 1),
			    p + len + 1);
			break;
		}
		p += end;
		p += strspn(p, "; ");
	}
	return out;
}

static json_t *
serving(const struct domain *d, const struct store_node *node, bool failed)
{
	if (d->version == 0 || failed)
		return json_false();
	return json_boolean(gens_reached(&node->gens, d->name, d->gen));
}

json_t *
json_serving(const struct domain *d, const struct store_node *node, size_t n)
{
	json_t *list = json_array();
	char error[sizeof(node->errors)];

	for (size_t i = 0; i < n; i++) {
		node_error(&node[i], d->name, error, sizeof(error));
		json_array_append_new(
		    list, json_pack("{s:o, s:b, s:o, s:o}", "id",
			      json_text(node[i].id), "live", (int)node[i].live,
			      "serving", serving(d, &node[i], error[0] != '\0'),
			      "error", json_text(error)));
	}
	return list;
}

/* "a, b" as a list. */
static json_t *
words(const char *s)
{
	json_t *list = json_array();
	char word[64];

	while (*s != '\0') {
		size_t len = strcspn(s, ", ");

		if (len > 0 && len < sizeof(word)) {
			memcpy(word, s, len);
			word[len] = '\0';
			json_array_append_new(list, json_text(word));
		}
		s += len;
		s += strspn(s, ", ");
	}
	return list;
}

static json_t *
applied(const struct gens *g)
{
	json_t *list = json_array();

	for (int i = 0; i < g->n; i++)
		json_array_append_new(list, json_integer(g->gen[i]));
	return list;
}

/* "name=value; name=value" as a list. */
static json_t *
pairs(const char *p, const char *key)
{
	json_t *list = json_array();
	char one[sizeof(((struct store_node *)NULL)->errors)], *why;

	while (*p != '\0') {
		size_t len = strcspn(p, ";");

		snprintf(one, sizeof(one), "%.*s", (int)len, p);
		why = strchr(one, '=');
		if (why != NULL)
			*why++ = '\0';
		if (len > 0)
			json_array_append_new(list,
			    json_pack("{s:o, s:o}", "name", json_text(one), key,
				json_text(why != NULL ? why : "")));
		p += len;
		p += strspn(p, "; ");
	}
	return list;
}

static json_t *
node_errors(const char *text)
{
	return pairs(text, "error");
}

/* What is shown in place of what is wanted. */
static json_t *
node_differs(const char *text)
{
	return pairs(text, "sha1");
}

json_t *
json_node(const struct store_node *n)
{
	return json_pack("{s:o, s:b, s:b, s:b, s:o, s:I, s:o, s:o, s:o, s:I, "
			 "s:I, s:I, s:o, s:o, s:o, s:o}",
	    "id", json_text(n->id), "live", (int)n->live, "leader",
	    (int)n->leader, "barrier", (int)n->barrier, "at", json_time(n->at),
	    "gen", (json_int_t)gens_sum(&n->gens), "version",
	    json_text(n->version), "haproxy", words(n->haproxy), "haproxy_pids",
	    words(n->haproxy_pids), "wanted", (json_int_t)n->wanted, "served",
	    (json_int_t)n->served, "failed", (json_int_t)n->failed, "errors",
	    node_errors(n->errors), "applied", applied(&n->gens), "digest",
	    json_text(n->digest), "differs", node_differs(n->differs));
}

/* --- what they serve, and how far they are ----------------------------------- */

static json_t *
text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return json_text(text != NULL ? text : "");
}

json_t *
json_shown(const json_t *said)
{
	json_int_t since = json_integer_value(json_object_get(said, "since"));

	return json_pack("{s:o, s:o, s:I, s:o, s:b, s:o}", "sha1",
	    text_of(said, "sha1"), "wanted", text_of(said, "wanted"), "version",
	    json_integer_value(json_object_get(said, "version")), "since",
	    json_time(since > 0 && since < YEAR_10000 ? since : 0), "trial",
	    json_is_true(json_object_get(said, "trial")), "error",
	    text_of(said, "error"));
}

/* null: the leader is not as far, or there is none. */
static json_t *
agrees(const struct store_node *its, const struct store_node *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (all[i].live && all[i].leader && its->live &&
		    gens_equal(&all[i].gens, &its->gens))
			return json_boolean(
			    strcmp(all[i].digest, its->digest) == 0);
	return json_null();
}

/* A node that has not heard of more is behind since its last beat. */
static json_t *
lag(const struct store_node *its, const struct gens *now, int64_t now_ms)
{
	int64_t behind = 0, since = its->behind_at;

	for (int i = 0; i < now->n; i++) {
		int64_t has = i < its->gens.n ? its->gens.gen[i] : 0;

		if (now->gen[i] > has && now->gen[i] - has < INT64_C(1) << 52)
			behind += now->gen[i] - has;
	}
	if (since == 0 || since > its->at)
		since = its->at;
	return json_pack("{s:I, s:f}", "generations", (json_int_t)behind,
	    "seconds",
	    behind > 0 && now_ms > since ? (double)(now_ms - since) / 1000 : 0);
}

void
json_compare(json_t *node, const struct store_node *its,
    const struct store_node *all, size_t n, const struct gens *now,
    int64_t now_ms)
{
	json_object_set_new(node, "lag", lag(its, now, now_ms));
	json_object_set_new(node, "agrees", agrees(its, all, n));
}

json_t *
json_counts(const struct store_counts *counts)
{
	json_t *o = json_pack("{s:I}", "total", (json_int_t)counts->total);

	for (int s = 0; s < DOMAIN_STATUSES; s++)
		json_object_set_new(o,
		    domain_status_name((enum domain_status)s),
		    json_integer(counts->status[s]));
	return o;
}

int
stream_id_parse(const char *s, struct stream_id *id)
{
	char *end;

	*id = (struct stream_id){ 0, 0 };
	if (*s < '0' || *s > '9')
		return -1;
	id->ms = strtoull(s, &end, 10);
	if (*end == '\0')
		return 0;
	if (*end != '-' || end[1] < '0' || end[1] > '9')
		return -1;
	id->seq = strtoull(end + 1, &end, 10);
	return *end == '\0' ? 0 : -1;
}

int
stream_id_compare(struct stream_id a, struct stream_id b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	if (a.seq != b.seq)
		return a.seq < b.seq ? -1 : 1;
	return 0;
}

static json_t *
event_value(const char *field, const char *value)
{
	static const char *const numbers[] = { "version", "gen", "attempts",
		"epoch", "answer", "proven" };
	size_t n = sizeof(numbers) / sizeof(numbers[0]);
	int64_t v;

	if (str_int(value, 0, INT64_MAX, &v) == -1)
		return json_text(value);
	if ((strcmp(field, "at") == 0 || str_has_suffix(field, "_at") ||
		str_has_suffix(field, "_after")) &&
	    v < YEAR_10000)
		return json_time(v);
	for (size_t i = 0; i < n; i++)
		if (strcmp(field, numbers[i]) == 0)
			return json_integer(v);
	return json_text(value);
}

json_t *
json_event(const char *id, const char *const *field, size_t nfields)
{
	json_t *o = json_object(), *key;

	json_object_set_new(o, "id", json_text(id));
	for (size_t i = 0; i < nfields; i++) {
		key = json_text(field[2 * i]);
		if (json_is_string(key) &&
		    strcmp(json_string_value(key), "id") != 0)
			json_object_set_new(o, json_string_value(key),
			    event_value(field[2 * i], field[2 * i + 1]));
		json_decref(key);
	}
	return o;
}
