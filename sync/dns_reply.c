#include "sync/dns_reply.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CAA_CRITICAL (128 | 1) /* many took bit 0 for it; Boulder agrees */
#define CHALLENGE_LEN 43       /* of a value that a CA may look for */

static int follow(struct dns_reply *, const struct dns_message *,
    size_t answers, char name[static 256], struct err *);
static int collect(struct dns_reply *, const struct dns_message *,
    size_t answers, const char *name, enum dns_type, struct err *);
static int take(struct dns_reply *, const struct dns_message *,
    const struct dns_record *, struct err *);
static bool says_none(struct dns_reply *, const struct dns_message *,
    size_t authority, const char *name);

static unsigned int
answer_count(const struct dns_message *m)
{
	return dns_message_16(m, 6);
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
	const struct dns_message m = { bytes, len };
	size_t answers = DNS_HEADER, authority;
	struct dns_record record;
	char last[256];

	r->final = false;
	r->zone[0] = '\0';
	if (len < DNS_HEADER || strlen(name) >= sizeof(last) ||
	    dns_message_skip_questions(&m, &answers) == -1)
		return broken(e);
	if (answer_count(&m) > DNS_RECORDS_MAX)
		return err_set(
		    e, ERR_AGAIN, "the reply has %u records", answer_count(&m));
	authority = answers;
	for (unsigned int i = 0; i < answer_count(&m); i++)
		if (dns_message_next(&m, &authority, &record) == -1)
			return broken(e);
	snprintf(last, sizeof(last), "%s", name);
	if (follow(r, &m, answers, last, e) == -1 ||
	    collect(r, &m, answers, last, type, e) == -1)
		return -1;
	r->final = !dns_reply_found(r) && says_none(r, &m, authority, last);
	return 0;
}

bool
dns_reply_found(const struct dns_reply *r)
{
	return r->naddresses > 0 || r->ncaas > 0 || r->ntxts > 0 ||
	       r->nhosts > 0 || r->soa;
}

/* Find the record of a name and type, from answer *i at *at on. */
static bool
find(const struct dns_message *m, unsigned int *i, size_t *at, const char *name,
    enum dns_type type, struct dns_record *r)
{
	while (*i < answer_count(m)) {
		++*i;
		if (dns_message_next(m, at, r) == -1)
			return false;
		if (r->type == type && r->class == DNS_CLASS_IN &&
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
follow(struct dns_reply *r, const struct dns_message *m, size_t answers,
    char name[static 256], struct err *e)
{
	char first[256], target[256];
	struct dns_record record;

	snprintf(first, sizeof(first), "%s", name);
	for (;;) {
		unsigned int i = 0;
		size_t at = answers;

		if (!find(m, &i, &at, name, DNS_CNAME, &record))
			return 0;
		if (dns_message_name(m, &record.data, target) == -1)
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
take_address(struct dns_reply *r, const struct dns_message *m,
    const struct dns_record *record, struct err *e)
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
take_caa(struct dns_reply *r, const struct dns_message *m,
    const struct dns_record *record, struct err *e)
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

/*
 * The character-strings of a record are one value.  One that is too long is
 * cut: it is nobody's proof.
 */
static int
join(char out[static 256], const struct dns_message *m,
    const struct dns_record *record)
{
	size_t at = record->data, end = at + record->data_len, used = 0;
	uint8_t value[255];

	while (at < end) {
		size_t n = m->p[at++], room = sizeof(value) - used;

		if (end - at < n)
			return -1;
		memcpy(value + used, m->p + at, n < room ? n : room);
		used += n < room ? n : room;
		at += n;
	}
	take_text(out, 256, value, used);
	return 0;
}

/* When there are more than fit, those that no CA looks for make room. */
static int
take_txt(struct dns_reply *r, const struct dns_message *m,
    const struct dns_record *record, struct err *e)
{
	char value[256];
	size_t i = r->ntxts;

	if (join(value, m, record) == -1)
		return broken(e);
	if (r->ntxts < DNS_TXTS_MAX)
		r->ntxts++;
	else if (strlen(value) == CHALLENGE_LEN)
		for (i = 0; i < DNS_TXTS_MAX; i++)
			if (strlen(r->txt[i]) != CHALLENGE_LEN)
				break;
	if (i < DNS_TXTS_MAX)
		memcpy(r->txt[i], value, sizeof(r->txt[i]));
	return 0;
}

static int
take_host(struct dns_reply *r, const struct dns_message *m,
    const struct dns_record *record, struct err *e)
{
	size_t at = record->data;

	if (r->nhosts == DNS_HOSTS_MAX)
		return err_set(
		    e, ERR_AGAIN, "more than %d name servers", DNS_HOSTS_MAX);
	if (dns_message_name(m, &at, r->host[r->nhosts]) == -1)
		return broken(e);
	r->nhosts++;
	return 0;
}

static int
take(struct dns_reply *r, const struct dns_message *m,
    const struct dns_record *record, struct err *e)
{
	switch (record->type) {
	case DNS_CAA:
		return take_caa(r, m, record, e);
	case DNS_TXT:
		return take_txt(r, m, record, e);
	case DNS_NS:
		return take_host(r, m, record, e);
	case DNS_SOA:
		r->soa = true;
		return 0;
	default:
		return take_address(r, m, record, e);
	}
}

static int
collect(struct dns_reply *r, const struct dns_message *m, size_t answers,
    const char *name, enum dns_type type, struct err *e)
{
	struct dns_record record;
	unsigned int i = 0;

	while (find(m, &i, &answers, name, type, &record))
		if (take(r, m, &record, e) == -1)
			return -1;
	return 0;
}

/*
 * RFC 2308 section 2: a reply that finds nothing carries the SOA of the zone
 * where it looked.  Without one for the last name, nobody has looked there.
 */
static bool
says_none(struct dns_reply *r, const struct dns_message *m, size_t authority,
    const char *name)
{
	struct dns_record record;

	for (unsigned int i = dns_message_16(m, 8); i > 0; i--) {
		if (dns_message_next(m, &authority, &record) == -1)
			return false;
		if (record.type != DNS_SOA ||
		    !dns_name_is_within(name, record.owner))
			continue;
		memcpy(r->zone, record.owner, sizeof(r->zone));
		return true;
	}
	return false;
}

/* An NS record of a zone that is below the one asked, and has the name. */
static bool
refers(const struct dns_record *record, const char *name, const char *zone)
{
	return record->type == DNS_NS && record->class == DNS_CLASS_IN &&
	       dns_name_is_within(name, record->owner) &&
	       dns_name_is_within(record->owner, zone) &&
	       strcasecmp(record->owner, zone) != 0;
}

bool
dns_referral_read(struct dns_referral *out, const char *name, const char *zone,
    const uint8_t *message, size_t len)
{
	const struct dns_message m = { message, len };
	size_t at = DNS_HEADER, host;
	struct dns_record record;

	memset(out, 0, sizeof(*out));
	if (len < DNS_HEADER || answer_count(&m) > 0 ||
	    dns_message_skip_questions(&m, &at) == -1)
		return false;
	for (unsigned int i = dns_message_16(&m, 8); i > 0; i--) {
		if (dns_message_next(&m, &at, &record) == -1)
			return false;
		if (!refers(&record, name, zone) ||
		    out->nhosts == DNS_HOSTS_MAX ||
		    (out->nhosts > 0 && strcmp(out->zone, record.owner) != 0))
			continue;
		memcpy(out->zone, record.owner, sizeof(out->zone));
		host = record.data;
		if (dns_message_name(&m, &host, out->host[out->nhosts]) == -1)
			return false;
		out->nhosts++;
	}
	return out->nhosts > 0;
}
