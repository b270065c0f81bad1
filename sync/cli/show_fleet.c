/* The fleet as people read it: nodes, status, events. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/grid.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

/* A list of texts as "a, b". */
static char *
joined(const json_t *list)
{
	char *all = xstrdup(""), *safe, *longer;
	const json_t *one;
	size_t i;

	json_array_foreach (list, i, one) {
		const char *s = json_string_value(one);
		size_t size = s != NULL ? strlen(s) * 4 + 1 : 1;

		safe = xmalloc(size);
		str_printable(safe, size, s != NULL ? s : "", size / 4);
		longer = xasprintf("%s%s%s", all, i > 0 ? ", " : "", safe);
		free(safe);
		free(all);
		all = longer;
	}
	return all;
}

/* "www.a.example: why; www.b.example: why" */
static char *
failures(const json_t *list)
{
	char *all = xstrdup(""), *name, *error, *longer;
	const json_t *one;
	size_t i;

	json_array_foreach (list, i, one) {
		name = text_member(one, "name");
		error = text_member(one, "error");
		longer = xasprintf(
		    "%s%s%s: %s", all, i > 0 ? "; " : "", name, error);
		free(name);
		free(error);
		free(all);
		all = longer;
	}
	return all;
}

/* "3 changes, 12 s" */
static void
put_lag(struct grid *g, const json_t *lag)
{
	int64_t behind = text_int_member(lag, "generations");
	double s = json_number_value(json_object_get(lag, "seconds"));

	if (behind == 0)
		grid_put(g, xstrdup("-"), COLOUR_NONE);
	else
		grid_put(g,
		    xasprintf("%" PRId64 " change%s, %.0f s", behind,
			behind > 1 ? "s" : "", s),
		    s < 10 ? COLOUR_YELLOW : COLOUR_RED);
}

/* "9 of 10, not what the leader has" */
static void
put_served(struct grid *g, const json_t *n)
{
	bool other = json_is_false(json_object_get(n, "agrees"));

	grid_put(g,
	    xasprintf("%" PRId64 " of %" PRId64 "%s",
		text_int_member(n, "served"), text_int_member(n, "wanted"),
		other ? ", not what the leader has" : ""),
	    other ? COLOUR_RED : COLOUR_NONE);
}

/* --- one domain on each of them --------------------------------------------- */

static void
put_shown(
    const struct show *s, struct grid *g, const json_t *node, const json_t *one)
{
	char *sha1 = text_member(one, "sha1");
	char *wanted = text_member(one, "wanted");
	bool good = sha1[0] != '\0' && strcmp(sha1, wanted) == 0;
	bool trial = json_is_true(json_object_get(one, "trial"));
	char when[TEXT_SPAN_MAX];
	int64_t since = text_time_member(one, "since");

	grid_put(g, text_member(node, "id"), COLOUR_NONE);
	if (!json_is_object(one))
		grid_put(g, xstrdup("no answer"), COLOUR_RED);
	else
		grid_put(g,
		    xasprintf("%s%s", good ? "as wanted" : "another",
			trial ? ", as the canary" : ""),
		    good ? COLOUR_GREEN : COLOUR_RED);
	grid_put(g, sha1, COLOUR_NONE);
	grid_put(g, xasprintf("%" PRId64, text_int_member(one, "version")),
	    COLOUR_NONE);
	grid_put(g, xstrdup(since > 0 ? text_when(when, since, s->now) : "-"),
	    COLOUR_NONE);
	grid_put(g, text_member(one, "error"), COLOUR_RED);
	free(wanted);
}

void
show_nodes_of(const struct show *s, const json_t *domain, struct buf *out)
{
	static const char *const head[] = { "Node", "Shows", "Certificate",
		"Version", "Since", "Error" };
	const json_t *n;
	struct grid g;
	size_t i;

	grid_init(&g, sizeof(head) / sizeof(head[0]), head);
	json_array_foreach (json_object_get(domain, "nodes"), i, n)
		put_shown(s, &g, n, json_object_get(n, "shown"));
	grid_print(&g, s->colours, out);
	grid_clear(&g);
}

/* --- all of them -------------------------------------------------------------- */

void
show_nodes(const struct show *s, const json_t *nodes, struct buf *out)
{
	static const char *const head[] = { "Node", "State", "Role",
		"Last beat", "Behind", "HAProxy", "Certificates", "Version",
		"Failing" };
	char when[TEXT_SPAN_MAX];
	const json_t *n;
	struct grid g;
	size_t i;

	if (json_array_size(nodes) == 0) {
		buf_puts(out, "no nodes\n");
		return;
	}
	grid_init(&g, sizeof(head) / sizeof(head[0]), head);
	json_array_foreach (nodes, i, n) {
		bool live = json_is_true(json_object_get(n, "live"));
		bool leader = json_is_true(json_object_get(n, "leader"));

		grid_put(&g, text_member(n, "id"), COLOUR_NONE);
		grid_put(&g, xstrdup(live ? "live" : "away"),
		    live ? COLOUR_GREEN : COLOUR_RED);
		grid_put(&g, xstrdup(leader ? "leader" : ""), COLOUR_BOLD);
		grid_put(&g,
		    xstrdup(text_when(when, text_time_member(n, "at"), s->now)),
		    COLOUR_NONE);
		put_lag(&g, json_object_get(n, "lag"));
		grid_put(
		    &g, joined(json_object_get(n, "haproxy")), COLOUR_NONE);
		put_served(&g, n);
		grid_put(&g, text_member(n, "version"), COLOUR_NONE);
		grid_put(
		    &g, failures(json_object_get(n, "errors")), COLOUR_RED);
	}
	grid_print(&g, s->colours, out);
	grid_clear(&g);
}

/* --- status ---------------------------------------------------------------- */

#define NAME_WIDTH 10
#define YEAR_10000 INT64_C(253402300800000)

static void
put_name(const struct show *s, struct buf *out, const char *name)
{
	buf_putf(out, "%s%-*s%s", colour_on(COLOUR_BOLD, s->colours),
	    NAME_WIDTH, name, colour_off(COLOUR_BOLD, s->colours));
}

static void
put_up(const struct show *s, struct buf *out, bool well, const char *text)
{
	enum colour c = well ? COLOUR_GREEN : COLOUR_RED;

	buf_putf(out, "%s%s%s\n", colour_on(c, s->colours), text,
	    colour_off(c, s->colours));
}

/* "2 of 3 up" */
static void
put_share(const struct show *s, struct buf *out, const json_t *o,
    const char *key, const char *word)
{
	int64_t some = text_int_member(o, key);
	int64_t all = text_int_member(o, "total");
	char text[64];

	if (!json_is_object(o))
		snprintf(text, sizeof(text), "not known");
	else if (all == 0)
		snprintf(text, sizeof(text), "none");
	else
		snprintf(text, sizeof(text), "%" PRId64 " of %" PRId64 " %s",
		    some, all, word);
	put_up(s, out, json_is_object(o) && some == all, text);
}

static void
put_counts(const struct show *s, struct buf *out, const json_t *counts)
{
	const char *before = ": ";

	put_name(s, out, "Domains");
	if (!json_is_object(counts)) {
		put_up(s, out, false, "not known");
		return;
	}
	buf_putf(out, "%" PRId64, text_int_member(counts, "total"));
	for (int i = 0; i < DOMAIN_STATUSES; i++) {
		enum domain_status status = (enum domain_status)i;
		int64_t n = text_int_member(counts, domain_status_name(status));

		if (n == 0)
			continue;
		buf_putf(out, "%s%" PRId64 " %s", before, n,
		    domain_status_label(status));
		before = ", ";
	}
	buf_puts(out, "\n");
}

static void
put_leader(const struct show *s, struct buf *out, const json_t *leader)
{
	char *node = text_member(leader, "node");

	put_name(s, out, "Leader");
	if (node[0] == '\0')
		put_up(s, out, false, "none");
	else
		buf_putf(out, "%s%s, epoch %" PRId64 "\n", node,
		    json_is_true(json_object_get(leader, "self"))
			? " (this node)"
			: "",
		    text_int_member(leader, "epoch"));
	free(node);
}

void
show_status(const struct show *s, const json_t *o, struct buf *out)
{
	bool redis =
	    json_is_true(json_object_get(json_object_get(o, "redis"), "up"));
	char *node = text_member(o, "node"), *text;

	text = text_member(o, "version");
	put_name(s, out, "Node");
	buf_putf(out, "%s, certfleet-sync %s\n", node, text);
	free(node);
	free(text);
	put_leader(s, out, json_object_get(o, "leader"));
	put_name(s, out, "Redis");
	put_up(s, out, redis, redis ? "up" : "does not answer");
	put_name(s, out, "HAProxy");
	put_share(s, out, json_object_get(o, "haproxies"), "up", "up");
	put_name(s, out, "Nodes");
	put_share(s, out, json_object_get(o, "nodes"), "live", "live");
	put_counts(s, out, json_object_get(o, "domains"));
	text = text_member(o, "error");
	if (text[0] != '\0') {
		put_name(s, out, "Error");
		put_up(s, out, false, text);
	}
	free(text);
}

/* --- events ---------------------------------------------------------------- */

static bool
said_before(const char *key)
{
	static const char *const keys[] = { "id", "at", "type", "name" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* In quotes, with a backslash before what would end them. */
static void
put_quoted(struct buf *out, const char *text)
{
	buf_puts(out, "\"");
	for (; *text != '\0'; text++)
		buf_putf(out, "%s%c", *text == '"' ? "\\" : "", *text);
	buf_puts(out, "\"");
}

/* key=value, in quotes when there are blanks in it. */
static void
put_pair(
    struct buf *out, const json_t *event, const char *key, const json_t *value)
{
	char *text, safe[128];

	str_printable(safe, sizeof(safe), key, strlen(key));
	if (json_is_integer(value)) {
		buf_putf(out, " %s=%" PRId64, safe,
		    (int64_t)json_integer_value(value));
		return;
	}
	text = text_member(event, key);
	if (text[0] != '\0')
		buf_putf(out, " %s=", safe);
	if (strpbrk(text, " \"=") != NULL)
		put_quoted(out, text);
	else
		buf_puts(out, text);
	free(text);
}

void
show_event(const struct show *s, json_t *event, struct buf *out)
{
	char *at = text_member(event, "at"), *type, *name;
	int64_t ms = 0;
	char when[STR_TIME_MAX];
	const char *key;
	json_t *value;

	/* An event that does not say when has the time in its id. */
	if (at[0] == '\0') {
		const char *id =
		    json_string_value(json_object_get(event, "id"));

		ms = id != NULL ? (int64_t)strtoll(id, NULL, 10) : 0;
		if (ms < 0 || ms > YEAR_10000)
			ms = 0;
	}
	type = text_member(event, "type");
	name = text_member(event, "name");
	buf_putf(out, "%s%s%s  %s%-8s%s  %s", colour_on(COLOUR_DIM, s->colours),
	    at[0] != '\0' ? at : str_time(when, ms),
	    colour_off(COLOUR_DIM, s->colours),
	    colour_on(COLOUR_BOLD, s->colours), type,
	    colour_off(COLOUR_BOLD, s->colours), name);
	free(at);
	free(type);
	free(name);
	json_object_foreach (event, key, value)
		if (!said_before(key))
			put_pair(out, event, key, value);
	buf_puts(out, "\n");
}

void
show_audit(const struct show *s, const json_t *entry, struct buf *out)
{
	char *at = text_member(entry, "at"), *who = text_member(entry, "who");
	char *method = text_member(entry, "method");
	char *target = text_member(entry, "target");
	char *name = text_member(entry, "name");
	int64_t answer = text_int_member(entry, "answer");
	enum colour c = answer < 300 ? COLOUR_GREEN : COLOUR_YELLOW;

	buf_putf(out, "%s%s%s  %s%lld%s  %s  %s %s%s%s\n",
	    colour_on(COLOUR_DIM, s->colours), at,
	    colour_off(COLOUR_DIM, s->colours), colour_on(c, s->colours),
	    (long long)answer, colour_off(c, s->colours), who, method, target,
	    name[0] != '\0' ? " " : "", name);
	free(at);
	free(who);
	free(method);
	free(target);
	free(name);
}
