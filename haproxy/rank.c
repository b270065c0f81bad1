#include "haproxy/rank.h"

uint64_t
rank_of(enum rank_class kind, uint32_t heat, uint32_t turn)
{
	uint32_t cold = RANK_HEAT_MAX - heat;

	if (heat > RANK_HEAT_MAX)
		cold = 0;
	return (uint64_t)kind << 62 | (uint64_t)cold << 32 | turn;
}
