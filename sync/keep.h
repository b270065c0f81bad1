/*
 * A bundle, checked and kept on this node's disk: the sealed copy that survives
 * everything, and the plain PEM that HAProxy loads at start.
 */
#ifndef SYNC_KEEP_H
#define SYNC_KEEP_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "sync/cert.h"

struct files;
struct seal_ring;
struct stage;

/*
 * Open the bundle, check it (cert_check) and write it to disk.  not_after is
 * the end of the certificate that is kept now, 0: there is none; one that ends
 * earlier is ERR_REFUSED while that is valid.  Fills cert, also on failure, and
 * second, whose chain is NULL when the bundle has only one; the caller clears
 * them.  When only the sealed copy cannot be written (a disk is full), unkept
 * says why, and what was there stays there.  staged is that copy as it was
 * written before (files_stage()), or NULL.
 */
int keep_bundle(const struct seal_ring *, struct files *, const char *name,
    int64_t not_after, const void *bundle, size_t len, struct stage *staged,
    struct cert *, struct cert *second, struct err *unkept, struct err *);

/*
 * The same for one that is to be proven first: only the PEMs that HAProxy loads
 * are written, the sealed copy stays what it was.
 */
int keep_trial(const struct seal_ring *, struct files *, const char *name,
    const void *bundle, size_t len, struct cert *, struct cert *second,
    struct err *);

/*
 * Write what HAProxy loads at start from the sealed copies: PEMs, crt-list and,
 * where there is none, a placeholder as default certificate.  fn, which may be
 * NULL, is called for each that is good, and for a second certificate under its
 * own name (files_second()); a copy that does not pass the checks stays where it
 * is and is not served.  Its dates are not judged: at start nobody knows whether
 * our clock is right.  Returns how many are good, -1 when the directories are
 * unusable.
 */
typedef void keep_fn(void *arg, const char *name, const struct cert *);
int keep_load(const struct seal_ring *, struct files *, keep_fn *, void *arg,
    struct err *);

#endif
