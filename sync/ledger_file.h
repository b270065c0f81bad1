/*
 * The ledger's file: state_dir/ledger, mode 0600.  Lines are appended and on
 * the disk before ledger_file_put() returns; when most lines are old it is
 * written anew.
 */
#ifndef SYNC_LEDGER_FILE_H
#define SYNC_LEDGER_FILE_H

#include "common/buf.h"
#include "common/err.h"
#include "sync/ledger.h"

struct ledger_file;

/*
 * Read what is there into the ledger.  Lines that cannot be read, as a crash
 * may leave the last one, are passed over.  NULL with ERR_CONFIG when the file
 * cannot be used.
 */
struct ledger_file *ledger_file_new(
    const char *state_dir, struct ledger *, struct err *);
void ledger_file_free(struct ledger_file *);

/* Append lines; ERR_AGAIN when they are not on the disk. */
int ledger_file_put(struct ledger_file *, const struct buf *, struct err *);

/* Has it lines to drop?  Then write what the ledger has. */
bool ledger_file_large(const struct ledger_file *, const struct ledger *);
int ledger_file_rewrite(
    struct ledger_file *, const struct ledger *, struct err *);

#endif
