/*
 * A list of names that grows: of domains, as many as a fleet may have.  Pure.
 */
#ifndef SYNC_NAMES_H
#define SYNC_NAMES_H

#include <stddef.h>

struct names {
	char **name;
	size_t n, room;
};

/* Copy a name into the list, unless it has max already. */
void names_add(struct names *, const char *name, size_t max);

/* By the alphabet's order, each once. */
void names_sort(struct names *);

void names_clear(struct names *);

#endif
