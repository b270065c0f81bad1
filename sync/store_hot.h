/* What of hot.h the nodes of a fleet tell each other; as in sync/store.h. */
#ifndef SYNC_STORE_HOT_H
#define SYNC_STORE_HOT_H

#include "sync/store.h"

/* As hot_dump() writes it; "": there is none. */
void store_hot(struct store *, store_text_fn *, void *arg);

/* It is kept for a month. */
void store_hot_put(struct store *, const char *text);

#endif
