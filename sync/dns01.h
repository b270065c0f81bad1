/*
 * TXT records of dns-01 challenges (RFC 8555 section 8.4): made by the app's
 * DNS provider or by a person, seen on every authoritative server, removed.
 *
 * What a provider is asked to make is written to a journal in Redis before, so
 * that it is removed whatever happens: at an order's end, after a crash by the
 * next leader, also when the domain or its order is gone.
 */
#ifndef SYNC_DNS01_H
#define SYNC_DNS01_H

#include "common/domain.h"
#include "common/err.h"

struct accesses;
struct authorities;
struct conf;
struct dialogues;
struct dns01;
struct event_base;
struct store;

#define DNS01_VALUES_MAX 2      /* of one order: base and wildcard */
#define DNS01_BY_HAND "BY_HAND" /* err type: a person has to act */
#define DNS01_PREFIX "_acme-challenge."
#define DNS01_PERSIST_PREFIX "_validation-persist." /* of those that stay */

struct dns01 *dns01_new(struct event_base *, const struct conf *,
    struct store *, struct authorities *, struct accesses *,
    struct dialogues *);
void dns01_free(struct dns01 *); /* nobody is called back */

/* Lead: remove what leaders before us have left; or stop, and forget all. */
void dns01_start(struct dns01 *);
void dns01_stop(struct dns01 *);

/* The name of a domain's record: ERR_REFUSED when that would be too long. */
int dns01_fqdn(const char *prefix, const char *name,
    char fqdn[static DOMAIN_NAME_MAX], struct err *);

/*
 * Take the next value off a text as acme_dns_value is: its length, and where the
 * following one begins; 0: that was all.
 */
size_t dns01_next_value(const char **text);

/*
 * Make d->acme_dns_value (one, or two with a blank between them) visible at
 * d->acme_dns_fqdn, beside whatever is there.  e is NULL when every authoritative
 * server shows it; its type is DNS01_BY_HAND, with what is there as its text,
 * when the app has no provider and a person must make the record.  Else it says
 * what the provider or the name servers do.  What was made stays until
 * dns01_withdraw().  Never called from within.
 */
typedef void dns01_fn(void *arg, const struct err *e);
void dns01_present(
    struct dns01 *, const struct domain *d, dns01_fn *, void *arg);

/*
 * Has the person made it?  As dns01_present(), but nothing is made: e is also
 * NULL when the app has a provider by now.
 */
void dns01_look(struct dns01 *, const struct domain *d, dns01_fn *, void *arg);

/* Will it be by hand?  e says so by its type, or is NULL: by a provider. */
void dns01_ask(struct dns01 *, const struct domain *d, dns01_fn *, void *arg);
void dns01_cancel(struct dns01 *, const void *arg);

/*
 * Remove all that was made for the domain, and nothing else; in the background,
 * tried again until done.
 */
void dns01_withdraw(struct dns01 *, const char *name);

#endif
