/*
 * The client of one ACME CA (RFC 8555): directory, account, nonces, signed
 * requests.
 *
 * The directory is fetched when first needed and again each day; the account
 * is made (or found, section 7.3.1) with the key given.  Nonces come from
 * replies, newNonce is asked only when there is none.  badNonce is retried at
 * once, with the nonce of the error.  URLs must be https and on the directory's
 * host or an allowed one, unless the CA is marked insecure_test.
 */
#ifndef SYNC_CA_H
#define SYNC_CA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "sync/order.h"

struct conf;
struct event_base;
struct http;
struct skew;
struct ca;

/* Called when the account's URL becomes known: save it. */
typedef void ca_account_fn(void *arg, const char *url);

struct ca *ca_new(struct event_base *, struct http *, const struct conf *,
    ca_account_fn *, void *arg);
/* The same for the CA of the section acme_fallback. */
struct ca *ca_new_fallback(struct event_base *, struct http *,
    const struct conf *, ca_account_fn *, void *arg);
void ca_free(struct ca *);

/* Note the CA's Date of each answer in skew, which outlives the ca. */
void ca_tell_skew(struct ca *, struct skew *);

/*
 * Use this account: key_pem (P-256, borrowed), url "" when there is none yet.
 * Must be called before ca_post(); ERR_BUG when the key cannot be read.
 */
int ca_set_account(
    struct ca *, const char *key_pem, const char *url, struct err *);

/* The directory's URL: by it a CA is known. */
const char *ca_directory(const struct ca *);

/* Is url, of an order or an account, at this CA? */
bool ca_owns(const struct ca *, const char *url);

/* The account's URL; "" before it is known. */
const char *ca_account(const struct ca *);

/* RFC 7638 thumbprint of the account key, 43 characters; "" before. */
const char *ca_thumbprint(const struct ca *);

/*
 * Give the account another key (P-256), and use it: fn is told the account's
 * URL.  ERR_REFUSED: the CA has said no, the old key stays; ERR_AGAIN: it is
 * not known which key the account has, call again with the same before anything
 * else.  One at a time; fn is never called from within.
 */
typedef void ca_roll_fn(void *arg, const char *url, const struct err *e);
int ca_roll(
    struct ca *, const char *key_pem, ca_roll_fn *, void *arg, struct err *);
void ca_roll_cancel(struct ca *);

/*
 * POST url ("newOrder": that resource) signed; payload is stolen, NULL means
 * POST-as-GET.  Exactly one of reply and e is not NULL: a problem document
 * (RFC 7807) and any status of 400 or more becomes an err with its kind, type
 * and retry_ms.  fn is never called from within.
 */
typedef void ca_fn(void *arg, const struct reply *, const struct err *e);
uint64_t ca_post(
    struct ca *, const char *url, json_t *stolen, ca_fn *, void *arg);

/*
 * GET what the CA says about the renewal of a certificate (RFC 9773), by its
 * cert_ari_id(); not signed.  ERR_CONFIG when the CA does not say such things.
 */
uint64_t ca_renewal_info(struct ca *, const char *id, ca_fn *, void *arg);

/* Not called back any more. */
void ca_cancel(struct ca *, uint64_t id);

/*
 * While a ca_fn is called with an error: the whole detail of the problem it is
 * made of, which may be longer than an err; "" when there is none.
 */
const char *ca_detail(const struct ca *);

#endif
