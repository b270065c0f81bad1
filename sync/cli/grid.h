/* A table of text: columns as wide as they must be, colours when asked for. */
#ifndef SYNC_CLI_GRID_H
#define SYNC_CLI_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

#define GRID_COLUMNS 10

enum colour {
	COLOUR_NONE = 0,
	COLOUR_BOLD,
	COLOUR_DIM,
	COLOUR_RED,
	COLOUR_GREEN,
	COLOUR_YELLOW,
	COLOUR_CYAN,
};

/* The sequence that switches a colour on; "" unless wanted. */
const char *colour_on(enum colour, bool wanted);
const char *colour_off(enum colour, bool wanted);

struct grid_cell {
	char *text;
	enum colour colour;
};

struct grid {
	size_t ncolumns;
	const char *head[GRID_COLUMNS];
	struct grid_cell *cell; /* ncolumns of each row */
	size_t ncells, room;
};

/* head is borrowed. */
void grid_init(struct grid *, size_t ncolumns, const char *const *head);
void grid_clear(struct grid *);

/* The next cell, row by row; text is taken. */
void grid_put(struct grid *, char *stolen, enum colour);

/* Append the table to out; columns in which no row has text are left out. */
void grid_print(const struct grid *, bool colours, struct buf *out);

#endif
