#include "sync/api/gather.h"

#include <stdlib.h>

#include "common/mem.h"
#include "sync/store.h"

struct gather {
	struct store *store;
	int each, partition;
	size_t most;
	struct line *line;
	size_t nlines, room;
	gather_fn *fn;
	void *arg;
};

static void ask(struct gather *);

struct gather *
gather_new(struct store *store, int each, size_t most, gather_fn *fn, void *arg)
{
	struct gather *g = xcalloc(1, sizeof(*g));

	g->store = store;
	g->each = each;
	g->most = most;
	g->fn = fn;
	g->arg = arg;
	ask(g);
	return g;
}

void
gather_free(struct gather *g)
{
	if (g == NULL)
		return;
	for (size_t i = 0; i < g->nlines; i++)
		json_decref(g->line[i].event);
	free(g->line);
	free(g);
}

static int
compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	int order = stream_id_compare(x->id, y->id);

	return order != 0 ? order : x->partition - y->partition;
}

static void
finish(struct gather *g, const struct err *e)
{
	size_t skip = g->nlines > g->most ? g->nlines - g->most : 0;

	if (g->nlines > 1)
		qsort(g->line, g->nlines, sizeof(g->line[0]), compare);
	if (e != NULL)
		g->fn(g->arg, NULL, 0, e);
	else if (g->nlines == 0)
		g->fn(g->arg, NULL, 0, NULL);
	else
		g->fn(g->arg, g->line + skip, g->nlines - skip, NULL);
	gather_free(g);
}

static void
put(struct gather *g, const struct store_event *event)
{
	struct line *l;

	if (g->nlines == g->room) {
		g->room = g->room > 0 ? g->room * 2 : 64;
		g->line = xrealloc(g->line, g->room * sizeof(*l));
	}
	l = &g->line[g->nlines];
	if (stream_id_parse(event->id, &l->id) == -1)
		return;
	l->partition = g->partition;
	l->event = json_event(event->id, event->field, event->nfields);
	g->nlines++;
}

static void
got_events(
    void *arg, const struct store_event *event, size_t n, const struct err *e)
{
	struct gather *g = arg;

	if (e != NULL) {
		finish(g, e);
		return;
	}
	for (size_t i = 0; i < n; i++)
		put(g, &event[i]);
	g->partition++;
	if (g->partition < store_partitions(g->store))
		ask(g);
	else
		finish(g, NULL);
}

static void
ask(struct gather *g)
{
	store_events(g->store, g->partition, g->each, got_events, g);
}
