/*
 * A DNS provider makes one TXT value appear and later disappear.
 *
 * It performs no I/O.  Each operation is a small dialogue of steps; a step
 * says which request to send and what its reply means, and which step comes
 * next:
 *
 *	provider_begin(t, PROVIDER_CREATE);
 *	while (!provider_done(t)) {
 *		provider_ask(t, now_s, &req, &e);
 *		... after t->wait_ms, send, get the reply ...
 *		provider_got(t, &res, &e);
 *	}
 *
 * Every operation that changes something reads first.  So whatever happened to
 * a request (no answer, 5xx, 429), the cure is the same: wait, provider_begin()
 * again.  What somebody else changed in between (409, 412) is dealt with
 * inside, a few times.
 *
 * The kind of an err: ERR_CONFIG, the credentials must change (401, 403);
 * ERR_REFUSED, the zone or the record must change; ERR_LIMITED and ERR_AGAIN,
 * later, not before retry_ms; ERR_BUG, nonsense.
 */
#ifndef PROVIDERS_PROVIDER_H
#define PROVIDERS_PROVIDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/http_msg.h"

#define PROVIDER_SETTINGS_MAX 5
#define PROVIDER_DONE (-1)

enum provider_op {
	PROVIDER_VERIFY = 0, /* do the credentials work?  changes nothing */
	PROVIDER_FIND,       /* fill in zone and zone_id for fqdn */
	PROVIDER_CREATE,     /* value is there, beside what was there */
	PROVIDER_REMOVE,     /* exactly value is gone */
	/* must stay last */
	PROVIDER_OPS
};

struct txt_record;

struct provider_step {
	int (*ask)(struct txt_record *, struct http_msg_req *, struct err *);
	int (*got)(
	    struct txt_record *, const struct http_msg_res *, struct err *);
};

/*
 * A variable of the app.  ways is a set of bits, one for each way to sign in
 * that needs it; 0: optional.  One way must be complete.
 */
struct provider_setting {
	const char *name; /* "DNS_CLOUDFLARE_EMAIL" */
	unsigned int ways;
	bool plain; /* says where, not who: no credential */
	bool lines; /* may have line ends */
};

/* Names of variables that are missing or malformed. */
struct provider_vars {
	const char *name[PROVIDER_SETTINGS_MAX];
	size_t n;
};

struct provider {
	const char *name;     /* value of DNS_PROVIDER */
	const char *base_url; /* without trailing slash */
	struct provider_setting setting[PROVIDER_SETTINGS_MAX];
	size_t nsettings;
	/*
	 * Are the values usable, as far as one can see?  NULL: as they come.
	 * Formats of keys change: what only looks odd is for VERIFY.
	 */
	int (*check)(const char *const *credential, struct provider_vars *bad,
	    struct err *);
	const struct provider_step *step; /* indexed by txt_record.step */
	int first[PROVIDER_OPS];          /* each operation's first step */
	/*
	 * Asked before any step while access->until_s has passed: a token, a
	 * clock, an account.  Its got() sets until_s; as long as it does not,
	 * it is asked again.
	 */
	struct provider_step login;
	int ttl;          /* of a record we make */
	int64_t poll_ms;  /* look at the name servers so often */
	int64_t limit_ms; /* and so long */
	bool zone_serial; /* one change in a zone at a time, not in a name */
};

/* An app's access to its provider, shared by its records.  Has secrets. */
struct provider_access {
	const struct provider *provider;
	char *base_url;                          /* the operator's, or NULL */
	char *credential[PROVIDER_SETTINGS_MAX]; /* "" when not set */
	/* What the login learnt. */
	char *token;      /* NULL: none */
	int64_t until_s;  /* wall clock; 0: log in first */
	int64_t clock_s;  /* the provider's clock minus ours */
	int64_t quiet_ms; /* until when its sender leaves it alone; 0: no 429 */
	json_t *accounts; /* to look for zones in; NULL: not asked */
};

struct txt_record {
	struct provider_access *access; /* borrowed */
	char fqdn[254];                 /* lower case, no trailing dot */
	char value[512];                /* RFC 8555 section 8.4 */
	char soa_zone[254];             /* what DNS says, "": unknown */

	/* Found by FIND and CREATE; REMOVE takes them from a journal. */
	char zone[254];
	char zone_id[256];
	char record_id[256]; /* "": REMOVE has to look for it */

	/* The operation under way. */
	enum provider_op op;
	int step; /* PROVIDER_DONE: nothing more to ask */
	int64_t now_s;
	int64_t wait_ms;        /* before the next request */
	json_t *set;            /* the record set as read */
	char etag[128];         /* of that set */
	char change[128];       /* being carried out by the provider */
	char cursor[512];       /* next page of a list */
	unsigned int candidate; /* for zone */
	unsigned int page, polls, conflicts, requests;
	bool in_login, login_fresh;
};

/*
 * Take an app's variables: value() returns one by name, NULL when it is not
 * set.  Trailing blanks and line ends are cut.  ERR_CONFIG names everything
 * that is missing or malformed in one sentence, and bad lists it.
 * provider_access_clear() also after a failure; it wipes.
 */
typedef const char *provider_value_fn(void *arg, const char *name);
int provider_access_init(struct provider_access *, const struct provider *,
    provider_value_fn *value, void *arg, struct provider_vars *bad,
    struct err *);
void provider_access_clear(struct provider_access *);

/*
 * The provider of that name (an alias is accepted); ERR_CONFIG lists those
 * there are.
 */
const struct provider *provider_get(const char *name, struct err *);

/* By index, NULL at the end: for lists. */
const struct provider *provider_at(size_t i);

/*
 * Begin an operation, also for another try.  txt_record_clear() when the
 * record is not needed any more.
 */
void provider_begin(struct txt_record *, enum provider_op);
bool provider_done(const struct txt_record *);
void txt_record_clear(struct txt_record *);

/* Build the next request into req, which is initialised; now is wall clock. */
int provider_ask(
    struct txt_record *, int64_t now_s, struct http_msg_req *, struct err *);

/* Take its reply. */
int provider_got(
    struct txt_record *, const struct http_msg_res *, struct err *);

#endif
