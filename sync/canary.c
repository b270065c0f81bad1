#include "sync/canary.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/str.h"

/*
 * "name=SHA1=since=why; ..." of a heartbeat: 1 this trial is proven, -1 it
 * cannot be, why; 0 nothing is said of it.
 */
static int
result(const struct store_node *node, const char *name,
    const struct store_staged *s, char *why, size_t size)
{
	char begin[DOMAIN_NAME_MAX + 80];
	size_t len = (size_t)snprintf(begin, sizeof(begin),
	    "%s=%s=%" PRId64 "=", name, s->sha1, s->since);

	for (const char *p = node->trials; *p != '\0';) {
		size_t n = strcspn(p, ";");

		if (n >= len && strncmp(p, begin, len) == 0) {
			snprintf(why, size, "%.*s", (int)(n - len), p + len);
			return n == len ? 1 : -1;
		}
		p += n;
		p += strspn(p, "; ");
	}
	return 0;
}

static bool
was_tried(const char *tried, const char *id)
{
	size_t len = strlen(id);

	for (const char *p = tried; *p != '\0';) {
		size_t n = strcspn(p, ",");

		if (n == len && memcmp(p, id, len) == 0)
			return true;
		p += n + (p[n] == ',');
	}
	return false;
}

/* Who can prove anything: it lives, and its HAProxy does. */
static bool
fit(const struct store_node *node)
{
	return node->live && node->haproxy[0] != '\0';
}

/* The favoured one, else the first by its id; NULL: all were tried. */
static const struct store_node *
choose(const struct canary_rules *r, const char *tried,
    const struct store_node *node, size_t n)
{
	const struct store_node *best = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!fit(&node[i]) || was_tried(tried, node[i].id))
			continue;
		if (strcmp(node[i].id, r->favoured) == 0)
			return &node[i];
		if (best == NULL || strcmp(node[i].id, best->id) < 0)
			best = &node[i];
	}
	return best;
}

/* Nobody is at it: somebody is to be, or there is nobody. */
static enum canary_verdict
ask(const struct canary_rules *r, const struct store_node *node, size_t n,
    struct canary_next *next)
{
	const struct store_node *chosen = choose(r, next->tried, node, n);
	size_t live = 0;

	next->at = r->now + r->look_ms;
	if (chosen != NULL) {
		snprintf(next->node, sizeof(next->node), "%s", chosen->id);
		return CANARY_ASK;
	}
	if (next->tried[0] != '\0') {
		snprintf(next->why, sizeof(next->why),
		    "no canary has proven it in time: %.200s", next->tried);
		next->tried[0] = '\0';
		return CANARY_STOP;
	}
	for (size_t i = 0; i < n; i++)
		live += node[i].live;
	snprintf(next->why, sizeof(next->why), "no node is live");
	return live > 0 ? CANARY_PROMOTE : CANARY_WAIT;
}

static const struct store_node *
find(const struct store_node *node, size_t n, const char *id)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(node[i].id, id) == 0)
			return &node[i];
	return NULL;
}

enum canary_verdict
canary_judge(const struct canary_rules *r, const struct store_staged *s,
    const struct store_node *node, size_t n, struct canary_next *next)
{
	const struct store_node *at = find(node, n, s->node);
	int64_t until = s->since + r->limit_ms;
	size_t len = strlen(s->tried);
	int rc;

	memset(next, 0, sizeof(*next));
	snprintf(next->tried, sizeof(next->tried), "%s", s->tried);
	if (s->node[0] == '\0')
		return ask(r, node, n, next);
	rc = at != NULL ? result(at, r->name, s, next->why, sizeof(next->why))
	                : 0;
	if (rc == 1)
		return CANARY_PROMOTE;
	if (rc == -1) {
		snprintf(next->node, sizeof(next->node), "%s", s->node);
		next->tried[0] = '\0';
		return CANARY_STOP;
	}
	if (at != NULL && at->live && r->now < until) {
		snprintf(next->node, sizeof(next->node), "%s", s->node);
		next->at =
		    r->now + r->look_ms < until ? r->now + r->look_ms : until;
		return CANARY_WAIT;
	}
	/* It died, or is too slow: another one, for what is left of a look. */
	if (len + strlen(s->node) + 2 < sizeof(next->tried))
		snprintf(next->tried + len, sizeof(next->tried) - len, "%s%s",
		    len > 0 ? "," : "", s->node);
	return ask(r, node, n, next);
}
