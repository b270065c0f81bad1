#include "sync/asked.h"

#include <stddef.h>

#include "common/str.h"
#include "sync/need.h"

#define YOUNG_MS INT64_C(86400000)
#define YOUNG_PART 10 /* of the lifetime, where that is less */

/* A certificate that somebody has just ordered. */
static bool
young(const struct domain *d, int64_t now_ms)
{
	int64_t most = (d->not_after - d->not_before) / YOUNG_PART;

	if (d->sha1[0] == '\0' || d->not_after <= now_ms)
		return false;
	return now_ms - d->not_before < (most < YOUNG_MS ? most : YOUNG_MS);
}

static enum asked
refuse(struct err *why, const char *sentence)
{
	err_set(why, ERR_REFUSED, "%s", sentence);
	return ASKED_REFUSED;
}

/* A certificate that is not ours to renew serves it; NULL: none does. */
static const char *
served_otherwise(
    const struct domain *d, int64_t now_ms, int64_t custom_before_ms)
{
	bool custom = d->custom_sha1[0] != '\0';

	if (custom && !d->letsencrypt)
		return "it has a custom certificate, and Let's Encrypt is "
		       "switched off: upload a newer one (certfleet "
		       "domains-ssl)";
	if (need_custom_serves(d, now_ms + custom_before_ms))
		return "a custom certificate serves it: upload a newer one, "
		       "or take it away (certfleet domains-ssl)";
	if (!d->letsencrypt)
		return "Let's Encrypt is switched off for it: switch it on "
		       "(certfleet domains-letsencrypt)";
	if (!custom && d->sha1[0] == '\0' && d->status == DOMAIN_IN_USE)
		return "the platform certificate serves it, which is renewed "
		       "on its own";
	return NULL;
}

enum asked
asked_renewal(const struct domain *d, int64_t now_ms, int64_t custom_before_ms,
    bool force, struct err *why)
{
	const char *otherwise = served_otherwise(d, now_ms, custom_before_ms);
	char at[STR_TIME_MAX];

	if (d->revoke[0] != '\0' && d->sha1[0] != '\0')
		return refuse(why, "its certificate is being revoked, and "
				   "another one follows by itself");
	if (otherwise != NULL)
		return refuse(why, otherwise);
	if (d->acme_dns_value[0] != '\0')
		return ASKED_RECORD_CHECK;
	if (d->sha1[0] == '\0')
		return d->status == DOMAIN_PENDING_DNS ? ASKED_DNS_CHECK
		                                       : ASKED_ORDER;
	if (!force && d->renew_at > now_ms && young(d, now_ms)) {
		err_set(why, ERR_REFUSED,
		    "its certificate was issued only at %s: another one would "
		    "spend the CA's limits for nothing; with force (--force) "
		    "it is ordered all the same",
		    str_time(at, d->not_before));
		return ASKED_REFUSED;
	}
	return ASKED_ORDER;
}

const char *
asked_name(enum asked asked)
{
	switch (asked) {
	case ASKED_ORDER:
		return "order";
	case ASKED_DNS_CHECK:
		return "dns_check";
	case ASKED_RECORD_CHECK:
		return "record_check";
	case ASKED_REFUSED:
		break;
	}
	return "nothing";
}
