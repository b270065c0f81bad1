#include "sync/cli/grid.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"
#include "sync/cli/text.h"

#define GAP 2

const char *
colour_on(enum colour c, bool wanted)
{
	if (!wanted)
		return "";
	switch (c) {
	case COLOUR_NONE:
		return "";
	case COLOUR_BOLD:
		return "\033[1m";
	case COLOUR_DIM:
		return "\033[2m";
	case COLOUR_RED:
		return "\033[31m";
	case COLOUR_GREEN:
		return "\033[32m";
	case COLOUR_YELLOW:
		return "\033[33m";
	case COLOUR_CYAN:
		return "\033[36m";
	}
	return "";
}

const char *
colour_off(enum colour c, bool wanted)
{
	return wanted && c != COLOUR_NONE ? "\033[0m" : "";
}

void
grid_init(struct grid *g, size_t ncolumns, const char *const *head)
{
	assert(ncolumns <= GRID_COLUMNS);
	*g = (struct grid){ .ncolumns = ncolumns };
	for (size_t i = 0; i < ncolumns; i++)
		g->head[i] = head[i];
}

void
grid_clear(struct grid *g)
{
	for (size_t i = 0; i < g->ncells; i++)
		free(g->cell[i].text);
	free(g->cell);
	g->cell = NULL;
	g->ncells = g->room = 0;
}

void
grid_put(struct grid *g, char *stolen, enum colour colour)
{
	if (g->ncells == g->room) {
		g->room = g->room > 0 ? g->room * 2 : 64;
		g->cell = xrealloc(g->cell, g->room * sizeof(g->cell[0]));
	}
	g->cell[g->ncells++] = (struct grid_cell){ stolen, colour };
}

/* 0: nothing is in it. */
static size_t
column_width(const struct grid *g, size_t column)
{
	size_t width = 0, w;

	for (size_t i = column; i < g->ncells; i += g->ncolumns) {
		w = text_width(g->cell[i].text);
		if (w > width)
			width = w;
	}
	w = text_width(g->head[column]);
	return width == 0 ? 0 : width > w ? width : w;
}

static void
print_cell(struct buf *out, const char *text, enum colour colour, size_t width,
    bool colours)
{
	size_t w = text_width(text);

	if (w > 0)
		buf_putf(out, "%s%s%s", colour_on(colour, colours), text,
		    colour_off(colour, colours));
	buf_putf(out, "%*s", (int)(width - w + GAP), "");
}

/* A row ends where its text does. */
static void
end_row(struct buf *out)
{
	while (out->len > 0 && out->p[out->len - 1] == ' ')
		out->p[--out->len] = '\0';
	buf_puts(out, "\n");
}

void
grid_print(const struct grid *g, bool colours, struct buf *out)
{
	size_t width[GRID_COLUMNS];

	if (g->ncells == 0)
		return;
	for (size_t i = 0; i < g->ncolumns; i++) {
		width[i] = column_width(g, i);
		if (width[i] > 0)
			print_cell(
			    out, g->head[i], COLOUR_BOLD, width[i], colours);
	}
	end_row(out);
	for (size_t i = 0; i < g->ncells; i++) {
		size_t column = i % g->ncolumns;

		if (width[column] > 0)
			print_cell(out, g->cell[i].text, g->cell[i].colour,
			    width[column], colours);
		if (column == g->ncolumns - 1)
			end_row(out);
	}
}
