/*
 * What the export and the restore share: how the file says what it is.  Private
 * to the two.
 */
#ifndef SYNC_TRANSFER_IMPL_H
#define SYNC_TRANSFER_IMPL_H

#include <jansson.h>

#include "common/err.h"
#include "sync/fleet_line.h"

#define TRANSFER_PROOF "certfleet" /* sealed, in the header */

/* The digest as it is in the file. */
void transfer_digest(const struct fleet_digest *, char out[static 65]);

/* A text in a line, or in the meta record; "" when there is none. */
const char *transfer_text(const json_t *, const char *field);

/* The meta record that is there: -1 when there is none of ours. */
int transfer_partitions(const json_t *meta, struct err *);

#endif
