#include "sync/lane.h"

#include <stdbool.h>
#include <stddef.h>

/* Turns while all wait; and the share of the places, in quarters. */
static const struct {
	int weight, quarters;
} rules[LANES] = {
	[LANE_URGENT] = { 8, 3 },
	[LANE_NEW] = { 4, 4 },
	[LANE_RENEWAL] = { 3, 3 },
	[LANE_RETRY] = { 1, 1 },
};

void
lanes_init(struct lanes *l, int max, int max_waiting)
{
	*l = (struct lanes){ .max = max, .max_waiting = max_waiting };
	for (int i = 0; i < LANES; i++) {
		int places = max * rules[i].quarters / 4;

		fair_init(&l->line[i], places > 0 ? places : 1);
	}
}

bool
lanes_full(const struct lanes *l, enum lane lane)
{
	return l->line[lane].waiting >= l->max_waiting;
}

int
lanes_waiting_in(const struct lanes *l, enum lane lane)
{
	return l->line[lane].waiting;
}

int
lanes_waiting(const struct lanes *l)
{
	int n = 0;

	for (int i = 0; i < LANES; i++)
		n += l->line[i].waiting;
	return n;
}

int
lanes_put(struct lanes *l, struct lane_item *item, enum lane lane,
    const char *app, int64_t deadline, void *owner)
{
	if (lanes_full(l, lane))
		return -1;
	item->lane = lane;
	fair_put(&l->line[lane], &item->fair, app, deadline, owner);
	return 0;
}

/* Smooth weighted turns: who has waited most of its weight goes first. */
void *
lanes_next(struct lanes *l)
{
	bool tried[LANES] = { false };

	if (l->in_flight >= l->max ||
	    l->in_flight + l->resting >= l->max * LANE_RESTS)
		return NULL;
	for (int round = 0; round < LANES; round++) {
		int best = -1, total = 0;
		void *owner;

		for (int i = 0; i < LANES; i++) {
			if (tried[i] || l->line[i].waiting == 0)
				continue;
			total += rules[i].weight;
			if (best == -1 ||
			    l->credit[i] + rules[i].weight >
				l->credit[best] + rules[best].weight)
				best = i;
		}
		if (best == -1)
			return NULL;
		owner = fair_next(&l->line[best]);
		if (owner == NULL) {
			tried[best] = true; /* its places are taken */
			continue;
		}
		for (int i = 0; i < LANES; i++)
			if (!tried[i] && (l->line[i].waiting > 0 || i == best))
				l->credit[i] += rules[i].weight;
		l->credit[best] -= total;
		l->in_flight++;
		return owner;
	}
	return NULL;
}

void
lanes_rest(struct lanes *l, struct lane_item *item, bool resting)
{
	int n = resting ? 1 : -1;

	if (item->fair.line == NULL || !item->fair.in_flight ||
	    item->fair.resting == resting)
		return;
	fair_rest(&l->line[item->lane], &item->fair, resting);
	l->resting += n;
	l->in_flight -= n;
}

void
lanes_leave(struct lanes *l, struct lane_item *item)
{
	lanes_rest(l, item, false);
	if (item->fair.line != NULL && item->fair.in_flight)
		l->in_flight--;
	fair_leave(&l->line[item->lane], &item->fair);
}
