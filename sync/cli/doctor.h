/*
 * certfleet doctor: each doctor_*.c looks at one thing and says what it found.
 *
 * A result is well, or says what is, what should be and the cure.  Its check
 * has a stable name, "haproxy.level".  Nothing that is looked at is changed,
 * but for a challenge that is published for a moment.
 */
#ifndef SYNC_CLI_DOCTOR_H
#define SYNC_CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "common/conf.h"
#include "sync/cli/cli.h"

enum doctor_level {
	DOCTOR_WELL = 0,
	DOCTOR_NOTE,    /* worth knowing, and nothing wrong */
	DOCTOR_SKIPPED, /* it could not be looked at, for that reason */
	DOCTOR_WARNING,
	DOCTOR_ERROR,
};

struct doctor {
	const struct cli *cli;
	const struct conf *conf;
	const char *haproxy_config; /* NULL: as the process was told */
	json_t *results;
	int errors, warnings;
	bool sync_up;
	long bufsize; /* that HAProxy's configuration sets, 0: not known */
};

/* What is; then, when it is not well, what should be and what to do. */
void doctor_find(struct doctor *, enum doctor_level, const char *check,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void doctor_should(struct doctor *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void doctor_cure(struct doctor *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* In this order. */
void doctor_files(struct doctor *);
void doctor_sync(struct doctor *);
void doctor_haproxy(struct doctor *);
void doctor_agent(struct doctor *);
void doctor_redis(struct doctor *);
void doctor_dns(struct doctor *);
void doctor_ca(struct doctor *);

/*
 * What the configuration of a HAProxy says; pid: of which process, whose
 * command line names the files.
 */
void doctor_haproxy_config(struct doctor *, const char *socket, int pid);

/* Does the node answer a challenge?  keyauth is published under token. */
void doctor_challenge(struct doctor *, const char *token, const char *keyauth);

/* --- doctor_link.c: talking to what is there ----------------------------------- */

#define DOCTOR_TIMEOUT_MS 3000

/*
 * Connect to "host:port", "unix:/path" or "/path"; -1 with why.  The caller
 * closes.
 */
int doctor_connect(const char *address, struct err *why);

/*
 * Connect, say text and read up to the end, at most size - 1 bytes.  Returns
 * how many, -1 with why.
 */
ssize_t doctor_talk(const char *address, const char *text, size_t len,
    char *out, size_t size, struct err *why);

#endif
