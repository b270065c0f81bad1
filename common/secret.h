/*
 * Secrets on disk and in the environment: reading them without leaking them.
 *
 * A file that group or others may read is refused: what was readable once
 * must be taken as known.  What systemd gives us ($CREDENTIALS_DIRECTORY) may
 * look as if a group could read it: it is root's, with an entry for us in its
 * ACL, which the mode shows as the group's.
 */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

#define SECRET_MAX 4096 /* bytes of a secret that a setting refers to */

/*
 * Append the file's bytes to out, up to its cap; the caller wipes it with
 * buf_wipe().  ERR_CONFIG when it is not a regular file, or when group or
 * others may use it.  With follow, the path itself may be a symbolic link.
 */
int secret_file(const char *path, bool follow, struct buf *out, struct err *);

/*
 * The path of the credential that systemd gave us under that name, which the
 * caller frees; NULL when it gave none.
 */
char *secret_given(const char *name);

/*
 * Append what "file:/path" or "env:NAME" refers to, without the file's last
 * newline.  A reference that is neither is ERR_CONFIG and is not quoted: it
 * may be the secret itself.
 */
int secret_read(const char *reference, struct buf *out, struct err *);

#endif
