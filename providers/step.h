/* What the steps of all providers have in common. */
#ifndef PROVIDERS_STEP_H
#define PROVIDERS_STEP_H

#include "common/buf.h"
#include "providers/provider.h"

#define STEP_SAID_MAX 160 /* of a provider's own words, in a sentence */

/* Begin a request at the provider's base URL, or the operator's. */
void step_start(
    const struct txt_record *, struct http_msg_req *, const char *method);

/* Send a JSON body, serialised now; its members keep their order. */
void step_send_json(struct http_msg_req *, json_t *stolen);

/*
 * The reply's JSON, the caller owns it; NULL when it is none.  The second is
 * for what was accepted: no JSON is ERR_AGAIN then (a proxy's page).
 */
json_t *step_json(const struct http_msg_res *);
json_t *step_accepted(
    const struct txt_record *, const struct http_msg_res *, struct err *);

/* Forget JSON that has secrets: its strings are overwritten first. */
void step_wipe_json(json_t *);

/*
 * What a request that failed means, by its status, in a sentence for the
 * owner; said is the provider's own message, "" for none.  Always returns -1.
 */
int step_refused(const struct txt_record *, const struct http_msg_res *,
    const char *said, struct err *);

/* The same when the status does not tell: 401, 403, 404, 429, 503, ... */
int step_refused_as(const struct txt_record *, int status,
    const struct http_msg_res *, const char *said, struct err *);

/* Does the name end in the zone, on a label boundary? */
bool step_below(const char *name, const char *zone);

/* fqdn without zone; apex when they are equal. */
const char *step_relative(
    const struct txt_record *, char dst[static 254], const char *apex);

/*
 * zone is not in the account: try the next candidate in the same step.
 * ERR_REFUSED when there is none left.
 */
int step_next_zone(struct txt_record *, struct err *);

/*
 * The same after an answer that may be 403: credentials for some zones only
 * are refused all others, there or not.  So what was forbidden is the error
 * (ERR_CONFIG) only when nothing is found.
 */
int step_not_this_zone(
    struct txt_record *, const struct http_msg_res *, struct err *);

/*
 * Somebody else was faster: go on with that step, which reads again.
 * ERR_AGAIN when it happens all the time.  Where nothing guards a set against
 * other writers, this also follows each write: they may be faster afterwards.
 */
int step_conflict(struct txt_record *, int step, struct err *);

/*
 * Ask in this step again after wait_ms; false when that was done until
 * limit_ms had passed.
 */
bool step_poll(struct txt_record *, int64_t wait_ms, int64_t limit_ms);

/* Keep the record set that was read. */
void step_keep_set(struct txt_record *, json_t *stolen);

/*
 * Keep a token for so many seconds, less a minute for what is under way; for
 * this operation at least, whatever the provider says.
 */
void step_keep_token(struct txt_record *, const char *, int64_t expires_in_s);

#endif
