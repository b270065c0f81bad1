#include "providers/ovh_sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/mem.h"

#define SHA1_LEN 20

void
ovh_sign(char dst[static OVH_SIGNATURE_SIZE], const char *secret,
    const char *consumer, const struct http_msg_req *req, int64_t at_s)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	char *text = xasprintf("%s+%s+%s+%s+%s+%" PRId64, secret, consumer,
	    req->method, req->url.p, req->body.p, at_s);

	if (EVP_Digest(text, strlen(text), hash, NULL, EVP_sha1(), NULL) != 1)
		abort();
	mem_wipe_free(text);
	snprintf(dst, OVH_SIGNATURE_SIZE, "$1$");
	for (size_t i = 0; i < SHA1_LEN; i++)
		snprintf(dst + 3 + 2 * i, 3, "%02x", hash[i]);
}
