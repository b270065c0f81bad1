#include "sync/spread.h"

#define BURST 8 /* that may begin at the same moment after a rest */

int64_t
spread_take(struct spread *p, int64_t step_ms, int64_t now_ms)
{
	if (p->next < now_ms - BURST * step_ms)
		p->next = now_ms - BURST * step_ms;
	if (p->next <= now_ms) {
		p->next += step_ms;
		return 0;
	}
	if (p->tail < now_ms)
		p->tail = now_ms;
	p->tail += step_ms;
	return p->tail - now_ms;
}
