/*
 * What a webhook says of an event of the stream, and how that is signed.
 *
 *	name       Cloudflare's for custom hostnames where it has one
 *	           ("ssl.custom_hostname_certificate.deployment.succeeded"),
 *	           else "certfleet.domain." and the stream's own type
 *	body       JSON, of what the stream tells and nothing else
 *	signature  Standard Webhooks: HMAC-SHA256 over "id.timestamp.body"
 *
 * Pure: the time is passed in.
 */
#ifndef SYNC_WEBHOOK_EVENT_H
#define SYNC_WEBHOOK_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "sync/store.h"

#define WEBHOOK_NAME_MAX 96
#define WEBHOOK_ID_MAX 64
#define WEBHOOK_SIGNATURE_MAX 64
#define WEBHOOK_KEY_MIN 16 /* bytes of a secret */
#define WEBHOOK_KEY_MAX 256

/*
 * What the event is called outside; status is Cloudflare's for the
 * certificate, or NULL.  False: it is about no domain.
 */
bool webhook_name(const struct store_event *,
    char name[static WEBHOOK_NAME_MAX], const char **status);

/* Is it one of those (a "*" at the end is any text)?  All are, of none. */
bool webhook_wanted(const struct conf_list *, const char *name);

/* The same id each time that it is sent: of a partition's entry of the stream. */
void webhook_id(int partition, const char *id, char out[static WEBHOOK_ID_MAX]);

/* When the event was, wall ms, by its id. */
int64_t webhook_at(const char *id);

/*
 * The JSON that is sent; app is "" and expires 0 when they are not known.  Freed
 * by the caller.
 */
char *webhook_body(const struct store_event *, const char *webhook_id,
    const char *name, const char *status, const char *app, int64_t expires);

/*
 * "v1," and the signature.  A secret is "whsec_" and base64, or the bytes
 * themselves; one that is too short or long is ERR_CONFIG.
 */
int webhook_sign(const char *secret, const char *webhook_id, int64_t now_s,
    const char *body, char out[static WEBHOOK_SIGNATURE_MAX], struct err *);

#endif
