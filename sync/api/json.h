/*
 * What the API says, as JSON: records into objects, bodies into requests, and
 * sentences for people.  Pure: no I/O, the time is passed in.
 */
#ifndef SYNC_API_JSON_H
#define SYNC_API_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/domain.h"
#include "common/err.h"
#include "sync/store.h"

/* Text that may not be UTF-8: what is not becomes \xNN.  "" is null. */
json_t *json_text(const char *);

/* RFC 3339 with milliseconds; 0 is null. */
json_t *json_time(int64_t ms);

/* The Domain resource in Scalingo's shape, ours under "certfleet". */
json_t *json_domain(const struct domain *);

/* What an owner says of a domain, flat: all that PUT sets, and no more. */
json_t *json_spec(const struct domain *);

/* The domain in our own shape, flat. */
json_t *json_own_domain(const struct domain *);

/*
 * Why the domain is as it is: { state, reason, next, next_at, sentence }.
 */
json_t *json_why(const struct domain *, int64_t now);

/*
 * What was decided about a domain, from the store's JSON texts, newest first:
 * [{ at, type, status, reason, next_at, version, ... }].  A text that is not
 * an object is passed over.
 */
json_t *json_timeline(const char *const *texts, size_t n);

/* Who serves the domain: [{ id, live, serving, error }]. */
json_t *json_serving(
    const struct domain *, const struct store_node *, size_t n);

json_t *json_node(const struct store_node *);

/* What a node has shown, as it said: { sha1, wanted, version, since... }. */
json_t *json_shown(const json_t *said);

/*
 * How a node is among the others: into its object go lag { generations,
 * seconds } against now and the generations of Redis, and agrees: does it serve
 * what the leader serves?  null where one is further than the other.
 */
void json_compare(json_t *node, const struct store_node *its,
    const struct store_node *all, size_t n, const struct gens *now,
    int64_t now_ms);

/* { total, pending_dns, ... }: how many domains have each status. */
json_t *json_counts(const struct store_counts *);

/* The id of an entry of a stream, "ms-sequence", in its order. */
struct stream_id {
	uint64_t ms, seq;
};
int stream_id_parse(const char *, struct stream_id *);
int stream_id_compare(struct stream_id, struct stream_id);

/* An event: numbers and times are such, everything else is text. */
json_t *json_event(const char *id, const char *const *field, size_t nfields);

/*
 * A body: one JSON object, no key twice.  An empty body is {}.  NULL with
 * ERR_REFUSED and a sentence with the line.
 */
json_t *json_body(const char *text, size_t len, struct err *);

/* Release a body; what is text in it is wiped first: it may be a key. */
void json_forget(json_t *stolen);

/* What a body asks of a domain; what is absent is NULL or -1. */
struct domain_change {
	char name[DOMAIN_NAME_MAX]; /* normalised; "" when absent */
	int canonical, letsencrypt_enabled;
	/* Borrowed from the body, NULL when absent; "" takes it away. */
	const char *tlscert, *tlskey;
};

/*
 * Read { "domain": { ... } } or the fields alone.  What is wrong, or asks for
 * what is not supported, is put into errors: { field: [sentence] }; returns -1
 * when there is any.  need_name: a name must be there.
 */
int json_domain_change(
    json_t *body, bool need_name, struct domain_change *, json_t *errors);

/* Add a sentence to errors. */
void json_complain(json_t *errors, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
