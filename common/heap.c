#include "common/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"

#define ROOM_FIRST 16

void
heap_init(struct heap *h, heap_place_fn *place)
{
	*h = (struct heap){ .place = place };
}

void
heap_clear(struct heap *h)
{
	free(h->entry);
	h->entry = NULL;
	h->n = h->room = 0;
}

static void
set(struct heap *h, uint32_t at, struct heap_entry x)
{
	h->entry[at - 1] = x;
	h->place(x.item, at);
}

/* Find the place of x, from the hole at down to the leaves or up to the root. */
static void
settle(struct heap *h, uint32_t at, struct heap_entry x)
{
	uint32_t child;

	for (; at > 1 && x.rank < h->entry[at / 2 - 1].rank; at /= 2)
		set(h, at, h->entry[at / 2 - 1]);
	for (; at <= h->n / 2; at = child) {
		child = 2 * at;
		if (child < h->n &&
		    h->entry[child].rank < h->entry[child - 1].rank)
			child++;
		if (x.rank <= h->entry[child - 1].rank)
			break;
		set(h, at, h->entry[child - 1]);
	}
	set(h, at, x);
}

void
heap_put(struct heap *h, uint64_t rank, void *item)
{
	assert(h->n < UINT32_MAX / 2);
	if (h->n == h->room) {
		h->room = h->room > 0 ? 2 * h->room : ROOM_FIRST;
		h->entry = xrealloc(h->entry, h->room * sizeof(h->entry[0]));
	}
	h->n++;
	settle(h, h->n, (struct heap_entry){ rank, item });
}

void *
heap_first(const struct heap *h)
{
	return h->n > 0 ? h->entry[0].item : NULL;
}

/* One that was filled for once does not keep its memory. */
void
heap_remove(struct heap *h, uint32_t at)
{
	struct heap_entry last;

	assert(at >= 1 && at <= h->n);
	h->place(h->entry[at - 1].item, 0);
	last = h->entry[--h->n];
	if (at <= h->n)
		settle(h, at, last);
	if (h->n == 0)
		heap_clear(h);
}
