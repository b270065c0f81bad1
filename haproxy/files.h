/*
 * A node's certificates on disk.
 *
 * Two copies of each: the bundle as Redis holds it (its key sealed) in
 * state_dir/certs, which survives everything, and the plain PEM in cert_dir, a
 * tmpfs, which HAProxy loads at start by the crt-list.  Every file is written
 * by temp + fsync + rename with mode 0600; the crt-list never names a PEM that
 * is not there.  A PEM's path is also the certificate's name in HAProxy.
 */
#ifndef HAPROXY_FILES_H
#define HAPROXY_FILES_H

#include <stddef.h>

#include "common/buf.h"
#include "common/domain.h"
#include "common/err.h"

#define FILES_PATH_MAX 512
#define FILES_NAME_MAX (DOMAIN_NAME_MAX + 8) /* also of a second one */

struct files;
struct stage;
struct worker;

/*
 * Make the directories (0700) where they are missing and check that they are
 * ours and closed to others (ERR_CONFIG).  crt_list is the crt-list's path.
 */
struct files *files_new(const char *state_dir, const char *cert_dir,
    const char *crt_list, struct err *);
void files_free(struct files *);

/* The path of a domain's PEM, as HAProxy knows it. */
void files_path(
    const struct files *, const char *name, char out[static FILES_PATH_MAX]);

/*
 * A domain may have a second certificate, of another kind of key, for clients
 * that do not take the first.  It goes by a name of its own, which no domain
 * has, in files_path() and in what is told here; the crt-list serves both for
 * the domain.  It is not called "x.pem.rsa": beside "x.pem", HAProxy would load
 * that by itself as well.
 */
void files_second(const char *name, char out[static FILES_NAME_MAX]);
int files_is_second(const char *name);
void files_domain(const char *name, char out[static DOMAIN_NAME_MAX]);

/*
 * The domain (or second name) of such a path; -1 when the path does not tell: that of a long
 * name ends in a digest.  It may be another's, so files_path() has to agree.
 */
int files_name(const char *path, char name[static DOMAIN_NAME_MAX]);

/*
 * Write a domain's sealed bundle beforehand (haproxy/stage.h), beside the one
 * that is there: for files_put().
 */
typedef void files_stage_fn(void *arg, struct stage *);
struct stage *files_stage(const struct files *, struct worker *,
    const char *name, const void *bundle, size_t len, files_stage_fn *,
    void *arg);

/*
 * Write a domain's sealed bundle and PEM and add it to the crt-list held in
 * memory; files_sync() writes that, and makes sure that a crash of the machine
 * does not bring the old files back.  ERR_AGAIN when the disk is full or
 * read-only: what was there stays.  staged is the bundle that was written before,
 * or NULL.
 */
int files_put(struct files *, const char *name, const void *bundle,
    size_t bundle_len, struct stage *staged, const char *pem, struct err *);

/* The PEM alone: what is sealed stays, and comes back with the next start. */
int files_put_pem(
    struct files *, const char *name, const char *pem, struct err *);

/*
 * Write or, with pem NULL, remove the PEM of a domain's second certificate and
 * its line in the crt-list, which is written at once when it loses that.
 */
int files_put_second(
    struct files *, const char *name, const char *pem, struct err *);

/* Forget a domain: crt-list first (written at once), then its files. */
int files_remove(struct files *, const char *name, struct err *);

/* Write the crt-list when it changed: one line per PEM, sorted. */
int files_sync(struct files *, struct err *);

/* HAProxy's default certificate, cert_dir/default.pem. */
int files_put_default(struct files *, const char *pem, struct err *);
int files_has_default(const struct files *);

/*
 * Append the sealed bundle of a domain to out, whose cap is the limit; ERR_AGAIN
 * when there is none.
 */
int files_get(
    const struct files *, const char *name, struct buf *out, struct err *);

/*
 * Call fn for every sealed bundle on disk.  fn may call files_put() for the
 * same name.  A file that cannot be read is logged and passed over.
 */
typedef void files_fn(
    void *arg, const char *name, const void *bundle, size_t len);
int files_each(struct files *, files_fn *, void *arg, struct err *);

#endif
