/*
 * How often visitors were shown which certificate, as HAProxy counts it in a
 * stick table by fingerprint (haproxy.cfg, "certfleet_hot").
 *
 * By what was shown, not by what was asked for: nobody can make up entries, so a
 * flood of names that do not exist moves none out.  And only requests count: our
 * own handshakes are no visitors.
 */
#ifndef HAPROXY_STICK_H
#define HAPROXY_STICK_H

#include "common/err.h"
#include "haproxy/answer.h"

struct event_base;
struct stick;

/*
 * e NULL: that was all.  ERR_CONFIG when HAProxy has no such table, or one of
 * another kind.  The handle is gone then.
 */
typedef void stick_done_fn(void *arg, const struct err *e);

/*
 * Read the table once, in a conversation of its own.  Nothing is called from
 * within this call.  Strings are borrowed until it is over.
 */
struct stick *stick_read(struct event_base *, const char *socket,
    const char *table, int timeout_ms, answer_rate_fn *, stick_done_fn *,
    void *arg);
void stick_cancel(struct stick *); /* nothing is called any more */

#endif
