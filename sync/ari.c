#include "sync/ari.h"

#include <stdio.h>
#include <string.h>

#include "common/str.h"
#include "sync/renew.h"
#include "sync/rfc3339.h"

#define USUAL_MS (6 * 3600 * 1000LL)
#define SHORT_PART 50

static int
take_time(json_t *window, const char *key, int64_t *ms, struct err *e)
{
	json_t *value = json_object_get(window, key);
	const char *text = json_string_value(value);

	if (text == NULL || strlen(text) != json_string_length(value) ||
	    rfc3339(text, ms) == -1)
		return err_set(e, ERR_BUG,
		    "renewal information has no %s that is a time", key);
	return 0;
}

/* Shown to people, who may follow it: nothing but a plain https URL. */
static void
take_url(struct ari *a, json_t *url)
{
	const char *s = json_string_value(url);

	a->explanation_url[0] = '\0';
	if (s == NULL || strlen(s) != json_string_length(url) ||
	    strlen(s) >= sizeof(a->explanation_url) ||
	    !str_has_prefix(s, "https://") || s[strlen("https://")] == '\0')
		return;
	for (const char *p = s; *p != '\0'; p++)
		if (*p <= ' ' || *p >= '\x7f' || strchr("\"'<>\\`", *p) != NULL)
			return;
	memcpy(a->explanation_url, s, strlen(s) + 1);
}

int
ari_parse(struct ari *a, json_t *body, struct err *e)
{
	json_t *window = json_object_get(body, "suggestedWindow");

	*a = (struct ari){ 0 };
	if (take_time(window, "start", &a->start, e) == -1 ||
	    take_time(window, "end", &a->end, e) == -1)
		return -1;
	if (a->end <= a->start)
		return err_set(e, ERR_BUG,
		    "the window for the renewal ends before it begins");
	take_url(a, json_object_get(body, "explanationURL"));
	return 0;
}

/* FNV-1a over 64 bits, and a last mix because its low bits are weak. */
static uint64_t
hash(const char *text)
{
	uint64_t h = 14695981039346656037u;

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * 1099511628211u;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	return h ^ h >> 33;
}

int64_t
ari_pick(const char *name, int64_t start, int64_t end)
{
	char text[DOMAIN_NAME_MAX + 64];
	int64_t seconds = (end - start) / 1000;

	snprintf(text, sizeof(text), "%s %lld %lld", name, (long long)start,
	    (long long)end);
	if (seconds < 1)
		return start;
	return start + (int64_t)(hash(text) % (uint64_t)seconds) * 1000;
}

void
ari_take(struct domain *d, const struct ari *a, int64_t now_ms)
{
	int64_t at = ari_pick(d->name, a->start, a->end);
	int64_t last = renew_last_tenth(d);

	d->ari_start = a->start;
	d->ari_end = a->end;
	memcpy(
	    d->explanation_url, a->explanation_url, sizeof(d->explanation_url));
	if (at > last)
		at = last;
	d->renew_at = at > now_ms ? at : now_ms;
}

int64_t
ari_next_poll(int64_t now_ms, int64_t asked_ms, int min_s, int max_s)
{
	int64_t wait = asked_ms > 0 ? asked_ms : USUAL_MS;

	if (wait > (int64_t)max_s * 1000)
		wait = (int64_t)max_s * 1000;
	if (wait < (int64_t)min_s * 1000)
		wait = (int64_t)min_s * 1000;
	return now_ms + wait;
}

void
ari_begin(struct domain *d, const char *ca, const char *id, bool poll,
    int64_t now_ms, int min_s)
{
	int64_t wait = (int64_t)min_s * 1000;
	int64_t part = (d->not_after - d->not_before) / SHORT_PART;

	snprintf(d->ca, sizeof(d->ca), "%s", ca);
	snprintf(d->ari_id, sizeof(d->ari_id), "%s", id);
	d->ari_id_second[0] = d->ca_second[0] = '\0';
	d->ari_start = d->ari_end = d->ari_poll_at = 0;
	d->explanation_url[0] = '\0';
	if (poll && id[0] != '\0')
		d->ari_poll_at = now_ms + (wait < part ? wait : part);
}

void
ari_second(struct domain *d, const char *ca, const char *id)
{
	snprintf(d->ca_second, sizeof(d->ca_second), "%s", ca);
	snprintf(d->ari_id_second, sizeof(d->ari_id_second), "%s", id);
}

/* Older records have one CA for both. */
const char *
ari_ca(const struct domain *d, bool second)
{
	return second && d->ca_second[0] != '\0' ? d->ca_second : d->ca;
}

const char *
ari_replaces(const struct domain *d, const char *ca, bool second)
{
	const char *id = second ? d->ari_id_second : d->ari_id;

	if (d->version == 0 || id[0] == '\0' || d->ari_end == 0 ||
	    strcmp(ari_ca(d, second), ca) != 0)
		return NULL;
	return id;
}

bool
ari_within(const struct domain *d, int64_t now_ms)
{
	return d->ari_start <= now_ms && now_ms < d->ari_end;
}
