/* Calls of OVH's API: where they go, their signature, what a refusal means. */
#ifndef PROVIDERS_OVH_CALL_H
#define PROVIDERS_OVH_CALL_H

#include "providers/provider.h"

/* The order of the settings. */
enum {
	OVH_ENDPOINT = 0,
	OVH_APPLICATION,
	OVH_SECRET,
	OVH_CONSUMER
};

/* provider.check: is the endpoint one of the two? */
int ovh_check(
    const char *const *credential, struct provider_vars *bad, struct err *);

/* Begin a request at the endpoint. */
void ovh_begin(
    const struct txt_record *, struct http_msg_req *, const char *method);

/*
 * The last thing done to a request: URL and body are signed as they are.
 * Returns 0, so that an ask can end with it.
 */
int ovh_sign_request(const struct txt_record *, struct http_msg_req *);

/* The consumer key's rules do not allow this call. */
bool ovh_not_granted(const struct http_msg_res *);

/* What a refusal means, as step_refused(). */
int ovh_refused(
    const struct txt_record *, const struct http_msg_res *, struct err *);

/*
 * True when the timestamp was refused and the provider's time will be asked
 * for again, once: our clock may have been set since.
 */
bool ovh_clock_is_wrong(struct txt_record *, const struct http_msg_res *);

#endif
