/*
 * Most domains at Gandi use a public zone, which nobody can change.  Such a
 * domain gets a copy whose name says of what; with the last challenge in it,
 * the domain goes back to the original and the copy is removed.  So a copy
 * needs no memory but Gandi's.
 */
#ifndef PROVIDERS_GANDI_COPY_H
#define PROVIDERS_GANDI_COPY_H

#include "providers/provider.h"

/*
 * The steps of gandi.  Of the operation under way: zone_id is the zone, etag
 * its active version, change the version in work, and cursor, when the zone is
 * a copy of ours, the original.
 */
enum {
	GANDI_PROBE = 0,
	GANDI_DOMAIN,
	GANDI_LIST,
	GANDI_INFO,
	GANDI_VERSION,
	GANDI_EDIT,
	GANDI_GUARD,
	GANDI_ACTIVATE,
	GANDI_DROP,
	GANDI_COPY,
	GANDI_ATTACH,
	GANDI_OTHERS,
	GANDI_RESTORE,
	GANDI_DISCARD
};

/* Keep the zone's original, when its name is that of a copy of ours. */
void gandi_keep_original(struct txt_record *, const char *name);

/* Was a copy made that is not used yet? */
bool gandi_has_copy(const struct txt_record *);

/* Copy the zone, and go on with a version of the copy. */
int gandi_copy_ask(struct txt_record *, struct http_msg_req *, struct err *);
int gandi_copy_got(
    struct txt_record *, const struct http_msg_res *, struct err *);

/* Let the domain use the copy. */
int gandi_attach_ask(struct txt_record *, struct http_msg_req *, struct err *);
int gandi_attach_got(
    struct txt_record *, const struct http_msg_res *, struct err *);

/* Is there another challenge in it?  Else it is not needed any more. */
int gandi_others_ask(struct txt_record *, struct http_msg_req *, struct err *);
int gandi_others_got(
    struct txt_record *, const struct http_msg_res *, struct err *);

/* Let the domain use the original. */
int gandi_restore_ask(struct txt_record *, struct http_msg_req *, struct err *);
int gandi_restore_got(
    struct txt_record *, const struct http_msg_res *, struct err *);

/* Remove the copy. */
int gandi_discard_ask(struct txt_record *, struct http_msg_req *, struct err *);
int gandi_discard_got(
    struct txt_record *, const struct http_msg_res *, struct err *);

#endif
