/* API tokens in Redis, and who did what: see sync/api/token.h. */
#ifndef SYNC_STORE_TOKEN_H
#define SYNC_STORE_TOKEN_H

#include "sync/store.h"

#define STORE_TOKENS_MAX 10000

/* The record of the token with that hash, NULL: there is none. */
typedef void store_token_fn(void *arg, const char *record, const struct err *e);
void store_token(struct store *, const char *hash, store_token_fn *, void *arg);

/* All: hash, record, hash, record... in no order; n is how many strings. */
void store_tokens(struct store *, store_names_fn *, void *arg);

/* no: there are STORE_TOKENS_MAX. */
void store_token_add(struct store *, const char *hash, const char *record,
    store_yes_fn *, void *arg);

/* no: there was none. */
void store_token_remove(
    struct store *, const char *hash, store_yes_fn *, void *arg);

/*
 * The fleet's key for passes, made when there is none and sealed like any
 * other; it is wiped when fn returns.
 */
#define STORE_TOKEN_KEY_LEN 32
typedef void store_token_key_fn(
    void *arg, const uint8_t *key, const struct err *e);
void store_token_key(struct store *, store_token_key_fn *, void *arg);

/* Write down who did what: field, value... pairs; the time is added. */
void store_audit(struct store *, const char *const *field, size_t npairs);

/* The newest n of those, oldest first. */
void store_audited(struct store *, int n, store_events_fn *, void *arg);

#endif
