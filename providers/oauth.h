/* Answers of token endpoints, RFC 6749 section 5. */
#ifndef PROVIDERS_OAUTH_H
#define PROVIDERS_OAUTH_H

#include "providers/provider.h"

/*
 * Keep the access token of an answer, with the time it is good for.  What
 * says no there says that the credentials are wrong, whatever its status.
 */
int oauth_got(struct txt_record *, const struct http_msg_res *, struct err *);

#endif
