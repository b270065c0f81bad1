/*
 * DNS check: do the answers point to us, and may the CA issue?
 *
 * Pure: a judgement over what resolve_name() found.  No order is made for a
 * name that fails, so dead names cost the CA's limits nothing.
 */
#ifndef SYNC_PRECHECK_H
#define SYNC_PRECHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"
#include "sync/resolve.h"

enum precheck_verdict {
	PRECHECK_OK = 0,  /* every address is ours */
	PRECHECK_PENDING, /* the owner must change DNS; err says what */
	PRECHECK_PROBE,   /* points elsewhere, may be a proxy in front: probe */
	PRECHECK_AGAIN,   /* DNS did not answer: nothing is known */
	PRECHECK_CAA,     /* CAA forbids the CA; err says which record to add */
};

/*
 * targets: addresses, CIDR networks and host names; a host name matches when
 * it is in the CNAME chain or one of target_addresses (what the named targets
 * resolve to) is found.  With no targets at all every name that has an address
 * is PRECHECK_PROBE.  Addresses that are not ours beside ones that are:
 * PRECHECK_PENDING, naming the stray one (the CA may use any of them).  Where
 * a wildcard's base points does not matter.  err gets one sentence: what is,
 * what should be.  caa_identities empty: CAA is not judged.
 */
enum precheck_verdict precheck(const char *name, const struct resolve_answer *,
    const struct conf_list *targets, const char (*target_addresses)[46],
    size_t ntarget_addresses, const struct conf_list *caa_identities,
    struct err *);

/* Is that address, of answer's, one of the fleet's?  Arguments as above. */
bool precheck_ours(const char *name, const struct resolve_answer *,
    const char *address, const struct conf_list *targets,
    const char (*target_addresses)[46], size_t ntarget_addresses);

/*
 * RFC 8659: may one of the identities issue for name (a wildcard: issuewild
 * before issue)?  Return 0, or -1 with the sentence.  Unknown critical tags
 * forbid.
 */
int precheck_caa(const char *name, const struct resolve_answer *,
    const struct conf_list *identities, struct err *);

#endif
