/*
 * ACME messages (RFC 8555) as data: the directory, signed requests, problem
 * documents, and which URLs of a CA are believed.
 *
 * No I/O: JSON in, structs and errors out; sync/ca.c does the talking.
 */
#ifndef SYNC_ACME_H
#define SYNC_ACME_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/err.h"
#include "sync/jose.h"

#define ACME_URL_MAX 2048
#define ACME_NONCE_MAX 512
#define ACME_REQUEST_MAX (64 * 1024)
#define ACME_PROFILES_MAX 16
#define ACME_PROFILE_MAX 64

/* Section 7.1.1; RFC 9773 section 4.1 for the last. */
enum acme_resource {
	ACME_NEW_NONCE = 0,
	ACME_NEW_ACCOUNT,
	ACME_NEW_ORDER,
	ACME_REVOKE_CERT,
	ACME_KEY_CHANGE,
	ACME_RENEWAL_INFO,
	/* must stay last */
	ACME_RESOURCES
};

struct acme_directory {
	char *url[ACME_RESOURCES]; /* NULL: not offered */
	char *terms;               /* of service, URL; NULL: none */
	bool eab_required;         /* externalAccountRequired */
	char profile[ACME_PROFILES_MAX][ACME_PROFILE_MAX];
	size_t nprofiles;
};

/*
 * Read a directory object; acme_directory_clear() also after a failure.
 * ERR_BUG when newNonce, newAccount or newOrder is missing.
 */
int acme_directory_parse(struct acme_directory *, json_t *, struct err *);
void acme_directory_clear(struct acme_directory *);

/*
 * Does the CA offer the profile?  NULL: none is asked for.  ERR_CONFIG with
 * what it offers, of the type that the CA itself would give.
 */
int acme_profile_check(
    const struct acme_directory *, const char *profile, struct err *);

/*
 * The URL of a resource by its name ("newOrder"); anything else is returned as
 * it is.  NULL when the directory does not offer it.
 */
const char *acme_directory_url(const struct acme_directory *, const char *);

/*
 * May a request go to url?  It must be https, on the directory's host and port
 * or one of allow ("host", "host:port"); with insecure_test any http or https
 * URL will do.  Never with user, blanks or control characters.
 */
int acme_url_check(const char *url, const char *directory,
    const struct conf_list *allow, bool insecure_test, struct err *);

/* Does url lead to the directory's host and port, or to one of allow? */
bool acme_url_at(
    const char *url, const char *directory, const struct conf_list *allow);

/*
 * Append a signed request body (section 6.2).  kid NULL: the JWK is sent
 * instead, for newAccount.  payload NULL: POST-as-GET.
 */
int acme_request(const struct jose_key *, const char *url, const char *kid,
    const char *nonce, json_t *payload, struct buf *out, struct err *);

/*
 * The payload of newAccount (section 7.3), with an external account binding
 * (7.3.4) when kid is not empty; the caller owns it.  NULL with err when the
 * binding's key is bad.
 */
json_t *acme_new_account(const struct jose_key *, const char *new_account_url,
    const struct conf_list *contact, bool agreed, const char *eab_kid,
    const char *eab_hmac_key, struct err *);

/* Is it one (section 6.5.1)?  Others must be ignored. */
bool acme_nonce_valid(const char *);

/* An answer of status 300 or more. */
struct acme_answer {
	int status;
	json_t *body;     /* problem document (RFC 7807), or NULL */
	int64_t retry_ms; /* Retry-After, 0: absent */
	bool account;     /* to newAccount */
};

/* Turn it into an err whose kind is the cure; always returns -1. */
int acme_problem(const struct acme_answer *, struct err *);

/* The type of a problem without its urn; "" when it is not one of ACME's. */
void acme_problem_type(json_t *problem, char *dst, size_t size);

/*
 * What a problem says, on one line, with the first subproblem (section 6.7.1)
 * behind it; "" when it says nothing.
 */
void acme_problem_detail(json_t *problem, char *dst, size_t size);

/*
 * A refusal of the CA: "what: detail", cut to what fits, ERR_REFUSED with the
 * problem's type; always returns -1.
 */
int acme_refusal(struct err *, json_t *problem, const char *what);

/* The status of an object (section 7.1.6), "" when it has none. */
const char *acme_status(json_t *);

/*
 * Replace *dst by a copy of a URL in a reply; ERR_BUG when it is none.  Where
 * it leads is for acme_url_check(), before anything is sent there.
 */
int acme_keep_url(char **dst, json_t *url, const char *what, struct err *);

#endif
