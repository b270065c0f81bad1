#include "sync/names.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

void
names_add(struct names *names, const char *name, size_t max)
{
	if (names->n == max)
		return;
	if (names->n == names->room) {
		names->room = names->room > 0 ? names->room * 2 : 64;
		names->name =
		    xrealloc(names->name, names->room * sizeof(char *));
	}
	names->name[names->n++] = xstrdup(name);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
names_sort(struct names *names)
{
	size_t n = 0;

	if (names->n == 0)
		return;
	qsort(names->name, names->n, sizeof(char *), by_text);
	for (size_t i = 1; i < names->n; i++) {
		if (strcmp(names->name[n], names->name[i]) == 0)
			free(names->name[i]);
		else
			names->name[++n] = names->name[i];
	}
	names->n = n + 1;
}

void
names_clear(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->name[i]);
	free(names->name);
	*names = (struct names){ 0 };
}
