/* What is held and Redis has lost. */
#include <string.h>

#include "common/domain.h"
#include "common/loop.h"
#include "haproxy/files.h"
#include "sync/hold_impl.h"
#include "sync/store.h"

void
held_set_missing(struct held *x, bool missing)
{
	if (x->missing == missing)
		return;
	x->missing = missing;
	if (missing)
		x->hold->nmissing++;
	else
		x->hold->nmissing--;
}

/*
 * One that has ended is worth nothing, one that a canary tries is not proven;
 * the second one is in the first's bundle.
 */
static bool
is_worth_it(const struct held *x, int64_t now)
{
	return x->sha1[0] != '\0' && x->not_after > now && x->trial == NULL &&
	       !files_is_second(x->name) && !held_is_default(x);
}

void
hold_compare(struct hold *h, int partition, int npartitions)
{
	int64_t now = loop_wall_ms();
	struct held *x;

	for (x = h->names; x != NULL; x = x->hh.next)
		if (domain_partition(x->name, npartitions) == partition)
			held_set_missing(x, is_worth_it(x, now));
}

bool
hold_indexed(struct hold *h, const struct store_entry *entry)
{
	struct held *x = held_find(h, entry->name);

	if (x == NULL)
		return false;
	if (!is_worth_it(x, loop_wall_ms()) || entry->since > x->since ||
	    (entry->since == x->since && (strcmp(entry->sha1, x->sha1) == 0 ||
					     entry->not_after >= x->not_after)))
		held_set_missing(x, false);
	return x->missing && strcmp(entry->sha1, x->sha1) != 0;
}

void
hold_restored(struct hold *h, const char *name)
{
	struct held *x = held_find(h, name);

	if (x != NULL)
		held_set_missing(x, false);
}

size_t
hold_missing(const struct hold *h)
{
	return h->nmissing;
}

size_t
hold_list_missing(
    const struct hold *h, size_t at, struct hold_lost *out, size_t max)
{
	const struct held *x;
	size_t n = 0;

	for (x = h->names; x != NULL && n < max; x = x->hh.next) {
		if (!x->missing)
			continue;
		if (at > 0)
			at--;
		else
			out[n++] = (struct hold_lost){ x->name, x->since };
	}
	return n;
}
