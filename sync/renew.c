#include "sync/renew.h"

#define SPREAD 50 /* a fiftieth of the lifetime */
#define URGENT 9  /* a ninth */

/* FNV-1a: any even spread over names will do. */
static uint32_t
hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

int64_t
renew_at(const char *name, int64_t not_before, int64_t not_after, int percent)
{
	int64_t lifetime = not_after - not_before, due, spread;

	if (lifetime <= 0)
		return not_after;
	due = not_before + lifetime / 100 * percent;
	spread = lifetime / SPREAD;
	if (spread > (not_after - due) / 2)
		spread = (not_after - due) / 2;
	return due + (int64_t)(hash(name) % 1000) * spread / 1000;
}

int64_t
renew_pause(int64_t attempts, int64_t first_ms, int64_t max_ms,
    int64_t asked_ms, uint32_t random)
{
	int64_t pause = first_ms;

	for (int64_t i = 1; i < attempts && pause < max_ms; i++)
		pause *= 2;
	if (pause > max_ms)
		pause = max_ms;
	pause -= pause / 4 * (int64_t)(random % 1000) / 1000;
	return pause > asked_ms ? pause : asked_ms;
}

int64_t
renew_hurry(int64_t pause_ms, int64_t not_after, int64_t now_ms,
    int64_t first_ms, int64_t asked_ms)
{
	int64_t part = (not_after - now_ms) / 10;

	if (not_after <= now_ms || pause_ms <= part)
		return pause_ms;
	if (part < first_ms)
		part = first_ms;
	if (part < asked_ms)
		part = asked_ms;
	return part < pause_ms ? part : pause_ms;
}

int64_t
renew_urgent_at(const struct domain *d)
{
	return d->not_after - (d->not_after - d->not_before) / URGENT;
}

bool
renew_urgent(const struct domain *d, int64_t now_ms)
{
	int64_t until = d->not_after + (d->not_after - d->not_before) / URGENT;

	return d->version > 0 && now_ms >= renew_urgent_at(d) && now_ms < until;
}

int64_t
renew_last_tenth(const struct domain *d)
{
	return d->not_after - (d->not_after - d->not_before) / 10;
}

int64_t
renew_due(const struct domain *d)
{
	if (d->ari_poll_at > 0 && d->ari_poll_at < d->renew_at)
		return d->ari_poll_at;
	return d->renew_at;
}

bool
renew_ask(const struct domain *d, int64_t now_ms)
{
	return d->ari_poll_at > 0 && d->ari_poll_at <= now_ms &&
	       now_ms < d->renew_at;
}

int64_t
renew_rolled_back(const struct domain *d, int64_t now_ms)
{
	int64_t half = now_ms + (d->not_after - now_ms) / 2;
	int64_t at = renew_urgent_at(d);

	if (at < half)
		at = half;
	return at > d->renew_at ? at : d->renew_at;
}
