/*
 * Who asks, and may they?
 *
 * By the socket: whoever its permissions and SO_PEERCRED let in may do
 * everything.  With a token, however it comes: what the token may.  By TCP
 * without one: nothing but what is for anybody.
 */
#ifndef SYNC_API_AUTH_H
#define SYNC_API_AUTH_H

#include "sync/api/request.h"

/*
 * Judge a request whose route is known: then is called, in this turn of the
 * loop or later, or the request is answered: 401, 403, 404 or 429.
 */
void auth_check(struct request *, request_fn *then);

/* The same for what has a token's hash already: no role is asked for. */
void auth_token(struct request *, const char *hash, request_fn *then);

/* The last step: may it, by what is known of who asks?  Then q->then is called. */
void auth_permit(struct request *);

/* What follows "Bearer" in its Authorization, NULL: there is none. */
const char *auth_bearer(const struct request *);

/* 401, with the sentence. */
void auth_refuse(struct request *, const char *sentence);

/* True when it is for some apps only. */
bool auth_limited(const struct request *);

/* 403: what is about all is not for who is limited. */
void auth_refuse_limited(struct request *);

/* True when the request may see what is of that app. */
bool auth_sees(const struct request *, const char *app);

/* Write down who has changed what, or tried to. */
void auth_audit(const struct request *, int status);

#endif
