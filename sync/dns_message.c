#include "sync/dns_message.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FLAG_REPLY 0x80 /* of the third byte */
#define FLAG_AUTHORITATIVE 0x04
#define FLAG_TRUNCATED 0x02
#define OPCODE 0x78

const char *
dns_type_name(enum dns_type type)
{
	switch (type) {
	case DNS_A:
		return "A";
	case DNS_NS:
		return "NS";
	case DNS_CNAME:
		return "CNAME";
	case DNS_SOA:
		return "SOA";
	case DNS_TXT:
		return "TXT";
	case DNS_AAAA:
		return "AAAA";
	case DNS_CAA:
		return "CAA";
	}
	return "?";
}

unsigned int
dns_message_16(const struct dns_message *m, size_t at)
{
	return (unsigned int)m->p[at] << 8 | m->p[at + 1];
}

/* Append one byte of a label, as text; room is left for a NUL. */
static int
put_byte(char out[static 256], size_t *used, uint8_t c)
{
	bool plain = c > ' ' && c <= '~' && c != '.' && c != '\\';
	size_t n = plain ? 1 : 4;

	if (*used + n >= 256)
		return -1;
	if (plain)
		out[*used] = (char)tolower(c);
	else
		snprintf(out + *used, n + 1, "\\%03u", (unsigned int)c);
	*used += n;
	return 0;
}

/*
 * Read the name at *at and step over it (RFC 1035 section 4.1.4).  A pointer
 * must lead further back than any before it, so that there is an end.
 */
int
dns_message_name(const struct dns_message *m, size_t *at, char out[static 256])
{
	size_t p = *at, limit = *at, used = 0;
	bool jumped = false;
	uint8_t n;

	for (;;) {
		if (p >= m->len)
			return -1;
		n = m->p[p++];
		if (n == 0)
			break;
		if ((n & 0xc0) == 0xc0) {
			if (p >= m->len)
				return -1;
			if (!jumped)
				*at = p + 1;
			jumped = true;
			p = dns_message_16(m, p - 1) & 0x3fff;
			if (p >= limit)
				return -1;
			limit = p;
			continue;
		}
		if (n > 63 || m->len - p < n)
			return -1;
		if (used > 0 && used < 255)
			out[used++] = '.';
		for (; n > 0; n--)
			if (put_byte(out, &used, m->p[p++]) == -1)
				return -1;
	}
	out[used] = '\0';
	if (!jumped)
		*at = p;
	return 0;
}

int
dns_message_skip_questions(const struct dns_message *m, size_t *at)
{
	char name[256];

	for (unsigned int i = dns_message_16(m, 4); i > 0; i--) {
		if (dns_message_name(m, at, name) == -1 || m->len - *at < 4)
			return -1;
		*at += 4;
	}
	return 0;
}

int
dns_message_next(const struct dns_message *m, size_t *at, struct dns_record *r)
{
	if (dns_message_name(m, at, r->owner) == -1 || m->len - *at < 10)
		return -1;
	r->type = dns_message_16(m, *at);
	r->class = dns_message_16(m, *at + 2);
	r->data_len = dns_message_16(m, *at + 8);
	r->data = *at + 10;
	if (m->len - r->data < r->data_len)
		return -1;
	*at = r->data + r->data_len;
	return 0;
}

int
dns_message_rcode(const struct dns_message *m)
{
	return m->p[3] & 0x0f;
}

bool
dns_message_is_authoritative(const struct dns_message *m)
{
	return (m->p[2] & FLAG_AUTHORITATIVE) != 0;
}

bool
dns_message_is_truncated(const struct dns_message *m)
{
	return (m->p[2] & FLAG_TRUNCATED) != 0;
}

bool
dns_name_is_within(const char *name, const char *zone)
{
	size_t n = strlen(name), z = strlen(zone);

	if (z == 0 || strcasecmp(name, zone) == 0)
		return true;
	return n > z && name[n - z - 1] == '.' &&
	       strcasecmp(name + n - z, zone) == 0;
}

/* The next byte of a label, of which \DDD is one; -1: no such byte. */
static int
take_byte(const char **text)
{
	const char *p = *text;
	int value = 0;

	if (*p != '\\') {
		++*text;
		return (unsigned char)*p;
	}
	for (int i = 1; i <= 3; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		value = value * 10 + p[i] - '0';
	}
	*text += 4;
	return value > 255 ? -1 : value;
}

/* One label up to its dot, as bytes behind their number. */
static int
put_label(uint8_t *out, size_t room, const char **text, size_t *used)
{
	size_t n = 0;
	int byte;

	while (**text != '\0' && **text != '.') {
		byte = take_byte(text);
		if (byte == -1 || n == 63 || *used + n + 2 > room)
			return -1;
		out[*used + ++n] = (uint8_t)byte;
	}
	if (n == 0)
		return -1;
	out[*used] = (uint8_t)n;
	*used += n + 1;
	if (**text == '.')
		++*text;
	return 0;
}

size_t
dns_query_make(uint8_t out[static DNS_QUERY_MAX], unsigned int id,
    const char *name, enum dns_type type)
{
	size_t used = DNS_HEADER;

	memset(out, 0, DNS_HEADER);
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
	out[5] = 1; /* question */
	while (*name != '\0')
		/* A name has 255 bytes, the root's among them. */
		if (put_label(out, DNS_HEADER + 254, &name, &used) == -1)
			return 0;
	out[used++] = 0;
	out[used++] = (uint8_t)(type >> 8);
	out[used++] = (uint8_t)type;
	out[used++] = 0;
	out[used++] = DNS_CLASS_IN;
	return used;
}

bool
dns_query_is_answered(const uint8_t *query, const uint8_t *message, size_t len)
{
	const struct dns_message q = { query, DNS_QUERY_MAX };
	const struct dns_message m = { message, len };
	char asked[256], answered[256];
	size_t qat = DNS_HEADER, at = DNS_HEADER;

	if (len < DNS_HEADER || memcmp(query, message, 2) != 0 ||
	    (message[2] & FLAG_REPLY) == 0 || (message[2] & OPCODE) != 0)
		return false;
	if (dns_message_16(&m, 4) != 1)
		return dns_message_16(&m, 4) == 0 &&
		       dns_message_rcode(&m) != DNS_NOERROR;
	if (dns_message_name(&q, &qat, asked) == -1 ||
	    dns_message_name(&m, &at, answered) == -1 || len - at < 4)
		return false;
	return strcmp(asked, answered) == 0 &&
	       memcmp(query + qat, message + at, 4) == 0;
}
