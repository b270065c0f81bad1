#include "sync/silence.h"

#include <stdio.h>
#include <string.h>

static struct silent *
find(struct silence *s, const char *who)
{
	for (size_t i = 0; i < SILENCE_MAX; i++)
		if (strcmp(s->silent[i].who, who) == 0)
			return &s->silent[i];
	return NULL;
}

static struct silent *
oldest(struct silence *s)
{
	struct silent *old = &s->silent[0];

	for (size_t i = 1; i < SILENCE_MAX; i++)
		if (s->silent[i].last_ms < old->last_ms)
			old = &s->silent[i];
	return old;
}

int64_t
silence_met(struct silence *s, const char *who, int64_t now_ms)
{
	struct silent *it = find(s, who);

	if (it == NULL && (it = find(s, "")) == NULL)
		it = oldest(s);
	if (strcmp(it->who, who) != 0 ||
	    now_ms - it->last_ms > SILENCE_GAP_MS) {
		memset(it, 0, sizeof(*it));
		snprintf(it->who, sizeof(it->who), "%s", who);
		it->first_ms = now_ms;
	}
	it->last_ms = now_ms;
	if (it->times < SILENCE_TIMES)
		it->times++;
	return it->times < SILENCE_TIMES ? 0 : now_ms - it->first_ms;
}

void
silence_broken(struct silence *s, const char *who)
{
	struct silent *it = find(s, who);

	if (it != NULL)
		memset(it, 0, sizeof(*it));
}
