/* Where the API listens: a unix socket, and loopback addresses. */
#ifndef SYNC_API_LISTEN_H
#define SYNC_API_LISTEN_H

#include <sys/types.h>

#include "common/err.h"

/*
 * Listen on path: mode 0600, or 0660 and the group when group is not "".
 * A socket nobody listens on any more is replaced.  Fails with ERR_CONFIG:
 * somebody listens, something else has that name, no such group.
 * Returns the descriptor; *inode tells the socket for listen_unlink().
 */
int listen_unix(
    const char *path, const char *group, ino_t *inode, struct err *);

/*
 * Listen on "127.0.0.1:8405" or "[::1]:8405".  Fails with ERR_CONFIG: it is no
 * loopback address, or somebody listens there.  Returns the descriptor.
 */
int listen_loopback(const char *address, struct err *);

/* Remove the socket unless it has been replaced since. */
void listen_unlink(const char *path, ino_t inode);

#endif
