/*
 * Which of many certificates is next: those first without which visitors see an
 * error, and of these the names that are asked for most.
 *
 * It decides about order only: each has its turn, however cold its name is, and
 * what fails again and again does not keep others waiting.
 */
#ifndef HAPROXY_RANK_H
#define HAPROXY_RANK_H

#include <stdint.h>

enum rank_class {
	RANK_BARE = 0, /* there is none, or one that has expired */
	RANK_OLD,      /* there is an older one; or it is to be gone */
	RANK_AGAIN,    /* it was tried in vain */
};

#define RANK_HEAT_MAX (((uint32_t)1 << 30) - 1)

/*
 * The lower, the sooner: by class, then the hotter (0 to RANK_HEAT_MAX; more is
 * as much), then by turn, a counter of the caller's.
 */
uint64_t rank_of(enum rank_class, uint32_t heat, uint32_t turn);

#endif
