/* DNS messages of every kind, made on the spot. */
#ifndef TESTS_UNIT_DNS_MADE_H
#define TESTS_UNIT_DNS_MADE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sync/dns_message.h"

/* Where the header counts the records of a section. */
#define ANSWER 6
#define AUTHORITY 8

struct dns_made {
	uint8_t p[16384];
	size_t len;
};

static inline void
put_name(struct dns_made *m, const char *name)
{
	while (*name != '\0') {
		size_t n = strcspn(name, ".");

		m->p[m->len++] = (uint8_t)n;
		memcpy(m->p + m->len, name, n);
		m->len += n;
		name += n + (name[n] == '.');
	}
	m->p[m->len++] = 0;
}

static inline void
put16(struct dns_made *m, unsigned int v)
{
	m->p[m->len++] = (uint8_t)(v >> 8);
	m->p[m->len++] = (uint8_t)v;
}

/* A reply without records, from somebody who asks others. */
static inline void
begin(struct dns_made *m, const char *name)
{
	memset(m, 0, sizeof(*m));
	m->len = DNS_HEADER;
	m->p[2] = 0x81;
	m->p[5] = 1;
	put_name(m, name);
	put16(m, DNS_A);
	put16(m, DNS_CLASS_IN);
}

static inline void
put(struct dns_made *m, size_t section, const char *owner, unsigned int type,
    const void *data, size_t len)
{
	m->p[section + 1]++;
	put_name(m, owner);
	put16(m, type);
	put16(m, DNS_CLASS_IN);
	put16(m, 0);
	put16(m, 60);
	put16(m, (unsigned int)len);
	memcpy(m->p + m->len, data, len);
	m->len += len;
}

/* A record that is a name: CNAME, NS. */
static inline void
put_target(struct dns_made *m, size_t section, const char *owner,
    enum dns_type type, const char *target)
{
	struct dns_made data = { .len = 0 };

	put_name(&data, target);
	put(m, section, owner, type, data.p, data.len);
}

static inline void
put_cname(struct dns_made *m, const char *owner, const char *target)
{
	put_target(m, ANSWER, owner, DNS_CNAME, target);
}

/* One character-string. */
static inline void
put_txt(struct dns_made *m, const char *owner, const char *value)
{
	uint8_t data[256] = { (uint8_t)strlen(value) };

	memcpy(data + 1, value, data[0]);
	put(m, ANSWER, owner, DNS_TXT, data, data[0] + 1u);
}

#endif
