/* A Google service account's key file, as it comes in a variable. */
#ifndef PROVIDERS_GCLOUD_KEY_H
#define PROVIDERS_GCLOUD_KEY_H

#include <jansson.h>

#include "common/buf.h"
#include "common/err.h"

/* The members we use; borrowed from json, which gcloud_key_clear() wipes. */
struct gcloud_key {
	json_t *json;
	const char *project, *email, *private_key, *key_id, *token_uri;
};

/*
 * Read the JSON, or its base64 in any of its forms.  ERR_CONFIG when it is
 * not a service account's, or when its token_uri is not Google's.
 */
int gcloud_key_parse(struct gcloud_key *, const char *variable, struct err *);
void gcloud_key_clear(struct gcloud_key *);

/* Append the signed assertion that is exchanged for a token, RFC 7523. */
int gcloud_key_assert(
    const struct gcloud_key *, int64_t now_s, struct buf *out, struct err *);

#endif
