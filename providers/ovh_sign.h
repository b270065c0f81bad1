/* OVH's request signature, version $1$. */
#ifndef PROVIDERS_OVH_SIGN_H
#define PROVIDERS_OVH_SIGN_H

#include <stdint.h>

#include "common/http_msg.h"

#define OVH_SIGNATURE_SIZE 44 /* "$1$", 40 digits and a NUL */

/* Of a request whose URL and body are complete, at the provider's time. */
void ovh_sign(char dst[static OVH_SIGNATURE_SIZE], const char *secret,
    const char *consumer, const struct http_msg_req *, int64_t at_s);

#endif
