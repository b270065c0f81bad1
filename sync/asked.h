/*
 * An owner asks for a renewal now: what will come of it?
 *
 * Pure: a judgement over the record.  What the CA's limits say is another
 * matter (sync/limit.h).
 */
#ifndef SYNC_ASKED_H
#define SYNC_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#include "common/domain.h"
#include "common/err.h"

enum asked {
	ASKED_ORDER = 0,    /* a new certificate is ordered */
	ASKED_DNS_CHECK,    /* DNS first: it was not right so far */
	ASKED_RECORD_CHECK, /* a person has to make a TXT record: is it there? */
	ASKED_REFUSED,      /* nothing; err says why, and what to do */
};

/*
 * force: also when the certificate is so young that another one only spends
 * the CA's limits.  custom_before_ms as in sync/need.h.
 */
enum asked asked_renewal(const struct domain *, int64_t now_ms,
    int64_t custom_before_ms, bool force, struct err *why);

const char *asked_name(enum asked); /* "order", "dns_check" */

#endif
