/*
 * When is the next attempt due?  Pure arithmetic over times that are passed in.
 */
#ifndef SYNC_RENEW_H
#define SYNC_RENEW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/domain.h"

/*
 * A certificate is due for renewal when percent of its lifetime has passed (67:
 * day 60 of 90, day 30 of 45), or up to a fiftieth of the lifetime later: how
 * much is fixed per name, so that names issued together are not renewed
 * together.  Times in wall-clock milliseconds.
 */
int64_t renew_at(
    const char *name, int64_t not_before, int64_t not_after, int percent);

/*
 * The pause before attempt number attempts + 1 after attempts failures in a
 * row: first_ms, doubled each time, at most max_ms; of that between 75 % and
 * 100 %, chosen by random (any number).  Never less than asked_ms, which is
 * what the CA asked for.
 */
int64_t renew_pause(int64_t attempts, int64_t first_ms, int64_t max_ms,
    int64_t asked_ms, uint32_t random);

/*
 * A certificate that ends before ten such pauses have passed is tried more
 * often: a tenth of what is left, but not less than first_ms and asked_ms.
 * not_after in the past, or 0: there is nothing to lose.
 */
int64_t renew_hurry(int64_t pause_ms, int64_t not_after, int64_t now_ms,
    int64_t first_ms, int64_t asked_ms);

/*
 * Is a certificate that serves about to end, or just over?  From the last third
 * of what a renewal at two thirds of the lifetime has, until as long after the
 * end: a ninth of the lifetime either way.
 */
bool renew_urgent(const struct domain *, int64_t now_ms);
int64_t renew_urgent_at(const struct domain *);

/* When the certificate's last tenth begins: nothing may be lost any more. */
int64_t renew_last_tenth(const struct domain *);

/*
 * When to look at a domain again whose certificate is served: for its renewal,
 * or before that for what the CA says about it.
 */
int64_t renew_due(const struct domain *);

/*
 * When to renew a certificate that an operator has gone back to: when it was to
 * be, which may be long past.  Then as late as is safe, when its last ninth
 * begins, or when half of what is left has passed: what it was renewed into was
 * no good, and people are to have time.
 */
int64_t renew_rolled_back(const struct domain *, int64_t now_ms);

/* Is it time to ask the CA when it wants the certificate renewed? */
bool renew_ask(const struct domain *, int64_t now_ms);

#endif
