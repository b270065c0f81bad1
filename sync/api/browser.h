/*
 * Browsers: what they are shown they get by a session, in a cookie that scripts
 * cannot read.
 *
 * A browser sends it whoever wrote the page that asks.  So what it may bring is
 * looked at first: the name that it has for us must be one of ours, else 421;
 * what changes something must come from our own page, which its Origin and a
 * header say that no other page can set, else 403.
 */
#ifndef SYNC_API_BROWSER_H
#define SYNC_API_BROWSER_H

#include <stdbool.h>

#include "sync/api/request.h"

/* True when it has a session, and nothing else to say who it is. */
bool browser_comes(const struct request *);

/* True when it asks for a name of ours; else it has been answered. */
bool browser_welcome(struct request *);

/* The same, and from a page of ours. */
bool browser_ours(struct request *);

/*
 * Judge its session: then is called, or the request is answered: 401, 403, 421.
 * A session that is no longer new is given anew.  Where anybody may ask, who has
 * none goes on without (q->by_token).
 */
void browser_check(struct request *, request_fn *then);

/* Begin a session for the token in q, with the answer; or end it. */
void browser_begin(struct request *, request_fn *then);
void browser_end(struct request *);

/* Headers that all have what a browser shows. */
void browser_headers(struct request *);

#endif
