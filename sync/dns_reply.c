#include "sync/dns_reply.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HEADER_LEN 12
#define CLASS_IN 1
#define CAA_CRITICAL (128 | 1) /* many took bit 0 for it; Boulder agrees */

struct message {
	const uint8_t *p;
	size_t len;
};

struct record {
	char owner[256];
	unsigned int type, class;
	size_t data, data_len; /* offset and length */
};

static int skip_questions(const struct message *, size_t *at);
static int next_record(const struct message *, size_t *at, struct record *);
static int follow(struct dns_reply *, const struct message *, size_t answers,
    char name[static 256], struct err *);
static int collect(struct dns_reply *, const struct message *, size_t answers,
    const char *name, enum dns_type, struct err *);
static bool says_none(
    const struct message *, size_t authority, const char *name);

static unsigned int
get16(const struct message *m, size_t at)
{
	return (unsigned int)m->p[at] << 8 | m->p[at + 1];
}

static unsigned int
answer_count(const struct message *m)
{
	return get16(m, 6);
}

static int
broken(struct err *e)
{
	return err_set(e, ERR_AGAIN, "the reply is malformed");
}

int
dns_reply_add(struct dns_reply *r, const char *name, enum dns_type type,
    const uint8_t *bytes, size_t len, struct err *e)
{
	const struct message m = { bytes, len };
	size_t answers = HEADER_LEN, authority;
	struct record record;
	char last[256];

	r->final = false;
	if (len < HEADER_LEN || strlen(name) >= sizeof(last) ||
	    skip_questions(&m, &answers) == -1)
		return broken(e);
	if (answer_count(&m) > DNS_RECORDS_MAX)
		return err_set(
		    e, ERR_AGAIN, "the reply has %u records", answer_count(&m));
	authority = answers;
	for (unsigned int i = 0; i < answer_count(&m); i++)
		if (next_record(&m, &authority, &record) == -1)
			return broken(e);
	snprintf(last, sizeof(last), "%s", name);
	if (follow(r, &m, answers, last, e) == -1 ||
	    collect(r, &m, answers, last, type, e) == -1)
		return -1;
	r->final = r->naddresses == 0 && r->ncaas == 0 &&
	           says_none(&m, authority, last);
	return 0;
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
static int
get_name(const struct message *m, size_t *at, char out[static 256])
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
			p = get16(m, p - 1) & 0x3fff;
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

static int
skip_questions(const struct message *m, size_t *at)
{
	char name[256];

	for (unsigned int i = get16(m, 4); i > 0; i--) {
		if (get_name(m, at, name) == -1 || m->len - *at < 4)
			return -1;
		*at += 4;
	}
	return 0;
}

static int
next_record(const struct message *m, size_t *at, struct record *r)
{
	if (get_name(m, at, r->owner) == -1 || m->len - *at < 10)
		return -1;
	r->type = get16(m, *at);
	r->class = get16(m, *at + 2);
	r->data_len = get16(m, *at + 8);
	r->data = *at + 10;
	if (m->len - r->data < r->data_len)
		return -1;
	*at = r->data + r->data_len;
	return 0;
}

/* Find the record of a name and type, from answer *i at *at on. */
static bool
find(const struct message *m, unsigned int *i, size_t *at, const char *name,
    enum dns_type type, struct record *r)
{
	while (*i < answer_count(m)) {
		++*i;
		if (next_record(m, at, r) == -1)
			return false;
		if (r->type == type && r->class == CLASS_IN &&
		    strcasecmp(r->owner, name) == 0)
			return true;
	}
	return false;
}

static bool
in_chain(const struct dns_reply *r, const char *name)
{
	for (size_t i = 0; i < r->ncnames; i++)
		if (strcmp(r->cname[i], name) == 0)
			return true;
	return false;
}

/* Walk the CNAMEs from name, which becomes the last of them. */
static int
follow(struct dns_reply *r, const struct message *m, size_t answers,
    char name[static 256], struct err *e)
{
	char first[256], target[256];
	struct record record;

	snprintf(first, sizeof(first), "%s", name);
	for (;;) {
		unsigned int i = 0;
		size_t at = answers;

		if (!find(m, &i, &at, name, DNS_CNAME, &record))
			return 0;
		if (get_name(m, &record.data, target) == -1)
			return broken(e);
		if (in_chain(r, target) || strcasecmp(target, first) == 0)
			return err_set(
			    e, ERR_AGAIN, "its CNAMEs run in a loop");
		if (r->ncnames == RESOLVE_CNAMES_MAX)
			return err_set(e, ERR_AGAIN, "more than %d CNAMEs",
			    RESOLVE_CNAMES_MAX);
		memcpy(r->cname[r->ncnames++], target, sizeof(target));
		memcpy(name, target, sizeof(target));
	}
}

static int
take_address(struct dns_reply *r, const struct message *m,
    const struct record *record, struct err *e)
{
	int family = record->type == DNS_A ? AF_INET : AF_INET6;

	if (record->data_len != (family == AF_INET ? 4 : 16))
		return broken(e);
	if (r->naddresses == RESOLVE_ADDRESSES_MAX)
		return err_set(e, ERR_AGAIN, "more than %d addresses",
		    RESOLVE_ADDRESSES_MAX);
	inet_ntop(family, m->p + record->data, r->address[r->naddresses++],
	    sizeof(r->address[0]));
	return 0;
}

/* Text is cut off at a NUL, so what has one becomes ""; too long, the same. */
static void
take_text(char *out, size_t size, const uint8_t *p, size_t len)
{
	if (len >= size || memchr(p, '\0', len) != NULL)
		len = 0;
	memcpy(out, p, len);
	out[len] = '\0';
}

/*
 * RFC 8659 section 4.1.  A value that does not fit is left empty: then it
 * names no CA, as what is malformed must.  A tag that does not is none we know.
 */
static int
take_caa(struct dns_reply *r, const struct message *m,
    const struct record *record, struct err *e)
{
	const uint8_t *p = m->p + record->data;
	struct resolve_caa *caa;
	size_t tag_len;

	if (record->data_len < 2 || p[1] == 0 || record->data_len - 2 < p[1])
		return broken(e);
	if (r->ncaas == RESOLVE_CAA_MAX)
		return err_set(
		    e, ERR_AGAIN, "more than %d CAA records", RESOLVE_CAA_MAX);
	tag_len = p[1];
	caa = &r->caas[r->ncaas++];
	caa->critical = (p[0] & CAA_CRITICAL) != 0;
	take_text(caa->tag, sizeof(caa->tag), p + 2, tag_len);
	take_text(caa->value, sizeof(caa->value), p + 2 + tag_len,
	    record->data_len - 2 - tag_len);
	return 0;
}

static int
collect(struct dns_reply *r, const struct message *m, size_t answers,
    const char *name, enum dns_type type, struct err *e)
{
	struct record record;
	unsigned int i = 0;

	while (find(m, &i, &answers, name, type, &record))
		if ((type == DNS_CAA ? take_caa(r, m, &record, e)
				     : take_address(r, m, &record, e)) == -1)
			return -1;
	return 0;
}

static bool
is_within(const char *name, const char *zone)
{
	size_t n = strlen(name), z = strlen(zone);

	if (z == 0 || strcasecmp(name, zone) == 0)
		return true;
	return n > z && name[n - z - 1] == '.' &&
	       strcasecmp(name + n - z, zone) == 0;
}

/*
 * RFC 2308 section 2: a reply that finds nothing carries the SOA of the zone
 * where it looked.  Without one for the last name, nobody has looked there.
 */
static bool
says_none(const struct message *m, size_t authority, const char *name)
{
	struct record record;

	for (unsigned int i = get16(m, 8); i > 0; i--) {
		if (next_record(m, &authority, &record) == -1)
			return false;
		if (record.type == DNS_SOA && is_within(name, record.owner))
			return true;
	}
	return false;
}
