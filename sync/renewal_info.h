/*
 * Asks the CA when it wants a certificate renewed, and writes that into the
 * domain's record.
 */
#ifndef SYNC_RENEWAL_INFO_H
#define SYNC_RENEWAL_INFO_H

#include <stdbool.h>

#include "common/domain.h"

struct ca;
struct conf;
struct renewal_info;

/* fallback may be NULL. */
struct renewal_info *renewal_info_new(
    const struct conf *, struct ca *, struct ca *fallback);
void renewal_info_free(struct renewal_info *); /* nobody is called back */

/*
 * Ask for d, which stays where it is until fn is called: then its window,
 * renew_at and ari_poll_at are up to date.  moved: the time of the renewal is
 * another.
 */
typedef void renewal_info_fn(void *arg, bool moved);
void renewal_info_ask(
    struct renewal_info *, struct domain *d, renewal_info_fn *, void *arg);
void renewal_info_cancel(struct renewal_info *, const void *arg);

#endif
