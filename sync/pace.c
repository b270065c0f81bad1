#include "sync/pace.h"

#define BEGIN_MS 250
#define LEAST_MS 40
#define MOST_MS 3000
#define QUICKLY 4
#define SLOWLY 40

int64_t
pace_first(const struct pace *p)
{
	return p->first_ms > 0 ? p->first_ms : BEGIN_MS;
}

void
pace_learn(struct pace *p, int64_t waited_ms, bool done)
{
	int64_t now = pace_first(p), next;

	if (done) {
		next =
		    waited_ms - waited_ms / (p->was_early ? SLOWLY : QUICKLY);
		if (next > now)
			next = now;
	} else {
		p->was_early = true;
		next = waited_ms + waited_ms / 2;
		if (next < now)
			next = now;
	}
	if (next < LEAST_MS)
		next = LEAST_MS;
	p->first_ms = next < MOST_MS ? next : MOST_MS;
}
