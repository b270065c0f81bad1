/*
 * DNS messages, byte by byte (RFC 1035 section 4): names, records, and the
 * question that is sent to one server.
 *
 * Pure.  Names are text in lower case without a trailing dot; a byte that is
 * not printable, "." and "\" inside a label are written \DDD.
 */
#ifndef SYNC_DNS_MESSAGE_H
#define SYNC_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_CAA = 257,
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_REFUSED = 5,
	DNS_NOTAUTH = 9,
};

#define DNS_HEADER 12
#define DNS_CLASS_IN 1
#define DNS_QUERY_MAX 272 /* header, name, type and class */

struct dns_message {
	const uint8_t *p;
	size_t len;
};

struct dns_record {
	char owner[256];
	unsigned int type, class;
	size_t data, data_len; /* offset and length */
};

/* "TXT", or "?" */
const char *dns_type_name(enum dns_type);

/* The 16 bits there; the message must have them. */
unsigned int dns_message_16(const struct dns_message *, size_t at);

/* Read what is at *at and step over it; -1: there is none, or it is cut off. */
int dns_message_name(
    const struct dns_message *, size_t *at, char out[static 256]);
int dns_message_skip_questions(const struct dns_message *, size_t *at);
int dns_message_next(
    const struct dns_message *, size_t *at, struct dns_record *);

/* Of a whole header (DNS_HEADER bytes are there). */
int dns_message_rcode(const struct dns_message *);
bool dns_message_is_authoritative(const struct dns_message *);
bool dns_message_is_truncated(const struct dns_message *);

/* True when name is zone or below it; "" is above all. */
bool dns_name_is_within(const char *name, const char *zone);

/*
 * Write the question for an authoritative server: it is not to ask others.
 * Return its length, 0 when name cannot be one.
 */
size_t dns_query_make(uint8_t out[static DNS_QUERY_MAX], unsigned int id,
    const char *name, enum dns_type);

/*
 * True when the message is a reply to that query: same number, same question.
 * One that only tells an error may leave the question out.
 */
bool dns_query_is_answered(
    const uint8_t *query, const uint8_t *message, size_t len);

#endif
