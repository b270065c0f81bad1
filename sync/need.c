#include "sync/need.h"

#include <stdio.h>
#include <string.h>

#include "sync/renew.h"

static bool
has_custom(const struct domain *d)
{
	return d->custom_sha1[0] != '\0';
}

bool
need_custom_serves(const struct domain *d, int64_t now_ms)
{
	return has_custom(d) && d->custom_left_at == 0 &&
	       now_ms < d->custom_not_after;
}

bool
need_custom_trial(const struct domain *d, int64_t now_ms)
{
	return d->custom_trial_at > 0 && now_ms >= d->custom_trial_at;
}

/* A managed certificate is there, and it is its turn. */
static bool
take_over(const struct domain *d, int64_t now_ms)
{
	return has_custom(d) && d->letsencrypt && d->sha1[0] != '\0' &&
	       now_ms < d->not_after &&
	       (d->custom_left_at > 0 ||
		   now_ms >= d->custom_not_after - NEED_TAKE_OVER_MS);
}

enum need
need_of(const struct domain *d, int64_t now_ms, int64_t custom_before_ms)
{
	if (d->revoke[0] != '\0' && d->sha1[0] != '\0')
		return NEED_REVOCATION;
	if (d->canary[0] != '\0' || need_custom_trial(d, now_ms))
		return NEED_CANARY;
	/* What is served stays until the one that is staged was proven. */
	if (!d->letsencrypt && !has_custom(d))
		return d->custom_trial_at > 0 ? NEED_NOTHING : NEED_SWITCH_OFF;
	if (take_over(d, now_ms))
		return NEED_TAKE_OVER;
	if (d->version > 0 && d->proven < d->version)
		return NEED_PROOF;
	if (!d->letsencrypt)
		return need_custom_serves(d, now_ms) ? NEED_NOTHING
		                                     : NEED_OWNER;
	if (need_custom_serves(d, now_ms + custom_before_ms))
		return NEED_NOTHING;
	if (d->acme_dns_value[0] != '\0')
		return NEED_DNS01;
	if (d->version > 0 && renew_ask(d, now_ms))
		return NEED_RENEWAL_INFO;
	if (d->version > 0 && now_ms < d->renew_at)
		return NEED_NOTHING;
	return NEED_CERTIFICATE;
}

int64_t
need_next_at(const struct domain *d, int64_t now_ms, int64_t custom_before_ms)
{
	int64_t turn = d->custom_not_after - NEED_TAKE_OVER_MS;

	if (!has_custom(d))
		return d->letsencrypt ? renew_due(d) : 0;
	if (!d->letsencrypt)
		return d->custom_not_after;
	if (need_custom_serves(d, now_ms + custom_before_ms))
		return d->custom_not_after - custom_before_ms;
	if (d->renew_at == 0)
		return now_ms; /* there is no managed one yet */
	return turn < renew_due(d) ? turn : renew_due(d);
}

/* errors holds "name=why; name=why": what does this node say of name? */
static bool
node_error(
    const struct store_node *node, const char *name, char *why, size_t size)
{
	size_t len = strlen(name);

	for (const char *p = node->errors; *p != '\0';) {
		const char *end = strstr(p, "; ");
		size_t n = end != NULL ? (size_t)(end - p) : strlen(p);

		if (n > len && strncmp(p, name, len) == 0 && p[len] == '=') {
			snprintf(why, size, "node %s: %.*s", node->id,
			    (int)(n - len - 1), p + len + 1);
			return true;
		}
		p += n + (end != NULL ? 2 : 0);
	}
	return false;
}

int
need_proven(const struct domain *d, const struct store_node *node, size_t n,
    char *why, size_t size)
{
	size_t live = 0, ready = 0;
	const char *slow = "";

	for (size_t i = 0; i < n; i++) {
		if (!node[i].live)
			continue;
		live++;
		if (node_error(&node[i], d->name, why, size))
			return -1;
		if (gens_reached(&node[i].gens, d->name, d->gen))
			ready++;
		else
			slow = node[i].id;
	}
	if (live > 0 && ready == live) {
		snprintf(why, size, "served by %zu node%s", live,
		    live > 1 ? "s" : "");
		return 1;
	}
	if (live == 0)
		snprintf(why, size, "no node is live");
	else
		snprintf(why, size,
		    "certificate issued; served by %zu of %zu nodes, waiting "
		    "for %s",
		    ready, live, slow);
	return 0;
}
