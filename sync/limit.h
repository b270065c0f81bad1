/*
 * What a CA allows, as arithmetic: which buckets an order falls into, what a
 * rate-limit problem says, and how that is told to people.
 *
 * Pure.  The buckets themselves are in Redis, where the library counts them
 * (certfleet_limit_*); sync/limits.c spends.
 */
#ifndef SYNC_LIMIT_H
#define SYNC_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/domain.h"
#include "common/err.h"

struct conf;

/* In the order of spending: the one that is full most often comes first. */
enum limit_bucket {
	LIMIT_FAILURES = 0, /* validations of a name: only looked at */
	LIMIT_SET,          /* certificates for the very same names */
	LIMIT_DOMAIN,       /* certificates of a registered domain */
	LIMIT_ORDERS,       /* of our account */
	/* must stay last */
	LIMIT_BUCKETS
};

#define LIMIT_KEY_MAX 400

/* A bucket: how much it holds, and whose it is. */
struct limit {
	enum limit_bucket bucket;
	int64_t max; /* 0: no limit */
	int64_t window_ms;
	char
	    key[LIMIT_KEY_MAX]; /* "example.com@acme-v02.api.letsencrypt.org" */
};

const char *limit_name(enum limit_bucket); /* "domain" */
int limit_parse(const char *);             /* -1: unknown */

/* The bucket of that kind for a name, at the CA of that directory. */
void limit_of(const struct conf *, const char *directory, enum limit_bucket,
    const char *name, struct limit *);

/* What limit_of() said the key is of: "example.com", "" for the account. */
void limit_subject(const struct limit *, char out[static DOMAIN_NAME_MAX]);

/* What an order is to the CA, which does not count every renewal. */
enum limit_kind {
	LIMIT_NEW = 0,
	LIMIT_RENEWAL, /* these names had a certificate in the last 120 days */
	LIMIT_ARI,     /* "replaces", within the CA's own window */
};

enum limit_kind limit_kind_of(const struct domain *, int64_t now_ms);

/* Must the bucket have room for the order? */
bool limit_asks(enum limit_kind, enum limit_bucket);

/* Does the order spend it, or only a failure? */
bool limit_spends(enum limit_bucket);

/* Does a certificate count in the bucket once it is issued? */
bool limit_counts(enum limit_kind, enum limit_bucket);

/* --- what the CA says -------------------------------------------------------- */

#define LIMIT_URL_MAX 900

struct limit_problem {
	bool paused;              /* until a person visits url */
	bool known;               /* the problem names the bucket */
	enum limit_bucket bucket; /* LIMIT_SET when it does not */
	int64_t until;            /* wall ms */
	char url[LIMIT_URL_MAX];
};

/*
 * Read the detail of a rateLimited problem; retry_ms is its Retry-After, 0:
 * none.  What cannot be read leaves an hour and the name's own bucket.
 */
void limit_problem(const char *detail, int64_t retry_ms, int64_t now_ms,
    struct limit_problem *);

/* Is the answer to newOrder a refusal: was no order made, for sure? */
bool limit_refused(const struct err *);

/* --- waiting ----------------------------------------------------------------- */

#define LIMIT_WAIT "LIMIT"    /* err.type: nothing failed, it is to wait */
#define LIMIT_PAUSED "paused" /* err.type: a person must act */

/*
 * An err that says to wait: ERR_LIMITED, LIMIT_WAIT, retry_ms up to free_at;
 * always returns -1.  ca_said: the CA itself has named the time.
 */
int limit_wait(struct err *, const struct limit *, bool ca_said,
    int64_t free_at, int64_t now_ms);
bool limit_waits(const struct err *);

/*
 * How long to wait for free_at: a bit longer, each a different bit (random: any
 * number), so that those who wait for one place do not come as one.
 */
int64_t limit_pause(int64_t free_at, int64_t now_ms, uint32_t random);

#endif
