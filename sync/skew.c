#include "sync/skew.h"

#include <stdio.h>

#define EARLIEST_MS 1793491200000LL /* November 2026: nothing runs before */

static const char *const names[SKEWS] = {
	[SKEW_REDIS] = "Redis",
	[SKEW_CA] = "the CA",
};

void
skew_note(struct skew *s, enum skew_of who, int64_t up_ms, int64_t theirs_ms)
{
	s->known[who] = true;
	s->said_at[who] = up_ms;
	s->said_ms[who] = theirs_ms;
}

static bool
known(const struct skew *s, enum skew_of who, int64_t up_ms)
{
	return s->known[who] && up_ms - s->said_at[who] < SKEW_STALE_MS;
}

/* How far our clock is ahead of theirs. */
static int64_t
ahead_of(const struct skew *s, enum skew_of who, int64_t now_ms, int64_t up_ms)
{
	return now_ms - (s->said_ms[who] + up_ms - s->said_at[who]);
}

static bool
apart(const struct skew *s, enum skew_of who, int64_t now_ms, int64_t up_ms)
{
	int64_t ahead = ahead_of(s, who, now_ms, up_ms);

	return known(s, who, up_ms) &&
	       (ahead > SKEW_MAX_MS || ahead < -SKEW_MAX_MS);
}

bool
skew_alarm(
    const struct skew *s, int64_t now_ms, int64_t up_ms, char *why, size_t size)
{
	if (now_ms < EARLIEST_MS) {
		snprintf(why, size,
		    "this node's clock is years behind; run an NTP client");
		return true;
	}
	for (int i = SKEWS - 1; i >= 0; i--) {
		int64_t ahead = ahead_of(s, (enum skew_of)i, now_ms, up_ms);

		if (!apart(s, (enum skew_of)i, now_ms, up_ms))
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
skew_implausible(const struct skew *s, int64_t now_ms, int64_t up_ms)
{
	return now_ms < EARLIEST_MS || apart(s, SKEW_CA, now_ms, up_ms) ||
	       (apart(s, SKEW_REDIS, now_ms, up_ms) &&
		   !known(s, SKEW_CA, up_ms));
}
