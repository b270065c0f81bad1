#include "sync/lowest.h"

void
lowest_add(struct lowest *l, int64_t gen)
{
	if (l->n == 0 || gen < l->gen)
		*l = (struct lowest){ gen, 1 };
	else if (gen == l->gen)
		l->n++;
}

bool
lowest_remove(struct lowest *l, int64_t gen)
{
	if (l->n == 0 || gen != l->gen)
		return false;
	l->n--;
	return l->n == 0;
}

int64_t
lowest_applied(const struct lowest *l, int64_t seen)
{
	return l->n > 0 && l->gen <= seen ? l->gen - 1 : seen;
}
