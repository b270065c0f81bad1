/*
 * The inside of the CA client, shared by sync/ca.c (signed requests) and
 * sync/ca_needs.c (what they need).
 */
#ifndef SYNC_CA_IMPL_H
#define SYNC_CA_IMPL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"
#include "sync/acme.h"
#include "sync/ca.h"
#include "sync/http.h"
#include "sync/jose.h"
#include "sync/nonces.h"

#define CA_NONCE_REQUESTS_MAX 4 /* newNonce in flight */

/*
 * A signed request needs three things, in this order: the directory, the
 * account's URL (but newAccount itself), a nonce.  Requests wait in one list;
 * advance() sends what has all three and fetches what is missing, once for
 * all that wait.
 */
struct call {
	uint64_t id;
	struct ca *ca;
	char *url;   /* or the name of a resource */
	char *below; /* the resource to GET below it; NULL: a signed POST */
	json_t *payload;
	const struct jose_key *key; /* signs with its JWK; NULL: the account */
	ca_fn *fn;                  /* NULL: our own newAccount */
	void *arg;

	uint64_t http_id; /* 0: waiting */
	unsigned int kid; /* which account URL signed it */
	int nonce_tries;
	bool registered_again;
	int64_t sent_ms;
	struct err err; /* of a call in failed */
	TAILQ_ENTRY(call) next;
};

TAILQ_HEAD(calls, call);

/* An unsigned request under way. */
struct fetch {
	struct ca *ca;
	uint64_t http_id; /* 0: none */
	int64_t sent_ms;
};

/* Which CA it is, and who we are there: from the settings, borrowed. */
struct ca_place {
	const char *directory;
	const struct conf_list *contact, *allow_hosts;
	bool agree_tos;
	const char *eab_kid, *eab_hmac_key;
};

struct ca {
	struct ca_place at;
	struct event_base *base;
	struct http *http;
	const struct conf *conf;
	ca_account_fn *account_fn;
	void *account_arg;

	struct jose_key *key;
	char *kid;              /* the account's URL, NULL: not known */
	unsigned int kid_count; /* of URLs we have had */

	struct acme_directory directory;
	bool has_directory;
	int64_t directory_until; /* monotonic */
	struct fetch directory_fetch;

	struct nonces nonces;
	struct fetch nonce_fetch[CA_NONCE_REQUESTS_MAX];

	struct roll *roll; /* ca_roll.c: the account is to have another key */
	struct calls waiting, flying, failed;
	struct call *account; /* newAccount, while under way */
	struct err hold;      /* why everything fails until hold_until */
	int64_t hold_until;
	int64_t skew_logged;
	struct skew *skew; /* who keeps it, or NULL */
	uint64_t last_id;
	struct event *timer;
	const char *detail; /* of the answer being given to a user, or NULL */
};

/* Look at all that wait again, from the loop. */
void ca_advance_soon(struct ca *);

/* Start a call of ours or of a user; payload is stolen. */
struct call *ca_call_new(struct ca *, const char *url, json_t *stolen);

/*
 * Without directory or account nothing can go on: all that wait fail, and what
 * is asked in the next seconds fails with the same error.
 */
void ca_fail_all(struct ca *, const struct err *);

/* Take from an answer what every answer brings: nonce, clock. */
void ca_note(struct ca *, const char *method, const char *url,
    const struct http_res *, int64_t sent_ms);

/* The body as JSON when it says that it is, else NULL; the caller owns it. */
json_t *ca_json(const struct http_res *);

/* Return 0 when the answer is a good one, else -1 with what the CA says. */
int ca_judge(const struct http_res *, json_t *body, bool account, struct err *);

/* May we send to this URL? */
int ca_check_url(struct ca *, const char *url, struct err *);

/* The one way out to the CA; body NULL: none. */
uint64_t ca_send(struct ca *, const char *method, const char *url,
    const struct buf *body, http_fn *, void *arg);

/* Forget the account's URL, or set another; NULL and "" mean none. */
void ca_set_kid(struct ca *, const char *url);

/* True while it is missing; then it is being fetched, once for all. */
bool ca_need_directory(struct ca *);
bool ca_need_account(struct ca *);

/* So many requests could go if there were nonces. */
void ca_need_nonces(struct ca *, size_t wanted);

/* newAccount is over; exactly one of reply and err is not NULL. */
void ca_account_done(struct ca *, const struct reply *, const struct err *);

#endif
