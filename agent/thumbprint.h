/*
 * The account's thumbprint on disk (state_dir/thumbprint), so that stateless
 * answers survive a restart while Redis is down.
 */
#ifndef AGENT_THUMBPRINT_H
#define AGENT_THUMBPRINT_H

#include "agent/keyauth.h"
#include "common/err.h"

/* Read it; out is "" when there is no such file.  Fails with ERR_CONFIG. */
int thumbprint_load(
    const char *dir, char out[static THUMBPRINT_LEN + 1], struct err *);

/* Write it, mode 0600, as a whole or not at all. */
int thumbprint_save(const char *dir, const char *thumbprint, struct err *);

#endif
