/*
 * A queue by rank: the lowest first, in O(log n), and any item can be taken out.
 * An item is told where it stands, so that it can be found again.
 */
#ifndef COMMON_HEAP_H
#define COMMON_HEAP_H

#include <stdint.h>

/* From 1 on; 0: it is not in the heap any more. */
typedef void heap_place_fn(void *item, uint32_t at);

struct heap_entry {
	uint64_t rank;
	void *item;
};

/* Lives inside another object: heap_init() before use, heap_clear() after. */
struct heap {
	heap_place_fn *place;
	struct heap_entry *entry;
	uint32_t n, room;
};

void heap_init(struct heap *, heap_place_fn *);
void heap_clear(struct heap *); /* items are not told */

void heap_put(struct heap *, uint64_t rank, void *item);

/* The one with the lowest rank, NULL: it is empty. */
void *heap_first(const struct heap *);

/* Take out the one that was told this place. */
void heap_remove(struct heap *, uint32_t at);

#endif
