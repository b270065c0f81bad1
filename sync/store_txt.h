/* The journal of TXT records in the store; as in sync/store.h. */
#ifndef SYNC_STORE_TXT_H
#define SYNC_STORE_TXT_H

#include "sync/store.h"
#include "sync/txt.h"

/* Write an entry, anew or over itself; fn may be NULL. */
void store_txt_put(struct store *, const struct txt *, store_fn *, void *arg);
void store_txt_drop(struct store *, const struct txt *, store_fn *, void *arg);

/* All entries, as JSON for txt_read(). */
void store_txts(struct store *, store_names_fn *, void *arg);

#endif
