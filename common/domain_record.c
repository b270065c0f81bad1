/* The record's fields as text: the struct's members under their own names. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain.h"
#include "common/domain_name.h"
#include "common/mem.h"
#include "common/str.h"

#define FIELD_NAME_MAX 64
#define FIELD_VALUE_MAX 4096
#define HEX_CHARS "0123456789ABCDEF"

enum type {
	TEXT,
	NAME,
	APP,
	HEX,
	NUMBER,
	BOOL,
	STATUS
};

/* The record's fields in Redis: the struct's members, by name. */
#define FIELD(member, type, always)                                     \
	{                                                               \
#member, type, always, offsetof(struct domain, member), \
		    sizeof(((struct domain *)0)->member)                \
	}
static const struct field {
	const char *name;
	enum type type;
	bool always; /* its zero says something, too */
	size_t offset, size;
} fields[] = {
	FIELD(name, NAME, false),
	FIELD(app, APP, false),
	FIELD(status, STATUS, true),
	FIELD(reason, TEXT, false),
	FIELD(action, TEXT, false),
	FIELD(last_error, TEXT, false),
	FIELD(letsencrypt, BOOL, true),
	FIELD(canonical, BOOL, false),
	FIELD(serial, HEX, false),
	FIELD(sha1, HEX, false),
	FIELD(issuer, TEXT, false),
	FIELD(not_before, NUMBER, false),
	FIELD(not_after, NUMBER, false),
	FIELD(renew_at, NUMBER, false),
	FIELD(next_at, NUMBER, false),
	FIELD(created_at, NUMBER, false),
	FIELD(status_at, NUMBER, false),
	FIELD(rate_limited_until, NUMBER, false),
	FIELD(ca, TEXT, false),
	FIELD(ari_id, TEXT, false),
	FIELD(ari_id_second, TEXT, false),
	FIELD(ca_second, TEXT, false),
	FIELD(ari_poll_at, NUMBER, false),
	FIELD(ari_start, NUMBER, false),
	FIELD(ari_end, NUMBER, false),
	FIELD(explanation_url, TEXT, false),
	FIELD(attempts, NUMBER, false),
	FIELD(version, NUMBER, false),
	FIELD(proven, NUMBER, false),
	FIELD(gen, NUMBER, false),
	FIELD(epoch, NUMBER, true),
	FIELD(revoke, TEXT, false),
	FIELD(changed_at, NUMBER, false),
	FIELD(custom_sha1, HEX, false),
	FIELD(custom_serial, HEX, false),
	FIELD(custom_issuer, TEXT, false),
	FIELD(custom_subject, TEXT, false),
	FIELD(custom_key, TEXT, false),
	FIELD(custom_note, TEXT, false),
	FIELD(custom_not_before, NUMBER, false),
	FIELD(custom_not_after, NUMBER, false),
	FIELD(custom_left_at, NUMBER, false),
	FIELD(acme_dns_fqdn, TEXT, false),
	FIELD(acme_dns_value, TEXT, false),
	FIELD(acme_dns_account, TEXT, false),
	FIELD(acme_dns_until, NUMBER, false),
	FIELD(canary, TEXT, false),
	FIELD(custom_trial_at, NUMBER, false),
	FIELD(rolled_back_at, NUMBER, false),
};
#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

void
domain_init(struct domain *d)
{
	*d = (struct domain){ .letsencrypt = true };
}

void
domain_clear(struct domain *d)
{
	for (size_t i = 0; i < d->nextra; i++) {
		free(d->extra[i].name);
		free(d->extra[i].value);
	}
	free(d->extra);
	domain_init(d);
}

static const struct field *
find_field(const char *name)
{
	for (size_t i = 0; i < NFIELDS; i++)
		if (fields[i].name[0] == name[0] &&
		    strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int
set_extra(struct domain *d, const char *name, const char *value, struct err *e)
{
	char shown[FIELD_NAME_MAX];

	str_printable(shown, sizeof(shown), name, strlen(name));
	if (name[0] == '\0' || strlen(name) >= FIELD_NAME_MAX ||
	    strlen(value) >= FIELD_VALUE_MAX)
		return err_set(
		    e, ERR_BUG, "the field \"%s\" is too long", shown);
	for (size_t i = 0; i < d->nextra; i++)
		if (strcmp(d->extra[i].name, name) == 0) {
			free(d->extra[i].value);
			d->extra[i].value = xstrdup(value);
			return 0;
		}
	if (d->nextra >= DOMAIN_FIELDS_MAX - NFIELDS)
		return err_set(e, ERR_BUG,
		    "more than %d fields, the last one is \"%s\"",
		    DOMAIN_FIELDS_MAX, shown);
	d->extra = xrealloc(d->extra, (d->nextra + 1) * sizeof(*d->extra));
	d->extra[d->nextra].name = xstrdup(name);
	d->extra[d->nextra].value = xstrdup(value);
	d->nextra++;
	return 0;
}

static int
set_text(char *dst, const struct field *f, const char *value, struct err *e)
{
	if (str_copy(dst, f->size, value, e) == -1)
		return -1;
	if (value[0] == '\0')
		return 0;
	if ((f->type == NAME && domain_name_check(value, e) == -1) ||
	    (f->type == APP && domain_app_check(value, e) == -1) ||
	    (f->type == HEX && !str_only(value, strlen(value), HEX_CHARS))) {
		dst[0] = '\0';
		return -1;
	}
	return 0;
}

/* Type by type; on failure e may have a sentence of its own or none. */
static int
set_field(
    struct domain *d, const struct field *f, const char *value, struct err *e)
{
	char *member = (char *)d + f->offset;
	int64_t number;
	int status;

	switch (f->type) {
	case TEXT:
	case NAME:
	case APP:
	case HEX:
		return set_text(member, f, value, e);
	case NUMBER:
		if (str_int(value, 0, INT64_MAX, &number) == -1)
			return -1;
		memcpy(member, &number, sizeof(number));
		return 0;
	case BOOL:
		if (str_int(value, 0, 1, &number) == -1)
			return -1;
		*(bool *)(void *)member = number == 1;
		return 0;
	case STATUS:
		status = domain_status_parse(value);
		if (status == -1)
			return -1;
		d->status = (enum domain_status)status;
		return 0;
	}
	return -1;
}

int
domain_set(struct domain *d, const char *name, const char *value, struct err *e)
{
	const struct field *f = find_field(name);
	char shown[FIELD_NAME_MAX];

	if (f == NULL)
		return set_extra(d, name, value, e);
	if (set_field(d, f, value, e) == 0)
		return 0;
	str_printable(shown, sizeof(shown), value, strlen(value));
	return err_set(
	    e, ERR_BUG, "the record's field %s cannot be \"%s\"", name, shown);
}

/* The field's text, in a buffer when it has to be made; "" when it has none. */
#define NUMBER_MAX 24
static const char *
field_text(const struct domain *d, const struct field *f,
    char buffer[static NUMBER_MAX])
{
	const char *member = (const char *)d + f->offset;
	int64_t number;

	switch (f->type) {
	case TEXT:
	case NAME:
	case APP:
	case HEX:
		return member;
	case NUMBER:
		memcpy(&number, member, sizeof(number));
		if (number == 0 && !f->always)
			return "";
		snprintf(buffer, NUMBER_MAX, "%" PRId64, number);
		return buffer;
	case BOOL:
		return *(const bool *)(const void *)member ? "1" : "0";
	case STATUS:
		return domain_status_name(d->status);
	}
	return "";
}

void
domain_each(const struct domain *d, domain_field_fn *fn, void *arg)
{
	char buffer[NUMBER_MAX];

	for (size_t i = 0; i < NFIELDS; i++) {
		const char *text = field_text(d, &fields[i], buffer);

		if (text[0] != '\0')
			fn(arg, fields[i].name, text);
	}
	for (size_t i = 0; i < d->nextra; i++)
		fn(arg, d->extra[i].name, d->extra[i].value);
}

void
domain_each_absent(const struct domain *d, domain_absent_fn *fn, void *arg)
{
	char buffer[NUMBER_MAX];

	for (size_t i = 0; i < NFIELDS; i++)
		if (field_text(d, &fields[i], buffer)[0] == '\0')
			fn(arg, fields[i].name);
}
