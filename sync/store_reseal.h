/*
 * What is sealed in the store, as it stands there; and what is known of its
 * being sealed anew.
 */
#ifndef SYNC_STORE_RESEAL_H
#define SYNC_STORE_RESEAL_H

#include "sync/sealed.h"
#include "sync/store.h"

/* name: of the domain, the app or the CA (its directory); "" of the others. */
typedef void store_sealed_fn(
    void *arg, const void *bytes, size_t len, const struct err *e);
void store_sealed(struct store *, enum sealed, const char *name,
    store_sealed_fn *, void *arg); /* bytes NULL: there is none */

/* Put new in its place, if it is still old.  yes: it was. */
void store_reseal(struct store *, enum sealed, const char *name,
    const void *old, size_t old_len, const void *new, size_t new_len,
    store_yes_fn *, void *arg);

/* How many TXT records there are, whose variables are sealed with them. */
void store_txt_count(struct store *, store_gen_fn *, void *arg);

/*
 * What the leader says of it: fields, n name-value pairs; it replaces what was
 * said before.  Nobody waits for it.
 */
void store_reseal_note(
    struct store *, const char *const *field, size_t nfields);

/* The same read: pairs of texts, none when nothing was said. */
typedef void store_pairs_fn(
    void *arg, const char *const *field, size_t nfields, const struct err *e);
void store_reseal_noted(struct store *, store_pairs_fn *, void *arg);

/* Ask the leader to go through all of it. */
void store_reseal_ask(struct store *);

#endif
