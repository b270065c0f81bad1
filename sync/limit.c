#include "sync/limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/conf.h"
#include "common/str.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
/* Boulder: the same names in the last 120 days; a day for clocks and us. */
#define RENEWAL_MS (119 * DAY_MS)
#define UNKNOWN_MS HOUR_MS         /* a CA that does not say until when */
#define UNTIL_MAX_MS (30 * DAY_MS) /* nobody blocks us for longer */
#define JITTER_MAX_MS 60000

static const char *const names[LIMIT_BUCKETS] = {
	[LIMIT_FAILURES] = "failures",
	[LIMIT_SET] = "set",
	[LIMIT_DOMAIN] = "domain",
	[LIMIT_ORDERS] = "orders",
};

/* Of letsencrypt.org/docs/rate-limits, as they are and as they were. */
static const struct {
	const char *anchor;
	enum limit_bucket bucket;
} anchors[] = {
	{ "new-certificates-per-registered-domain", LIMIT_DOMAIN },
	{ "new-certificates-per-exact-set-of-identifiers", LIMIT_SET },
	{ "new-certificates-per-exact-set-of-hostnames", LIMIT_SET },
	{ "new-orders-per-account", LIMIT_ORDERS },
	{ "authorization-failures-per-identifier-per-account", LIMIT_FAILURES },
	{ "authorization-failures-per-hostname-per-account", LIMIT_FAILURES },
};

const char *
limit_name(enum limit_bucket b)
{
	return names[b];
}

int
limit_parse(const char *name)
{
	for (int i = 0; i < LIMIT_BUCKETS; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* --- buckets -------------------------------------------------------------------- */

/* Of a limit, what is left to us. */
static int64_t
ours(const struct conf *conf, int64_t max)
{
	int64_t left = max * (100 - conf->limits.headroom_percent) / 100;

	return max > 0 && left < 1 ? 1 : left;
}

/* certificates_per_domain, or what an override says. */
static int64_t
domain_max(const struct conf *conf, const char *registered)
{
	const struct conf_list *list = &conf->limits.domain_overrides;
	size_t len = strlen(registered);
	int64_t max;

	for (size_t i = 0; i < list->n; i++)
		if (strncasecmp(list->item[i], registered, len) == 0 &&
		    list->item[i][len] == '=' &&
		    str_int(list->item[i] + len + 1, 0, INT64_MAX, &max) == 0)
			return max;
	return conf->limits.certificates_per_domain;
}

/* Host and port of the directory: each CA counts for itself. */
static void
put_key(struct limit *l, const char *subject, const char *directory)
{
	const char *host = strstr(directory, "://");
	size_t len;

	host = host != NULL ? host + 3 : directory;
	len = strcspn(host, "/?#");
	snprintf(l->key, sizeof(l->key), "%.*s@%.*s", DOMAIN_NAME_MAX, subject,
	    len > 140 ? 140 : (int)len, host);
}

void
limit_of(const struct conf *conf, const char *directory, enum limit_bucket b,
    const char *name, struct limit *l)
{
	const char *subject = name;
	int64_t max = 0, hours = 0;

	switch (b) {
	case LIMIT_FAILURES:
		max = conf->limits.failures_per_name;
		hours = conf->limits.failures_window_h;
		break;
	case LIMIT_SET:
		max = conf->limits.certificates_per_set;
		hours = conf->limits.set_window_h;
		break;
	case LIMIT_DOMAIN:
		subject = domain_registered(name);
		max = domain_max(conf, subject);
		hours = conf->limits.domain_window_h;
		break;
	case LIMIT_ORDERS:
		subject = "";
		max = conf->limits.orders_per_account;
		hours = conf->limits.orders_window_h;
		break;
	case LIMIT_BUCKETS:
		break;
	}
	*l = (struct limit){ .bucket = b,
		.max = ours(conf, max),
		.window_ms = hours * conf->limits.hour_ms };
	put_key(l, subject, directory);
}

void
limit_subject(const struct limit *l, char out[static DOMAIN_NAME_MAX])
{
	snprintf(
	    out, DOMAIN_NAME_MAX, "%.*s", (int)strcspn(l->key, "@"), l->key);
}

enum limit_kind
limit_kind_of(const struct domain *d, int64_t now_ms)
{
	return d->version > 0 && d->not_before > now_ms - RENEWAL_MS
	           ? LIMIT_RENEWAL
	           : LIMIT_NEW;
}

bool
limit_asks(enum limit_kind kind, enum limit_bucket b)
{
	switch (kind) {
	case LIMIT_NEW:
		return true;
	case LIMIT_RENEWAL:
		return b == LIMIT_SET || b == LIMIT_FAILURES;
	case LIMIT_ARI:
		return false;
	}
	return true;
}

bool
limit_spends(enum limit_bucket b)
{
	return b != LIMIT_FAILURES;
}

/* Let's Encrypt counts every certificate of a set, exempt or not. */
bool
limit_counts(enum limit_kind kind, enum limit_bucket b)
{
	return b == LIMIT_SET || (b == LIMIT_DOMAIN && kind == LIMIT_NEW);
}

/* --- what the CA says ------------------------------------------------------------- */

/* "retry after 2026-01-02 15:04:05 UTC" (or 2026-01-02T15:04:05Z); 0: none. */
static int64_t
retry_after(const char *detail)
{
	static const char words[] = "retry after ";
	const char *p = strcasestr(detail, words), *end;
	struct tm tm = { 0 };

	if (p == NULL)
		return 0;
	p += strlen(words);
	end = strptime(p, "%Y-%m-%d", &tm);
	if (end == NULL || (*end != ' ' && *end != 'T') ||
	    strptime(end + 1, "%H:%M:%S", &tm) == NULL)
		return 0;
	return (int64_t)timegm(&tm) * 1000;
}

/* The first https URL behind from; "" when there is none that fits. */
static void
take_url(const char *from, char *url, size_t size)
{
	const char *p = strstr(from, "https://");
	size_t len = 0;

	url[0] = '\0';
	if (p == NULL)
		return;
	while (
	    p[len] > ' ' && p[len] < 0x7f && strchr("\"<>\\", p[len]) == NULL)
		len++;
	if (len >= size)
		return;
	memcpy(url, p, len);
	url[len] = '\0';
}

static void
take_anchor(const char *detail, struct limit_problem *p)
{
	const char *at = strchr(detail, '#');
	size_t len;

	p->bucket = LIMIT_SET;
	if (at == NULL)
		return;
	len = strspn(++at, "abcdefghijklmnopqrstuvwxyz0123456789-");
	for (size_t i = 0; i < sizeof(anchors) / sizeof(anchors[0]); i++)
		if (strlen(anchors[i].anchor) == len &&
		    memcmp(anchors[i].anchor, at, len) == 0) {
			p->bucket = anchors[i].bucket;
			p->known = true;
		}
}

void
limit_problem(const char *detail, int64_t retry_ms, int64_t now_ms,
    struct limit_problem *p)
{
	*p = (struct limit_problem){ 0 };
	take_anchor(detail, p);
	/* Boulder pauses with the type of a limit, and no time. */
	p->paused =
	    retry_ms == 0 &&
	    strcasestr(detail, "temporarily prevented from requesting") != NULL;
	if (p->paused)
		take_url(detail, p->url, sizeof(p->url));
	/* Relative first: it does not depend on our clock. */
	p->until = retry_ms > 0 ? now_ms + retry_ms : retry_after(detail);
	if (p->until <= now_ms)
		p->until = now_ms + UNKNOWN_MS;
	if (p->until > now_ms + UNTIL_MAX_MS)
		p->until = now_ms + UNTIL_MAX_MS;
}

bool
limit_refused(const struct err *e)
{
	return e->kind == ERR_LIMITED ||
	       (e->kind != ERR_AGAIN && e->type[0] != '\0');
}

/* --- waiting ------------------------------------------------------------------------ */

/* "per week" */
static void
put_window(char *out, size_t size, int64_t window_ms)
{
	int64_t hours = window_ms / HOUR_MS;

	if (hours == 168)
		snprintf(out, size, "per week");
	else if (hours == 24)
		snprintf(out, size, "per day");
	else if (hours == 1)
		snprintf(out, size, "per hour");
	else if (hours > 0)
		snprintf(out, size, "in %" PRId64 " hours", hours);
	else
		snprintf(out, size, "in %" PRId64 " s", window_ms / 1000);
}

static void
put_rule(char *out, size_t size, const struct limit *l, bool ca_said)
{
	char window[32], subject[DOMAIN_NAME_MAX];
	long long max = (long long)l->max;

	limit_subject(l, subject);
	put_window(window, sizeof(window), l->window_ms);
	switch (l->bucket) {
	case LIMIT_FAILURES:
		if (ca_said)
			snprintf(out, size,
			    "the CA waits after failed "
			    "validations");
		else
			snprintf(out, size,
			    "at most %lld failed validations %s", max, window);
		break;
	case LIMIT_SET:
		if (ca_said)
			snprintf(out, size, "the CA wants to be asked later");
		else
			snprintf(out, size,
			    "at most %lld certificates %s for the same names",
			    max, window);
		break;
	case LIMIT_DOMAIN:
		if (ca_said)
			snprintf(out, size,
			    "the CA has issued enough certificates for %.120s",
			    subject);
		else
			snprintf(out, size,
			    "at most %lld certificates %s for %.120s", max,
			    window, subject);
		break;
	case LIMIT_ORDERS:
		if (ca_said)
			snprintf(out, size,
			    "the CA has had enough orders of our account");
		else
			snprintf(out, size,
			    "at most %lld orders %s of our account", max,
			    window);
		break;
	case LIMIT_BUCKETS:
		snprintf(out, size, "a limit of the CA");
		break;
	}
}

int
limit_wait(struct err *e, const struct limit *l, bool ca_said, int64_t free_at,
    int64_t now_ms)
{
	char rule[200], when[STR_TIME_MAX];

	put_rule(rule, sizeof(rule), l, ca_said);
	str_time(when, free_at);
	/* 2026-01-02T15:04:05.000Z, as people write it */
	when[10] = ' ';
	err_set(e, ERR_LIMITED, "%s: next one free at %.19s UTC", rule, when);
	snprintf(e->type, sizeof(e->type), "%s", LIMIT_WAIT);
	e->retry_ms = free_at > now_ms ? free_at - now_ms : 1;
	return -1;
}

bool
limit_waits(const struct err *e)
{
	return e->kind == ERR_LIMITED && strcmp(e->type, LIMIT_WAIT) == 0;
}

int64_t
limit_pause(int64_t free_at, int64_t now_ms, uint32_t random)
{
	int64_t wait = free_at > now_ms ? free_at - now_ms : 0;
	int64_t jitter = wait / 20 + 100;

	if (jitter > JITTER_MAX_MS)
		jitter = JITTER_MAX_MS;
	return wait + 1 + jitter * (int64_t)(random % 1000) / 1000;
}
