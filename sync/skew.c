#include "sync/skew.h"

#include <stdio.h>

#define EARLIEST_MS 1793491200000LL /* November 2026: nothing runs before */

static const char *const names[SKEWS] = {
	[SKEW_REDIS] = "Redis",
	[SKEW_CA] = "the CA",
};

void
skew_note(struct skew *s, enum skew_of who, int64_t ours_ms, int64_t theirs_ms)
{
	s->known[who] = true;
	s->ahead_ms[who] = ours_ms - theirs_ms;
}

static bool
apart(const struct skew *s, enum skew_of who)
{
	return s->known[who] && (s->ahead_ms[who] > SKEW_MAX_MS ||
				    s->ahead_ms[who] < -SKEW_MAX_MS);
}

bool
skew_alarm(const struct skew *s, int64_t now_ms, char *why, size_t size)
{
	if (now_ms < EARLIEST_MS) {
		snprintf(why, size,
		    "this node's clock is years behind; run an NTP client");
		return true;
	}
	for (int i = SKEWS - 1; i >= 0; i--) {
		int64_t ahead = s->ahead_ms[i];

		if (!apart(s, (enum skew_of)i))
			continue;
		snprintf(why, size,
		    "this node's clock is %lld s %s that of %s; run an NTP "
		    "client on both",
		    (long long)(ahead < 0 ? -ahead : ahead) / 1000,
		    ahead < 0 ? "behind" : "ahead of", names[i]);
		return true;
	}
	return false;
}

bool
skew_implausible(const struct skew *s, int64_t now_ms)
{
	return now_ms < EARLIEST_MS || apart(s, SKEW_CA) ||
	       (apart(s, SKEW_REDIS) && !s->known[SKEW_CA]);
}
