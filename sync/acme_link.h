/* Link headers (RFC 8288) as ACME uses them. */
#ifndef SYNC_ACME_LINK_H
#define SYNC_ACME_LINK_H

#include <stddef.h>

/*
 * Take the next link with this relation out of *links, which is moved on
 * behind it: its URL goes to url.  Return 0, or -1 when there is none left.
 * One that is damaged or does not fit is passed over.
 */
int acme_link(const char **links, const char *rel, char *url, size_t size);

#endif
