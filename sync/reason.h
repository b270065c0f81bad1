/* Why a certificate is revoked (RFC 5280 section 5.3.1), by name. */
#ifndef SYNC_REASON_H
#define SYNC_REASON_H

/* The names that are known, for a sentence. */
#define REASONS "unspecified, keyCompromise, superseded or cessationOfOperation"

/* The number of a reason, -1: unknown. */
int reason_number(const char *name);

#endif
