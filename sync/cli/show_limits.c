/* The CA's limits, and a plan made of them, as people read it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/grid.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

/* "2026-11-24 05:36 UTC", rounded up: nobody is to come too early. */
static char *
minute(int64_t ms)
{
	char text[STR_TIME_MAX];

	str_time(text, ms + 59999);
	text[10] = ' ';
	return xasprintf("%.16s UTC", text);
}

/* --- limits ------------------------------------------------------------------ */

static const struct {
	const char *limit, *label, *of_account;
} labels[] = {
	{ "orders", "Orders", "our account" },
	{ "domain", "Certificates", "" },
	{ "set", "Same names", "" },
	{ "failures", "Failed validations", "" },
};

static void
put_label(struct grid *g, const json_t *l)
{
	char *limit = text_member(l, "limit"), *of = text_member(l, "of");
	const char *label = limit, *account = "";

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (strcmp(labels[i].limit, limit) == 0) {
			label = labels[i].label;
			account = labels[i].of_account;
		}
	grid_put(g, xstrdup(label), COLOUR_NONE);
	grid_put(g, xstrdup(of[0] != '\0' ? of : account), COLOUR_NONE);
	free(limit);
	free(of);
}

static void
put_used(struct grid *g, const json_t *l)
{
	int64_t max = text_int_member(l, "max");
	int64_t used = text_int_member(l, "used");
	char window[TEXT_SPAN_MAX];

	text_span(window, text_int_member(l, "window_s") * 1000);
	if (max > 0)
		grid_put(g, xasprintf("%" PRId64 " of %" PRId64, used, max),
		    used < max ? COLOUR_GREEN : COLOUR_RED);
	else
		grid_put(g, xstrdup("no limit"), COLOUR_DIM);
	grid_put(g, xstrdup(window), COLOUR_NONE);
}

void
show_limits(const struct show *s, const json_t *o, struct buf *out)
{
	static const char *const head[] = { "Limit", "Of", "Used", "In any",
		"Next free", "The CA says" };
	const json_t *l;
	struct grid g;
	size_t i;

	grid_init(&g, sizeof(head) / sizeof(head[0]), head);
	json_array_foreach (json_object_get(o, "limits"), i, l) {
		int64_t at = text_time_member(l, "next_free_at");
		int64_t blocked = text_time_member(l, "blocked_until");

		put_label(&g, l);
		put_used(&g, l);
		grid_put(&g, at > s->now ? minute(at) : xstrdup("now"),
		    at > s->now ? COLOUR_YELLOW : COLOUR_NONE);
		grid_put(
		    &g, xstrdup(blocked > s->now ? "wait" : ""), COLOUR_RED);
	}
	grid_print(&g, s->colours, out);
	grid_clear(&g);
}

/* --- plan -------------------------------------------------------------------- */

static char *
waits_for(const json_t *n)
{
	char *why = text_member(n, "waits_for"), *domain, *text;

	if (strcmp(why, "domain") == 0) {
		domain = text_member(n, "registered_domain");
		text = xasprintf("certificates of %s", domain);
		free(domain);
	} else if (strcmp(why, "orders") == 0) {
		text = xstrdup("orders of our account");
	} else if (strcmp(why, "set") == 0) {
		text = xstrdup("certificates for the same name");
	} else if (strcmp(why, "failures") == 0) {
		text = xstrdup("failed validations");
	} else {
		text = xstrdup(why);
	}
	free(why);
	return text;
}

struct sums {
	size_t now, later, wrong;
	int64_t last;
};

static void
put_name(
    const struct show *s, struct grid *g, const json_t *n, struct sums *sums)
{
	char *error = text_member(n, "error"), when[TEXT_SPAN_MAX];
	int64_t at = text_time_member(n, "at");

	grid_put(g, text_member(n, "name"), COLOUR_NONE);
	if (error[0] != '\0') {
		sums->wrong++;
		grid_put(g, xstrdup(""), COLOUR_NONE);
		grid_put(g, xstrdup(""), COLOUR_NONE);
		grid_put(g, error, COLOUR_RED);
		return;
	}
	free(error);
	if (json_is_true(json_object_get(n, "now"))) {
		sums->now++;
		grid_put(g, xstrdup("now"), COLOUR_GREEN);
		grid_put(g, xstrdup(""), COLOUR_NONE);
	} else {
		sums->later++;
		if (at > sums->last)
			sums->last = at;
		grid_put(g, xstrdup(text_when(when, at, s->now)), COLOUR_NONE);
		grid_put(g, minute(at), COLOUR_YELLOW);
	}
	grid_put(g, waits_for(n), COLOUR_NONE);
}

void
show_plan(const struct show *s, const json_t *o, struct buf *out)
{
	static const char *const head[] = { "Domain", "Certificate", "At",
		"Waits for" };
	const json_t *plan = json_object_get(o, "plan"), *n;
	struct sums sums = { 0 };
	struct grid g;
	char *last;
	size_t i;

	if (json_array_size(plan) == 0) {
		buf_puts(out, "no names\n");
		return;
	}
	grid_init(&g, sizeof(head) / sizeof(head[0]), head);
	json_array_foreach (plan, i, n)
		put_name(s, &g, n, &sums);
	grid_print(&g, s->colours, out);
	grid_clear(&g);
	buf_putf(out, "\n%zu name%s: %zu now", json_array_size(plan),
	    json_array_size(plan) > 1 ? "s" : "", sums.now);
	if (sums.later > 0) {
		last = minute(sums.last);
		buf_putf(out, ", %zu later, the last at %s", sums.later, last);
		free(last);
	}
	if (sums.wrong > 0)
		buf_putf(out, ", %zu not", sums.wrong);
	buf_puts(out, "\n");
}
