#include "sync/gens.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/domain.h"
#include "common/str.h"

int
gens_parse(struct gens *g, const char *text)
{
	char number[24];

	g->n = 0;
	for (int n = 0; n < GENS_MAX; n++) {
		size_t len = strcspn(text, ",");

		if (len >= sizeof(number))
			return -1;
		memcpy(number, text, len);
		number[len] = '\0';
		if (str_int(number, 0, INT64_MAX, &g->gen[n]) == -1)
			return -1;
		if (text[len] == '\0') {
			g->n = n + 1;
			return 0;
		}
		text += len + 1;
	}
	return -1;
}

void
gens_format(const struct gens *g, char out[static GENS_TEXT_MAX])
{
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; i < g->n; i++)
		at += (size_t)snprintf(out + at, GENS_TEXT_MAX - at,
		    "%s%" PRId64, i > 0 ? "," : "", g->gen[i]);
}

bool
gens_reached(const struct gens *g, const char *name, int64_t gen)
{
	return g->n > 0 && g->gen[domain_partition(name, g->n)] >= gen;
}

bool
gens_equal(const struct gens *a, const struct gens *b)
{
	return a->n == b->n &&
	       memcmp(a->gen, b->gen, (size_t)a->n * sizeof(a->gen[0])) == 0;
}

void
gens_raise(struct gens *g, const struct gens *by)
{
	if (g->n != by->n)
		*g = *by;
	for (int i = 0; i < g->n; i++)
		if (by->gen[i] > g->gen[i])
			g->gen[i] = by->gen[i];
}

int64_t
gens_sum(const struct gens *g)
{
	int64_t sum = 0;

	/* What somebody wrote into Redis may be anything: no overflow. */
	for (int i = 0; i < g->n; i++)
		sum = (int64_t)((uint64_t)sum + (uint64_t)g->gen[i]);
	return sum;
}
