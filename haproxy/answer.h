/*
 * What HAProxy's runtime API says, taken apart.
 *
 * In prompt mode every answer ends in an empty line and is preceded by "> "
 * for the command and, up to 3.0, "+ " for each line of its payload.  Texts are
 * compared as a whole: what is not exactly known is ANSWER_UNKNOWN.
 */
#ifndef HAPROXY_ANSWER_H
#define HAPROXY_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWER_NAME_MAX 512
#define ANSWER_SHA1_MAX 41

/*
 * Find the next answer in len bytes.  *scanned starts at 0 and remembers what
 * was looked at in vain; it is 0 again when an answer was found.  Return true
 * with *text and *text_len (without the last newline), and *used bytes to drop
 * from the front.
 */
bool answer_split(const char *bytes, size_t len, size_t *scanned,
    const char **text, size_t *text_len, size_t *used);

enum answer_kind {
	ANSWER_UNKNOWN = 0,
	ANSWER_EMPTY,             /* nothing at all: 2.6, command too large */
	ANSWER_NEW,               /* "new ssl cert" made it */
	ANSWER_EXISTS,            /* it was there already */
	ANSWER_CREATED,           /* "set" opened a transaction for name */
	ANSWER_UPDATED,           /* "set" went into name's open transaction */
	ANSWER_COMMITTED,         /* "commit" of name */
	ANSWER_INSERTED,          /* "add ssl crt-list" of name */
	ANSWER_ENTRY_DELETED,     /* "del ssl crt-list" */
	ANSWER_DELETED,           /* "del ssl cert" of name */
	ANSWER_ABORTED,           /* "abort" of name's transaction */
	ANSWER_NO_TRANSACTION,    /* none is open */
	ANSWER_TRANSACTION_OTHER, /* one is open: name's */
	ANSWER_LOCKED,            /* somebody else is at the certificates */
	ANSWER_MISSING,           /* no such certificate, or no such entry */
	ANSWER_NO_LIST,           /* no such crt-list */
	ANSWER_IN_USE,            /* an entry or a bind line still names it */
	ANSWER_SEVERAL,           /* more than one entry of that name */
	ANSWER_TOO_BIG,
	ANSWER_BAD_PEM, /* not a key and certificate that belong together */
	ANSWER_DENIED,  /* the socket's level is below admin */
	/* must stay last */
	ANSWER_KINDS
};

struct answer {
	enum answer_kind kind;
	char name[ANSWER_NAME_MAX]; /* of the certificate it is about, or "" */
};

void answer_parse(const char *text, struct answer *);

/* What "show info" says about the process. */
struct answer_info {
	int pid;
	int64_t started_at; /* wall seconds */
	int64_t uptime_s;
	bool stopping;
	char version[32];
};

/* Return 0, or -1 when it is not an answer to "show info". */
int answer_info(const char *text, struct answer_info *);

/*
 * Call fn for each name of "show ssl cert"; open is true for the one whose
 * transaction is open (it is listed a second time).  Return 0, or -1 when it
 * is not such a list.
 */
typedef void answer_name_fn(void *arg, const char *name, bool open);
int answer_names(const char *text, answer_name_fn *, void *arg);

/*
 * Call fn for each entry of "show ssl crt-list -n": its line, and its filters
 * as one string, "" when it has none.  Return 0, or -1 when it is not such a
 * list.
 */
typedef void answer_entry_fn(
    void *arg, const char *name, int line, const char *filters);
int answer_entries(const char *text, answer_entry_fn *, void *arg);

/*
 * The SHA-1 in "show ssl cert NAME"; "" when it is empty.  Return 0, or -1
 * when it is not about that certificate.
 */
int answer_sha1(
    const char *text, const char *name, char out[static ANSWER_SHA1_MAX]);

/* Its notAfter there, in Unix seconds; 0 when there is none that can be read. */
uint32_t answer_ends(const char *text);

/*
 * Call fn for each entry of "show table" whose key is a SHA-1 in upper hex, with
 * its http_req_rate, brought to an hour.  Return 0, or -1 when it is not a
 * table.
 */
typedef void answer_rate_fn(void *arg, const char *sha1, int64_t per_hour);
int answer_table(const char *text, answer_rate_fn *, void *arg);

#endif
