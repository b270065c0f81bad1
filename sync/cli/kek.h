/*
 * The key ring as a file, for who looks after it: where it is, and whether
 * somebody has said that it is backed up.
 *
 * That is said by certfleet kek backed-up: the file kek.backed-up beside the
 * other state has the SHA-256 of the ring that was meant, so that a ring that
 * has changed since is not.
 */
#ifndef SYNC_CLI_KEK_H
#define SYNC_CLI_KEK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"
#include "common/err.h"

#define KEK_DIGEST_SIZE 65 /* hexadecimal */

/*
 * Where the ring is: kek_file or, when that is not there, what systemd is to
 * give.  Freed by the caller.
 */
char *kek_path(const struct conf *);

/* Its SHA-256.  Fails as reading does. */
int kek_digest(
    const char *path, char out[static KEK_DIGEST_SIZE], struct err *);

/* Which ring was said to be backed up; "": none. */
void kek_backed_up(const struct conf *, char out[static KEK_DIGEST_SIZE]);

int kek_say_backed_up(const struct conf *, const char *digest, struct err *);

#endif
