/*
 * Intake: who found no room in a lane.  Each has a due time in Redis, at which it
 * comes again by itself; but when there will be room is a guess, and a lane that
 * has run dry is time lost.  So the names are kept here too, and the lane calls
 * them back as it gets empty, those first that came first.
 */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/intake_impl.h"

#define AWAY_MAX 16384 /* the others come when they are due */
#define CALLS 2        /* for each order that ended: the lane fills up again */

struct away {
	UT_hash_handle hh; /* by name, in the order in which they came */
	enum lane lane;
	char name[];
};

static void
forget(struct intake *in, struct away *a)
{
	HASH_DEL(in->away[a->lane], a);
	in->naway--;
	free(a);
}

void
intake_forget_away(struct intake *in, const char *name)
{
	struct away *a;

	for (int lane = 0; in->naway > 0 && lane < LANES; lane++) {
		HASH_FIND_STR(in->away[lane], name, a);
		if (a != NULL)
			forget(in, a);
	}
}

void
intake_forget_all_away(struct intake *in)
{
	for (int lane = 0; lane < LANES; lane++)
		while (in->away[lane] != NULL)
			forget(in, in->away[lane]);
}

void
intake_send_away(struct intake *in, enum lane lane, const char *name)
{
	size_t len = strlen(name);
	struct away *a;

	if (in->naway >= AWAY_MAX)
		return;
	a = xcalloc(1, sizeof(*a) + len + 1);
	a->lane = lane;
	memcpy(a->name, name, len + 1);
	HASH_ADD_STR(in->away[lane], name, a);
	in->naway++;
}

void
intake_call_back(struct intake *in)
{
	char name[DOMAIN_NAME_MAX];

	for (int lane = 0; in->naway > 0 && lane < LANES; lane++) {
		if (lanes_waiting_in(&in->lanes, (enum lane)lane) >=
		    LANE_MAX / 2)
			continue;
		for (int i = 0; i < CALLS && in->away[lane] != NULL; i++) {
			memcpy(name, in->away[lane]->name,
			    strlen(in->away[lane]->name) + 1);
			forget(in, in->away[lane]);
			intake_take(in, name);
		}
	}
}
