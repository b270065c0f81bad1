/*
 * The one builder of runtime API commands.
 *
 * HAProxy's command line executes what it reads: ";" and a newline start
 * another command, an empty line inside a payload ends it and, before 3.0, the
 * rest of the PEM is executed.  So nothing is escaped here: an argument has
 * only characters of an allow-list, a payload only lines that a PEM has, and
 * everything else is refused.  A command that is refused leaves out unchanged.
 */
#ifndef HAPROXY_COMMAND_H
#define HAPROXY_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

/* Bytes of tune.bufsize that a command leaves to HAProxy. */
#define COMMAND_MARGIN 128

/*
 * True when s may be an argument: 1 to 511 letters, digits and ._*=@+~/- and
 * not starting with a character that HAProxy gives a meaning ("*" an open
 * transaction, "@" another process, "-" an option).
 */
bool command_name_ok(const char *s);

/* True when s is a host name in lower case, or "*." and one. */
bool command_filter_ok(const char *s);

/* "show info" */
void command_show_info(struct buf *out);

/* "VERB ssl cert NAME": verb is new, commit, abort, del or show. */
int command_cert(
    struct buf *out, const char *verb, const char *name, struct err *);

/* "show ssl cert": every name. */
void command_show_certs(struct buf *out);

/*
 * "set ssl cert NAME" with a PEM of len bytes.  ERR_REFUSED, with the numbers,
 * when the command is larger than HAProxy's buffer, and when the PEM is not
 * only BEGIN and END lines with base64 between them.
 */
int command_set(struct buf *out, const char *name, const char *pem, size_t len,
    int bufsize, struct err *);

/* "add ssl crt-list LIST" with one line: NAME FILTER. */
int command_add(struct buf *out, const char *list, const char *name,
    const char *filter, struct err *);

/* "del ssl crt-list LIST NAME[:LINE]"; line 0: the only one. */
int command_del_entry(struct buf *out, const char *list, const char *name,
    int line, struct err *);

/* "show ssl crt-list -n LIST" */
int command_show_entries(struct buf *out, const char *list, struct err *);

/* "show table NAME" */
int command_show_table(struct buf *out, const char *name, struct err *);

#endif
