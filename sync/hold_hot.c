/* Which certificates are needed most on this node. */
#include "common/loop.h"
#include "haproxy/files.h"
#include "haproxy/rank.h"
#include "sync/hold_impl.h"
#include "sync/hot.h"

void
hold_hot(struct hold *h, const struct hot *hot)
{
	h->hot = hot;
}

/* HAProxy's default certificate is everybody's. */
uint32_t
hold_heat(void *arg, const char *filter)
{
	const struct target *t = arg;
	const struct hot *hot = t->hold->hot;

	if (filter[0] == '\0')
		return RANK_HEAT_MAX;
	return hot != NULL ? hot_heat(hot, filter) : 0;
}

uint64_t
hold_rank(const struct hold *h, const char *name, uint32_t turn)
{
	const struct held *x = held_find(h, name);
	bool bare =
	    x == NULL || x->sha1[0] == '\0' || x->not_after <= loop_wall_ms();

	return rank_of(bare ? RANK_BARE : RANK_OLD,
	    h->hot != NULL ? hot_heat(h->hot, name) : 0, turn);
}

void
hold_each(const struct hold *h, hold_name_fn *fn, void *arg)
{
	char name[DOMAIN_NAME_MAX];

	for (const struct held *x = h->names; x != NULL; x = x->hh.next) {
		if (x->sha1[0] == '\0' || held_is_default(x))
			continue;
		files_domain(x->name, name);
		fn(arg, name, x->sha1);
	}
}
