/*
 * A domain: the rules for its name and the record that says how it is.
 *
 * The record is a HASH of text fields in Redis; its msgpack form is one map of
 * the same fields.  Fields that this version does not know are kept.
 */
#ifndef COMMON_DOMAIN_H
#define COMMON_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define DOMAIN_NAME_MAX 254 /* RFC 1035: 253 characters and a NUL */
#define DOMAIN_APP_MAX 64
#define DOMAIN_ID_MAX 25     /* 24 hexadecimal digits, from the name */
#define DOMAIN_LABELS_MAX 10 /* Let's Encrypt's own limit */
/* Fields of one record, unknown ones included: they fit into a command. */
#define DOMAIN_FIELDS_MAX 56

/*
 * Bring a name from outside into its one form: IDNA2008 with UTS #46
 * (non-transitional), lower case, A-labels, no trailing dot.  Refused with a
 * sentence for the owner (ERR_REFUSED): characters outside letters, digits and
 * hyphen, labels over 63 or names over 253 characters, one label or more than
 * ten, an IP address, a public suffix, a "*" that is not the whole left label.
 * Nothing else in the program may see a name that has not passed here.
 */
int domain_normalise(
    const char *input, char out[static DOMAIN_NAME_MAX], struct err *);

bool domain_wildcard(const char *name);

/* The name a wildcard is a wildcard of; other names are returned as they are. */
const char *domain_base(const char *name);

/* True when pattern (a name, or "*.base") covers the host. */
bool domain_covers(const char *pattern, const char *host);

/*
 * The registered domain by the public suffix list ("example.co.uk"), as a
 * pointer into name; the name itself when the list knows none.
 */
const char *domain_registered(const char *name);

/* crc32 of the name modulo partitions: which {pN} its keys are in. */
int domain_partition(const char *name, int partitions);

/* The name as a file name: "*" becomes "_wildcard_". */
#define DOMAIN_FILE_MAX (DOMAIN_NAME_MAX + 16)
void domain_file(const char *name, char out[static DOMAIN_FILE_MAX]);

/* A stable id made from the name, for APIs that want one. */
void domain_id(const char *name, char out[static DOMAIN_ID_MAX]);

/* App names: letters, digits, "-", "_" and ".", at most 63 (ERR_REFUSED). */
int domain_app_check(const char *app, struct err *);

enum domain_status {
	DOMAIN_PENDING_DNS = 0,
	DOMAIN_CREATING,
	DOMAIN_IN_USE,
	DOMAIN_NOT_USED,
	DOMAIN_ACTION_REQUIRED,
	DOMAIN_DISABLED,
	/* must stay last */
	DOMAIN_STATUSES
};

const char *domain_status_name(enum domain_status);  /* "pending_dns" */
const char *domain_status_label(enum domain_status); /* "Pending DNS" */
int domain_status_parse(const char *);               /* -1: unknown */

struct domain_field {
	char *name;
	char *value;
};

/*
 * A record.  Times are wall-clock milliseconds, 0: none.  domain_init() before
 * use (Let's Encrypt is on then), domain_clear() after.
 */
struct domain {
	char name[DOMAIN_NAME_MAX];
	char app[DOMAIN_APP_MAX];
	enum domain_status status;
	char reason[256];     /* one sentence: why the status is what it is */
	char action[1024];    /* what a person must do, or "" */
	char last_error[256]; /* of the last attempt that failed */
	bool letsencrypt;     /* Let's Encrypt is switched on */
	bool canonical;       /* the app's other domains are to lead here */
	char serial[64];      /* upper hex */
	char sha1[41];        /* of the leaf, upper hex, as HAProxy shows it */
	char issuer[128];     /* common name */
	int64_t not_before, not_after;
	int64_t renew_at, next_at, created_at, status_at, rate_limited_until;
	char ca[256];            /* that issued it: the directory's URL */
	char ari_id[128];        /* RFC 9773 section 4.1; "" when it has none */
	char ari_id_second[128]; /* of two certificates the second one's */
	char ca_second[256];     /* and its CA */
	int64_t ari_poll_at; /* when to ask the CA for the window, 0: never */
	int64_t ari_start, ari_end; /* in which the CA wants it renewed */
	char explanation_url[256];  /* why then, or "" */
	int64_t attempts;           /* that failed since the last success */
	int64_t version; /* of the certificate, from 1; 0: none yet */
	int64_t proven;  /* version that all live nodes were seen to serve */
	int64_t gen;     /* of the index when that version came */
	int64_t epoch;
	char revoke[32];    /* its owner wants it revoked: why; or "" */
	int64_t changed_at; /* by the owner, last; makes older looks stale */
	/* The owner's own certificate, "" and 0 when there is none. */
	char custom_sha1[41], custom_serial[64];
	char custom_issuer[128], custom_subject[256];
	char custom_key[64];   /* "EC private key - 256 bits" */
	char custom_note[256]; /* what its owner should know, or "" */
	int64_t custom_not_before, custom_not_after;
	int64_t custom_left_at; /* removed, but kept until there is another */
	/* The TXT record that a person has to make, "" and 0: none. */
	char acme_dns_fqdn[DOMAIN_NAME_MAX];
	char acme_dns_value[256];  /* or two digests, a blank between */
	char acme_dns_account[64]; /* thumbprint that is in it */
	int64_t acme_dns_until;    /* then the CA wants another */
	/* The node that is to prove a staged one, "-": none yet; or "". */
	char canary[64];
	/*
	 * The owner's own one is on trial: when that is to be looked at, 1: now;
	 * until then it is stopped, and what else there is goes on.  0: none is.
	 */
	int64_t custom_trial_at;
	int64_t rolled_back_at;     /* by an operator, and not followed since */
	struct domain_field *extra; /* what we do not know */
	size_t nextra;
};

void domain_init(struct domain *);
void domain_clear(struct domain *);

/*
 * Take one field as Redis holds it.  A value that cannot be (a status nobody
 * knows, a number that is none) is ERR_BUG and names the field.
 */
int domain_set(
    struct domain *, const char *field, const char *value, struct err *);

/*
 * Give the record as field, value, field, value: fn is called for each known
 * field that has a value, then for the unknown ones.
 */
typedef void domain_field_fn(void *arg, const char *field, const char *value);
void domain_each(const struct domain *, domain_field_fn *, void *arg);

/*
 * The known fields that have no value: domain_each() leaves them out, so
 * whoever writes a record over an older one must delete them.
 */
typedef void domain_absent_fn(void *arg, const char *field);
void domain_each_absent(const struct domain *, domain_absent_fn *, void *arg);

/* The msgpack form: appended to out, and read back. */
int domain_pack(const struct domain *, struct buf *out, struct err *);
int domain_unpack(struct domain *, const void *bytes, size_t len, struct err *);

#endif
