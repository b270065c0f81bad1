/* Statuses, and the record's msgpack form. */
#include "common/domain.h"

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define PACKED_MAX (64 * 1024)

static const struct {
	const char *name, *label;
} statuses[DOMAIN_STATUSES] = {
	[DOMAIN_PENDING_DNS] = { "pending_dns", "Pending DNS" },
	[DOMAIN_CREATING] = { "creating", "Creating" },
	[DOMAIN_IN_USE] = { "in_use", "In use" },
	[DOMAIN_NOT_USED] = { "not_used", "Not used" },
	[DOMAIN_ACTION_REQUIRED] = { "action_required", "Action required" },
	[DOMAIN_DISABLED] = { "disabled", "Disabled" },
};

const char *
domain_status_name(enum domain_status s)
{
	return statuses[s].name;
}

const char *
domain_status_label(enum domain_status s)
{
	return statuses[s].label;
}

int
domain_status_parse(const char *name)
{
	for (int i = 0; i < DOMAIN_STATUSES; i++)
		if (strcmp(statuses[i].name, name) == 0)
			return i;
	return -1;
}

static int
write_buf(void *arg, const char *bytes, size_t len)
{
	return buf_put(arg, bytes, len);
}

static void
count_field(void *arg, const char *field, const char *value)
{
	size_t *n = arg;

	(void)field, (void)value;
	(*n)++;
}

/* Buffers do not forget that they were too small: the cap is checked once. */
struct packing {
	msgpack_packer packer;
	bool failed;
};

static void
pack_text(struct packing *p, const char *s)
{
	if (msgpack_pack_str(&p->packer, strlen(s)) != 0 ||
	    msgpack_pack_str_body(&p->packer, s, strlen(s)) != 0)
		p->failed = true;
}

static void
pack_field(void *arg, const char *field, const char *value)
{
	pack_text(arg, field);
	pack_text(arg, value);
}

int
domain_pack(const struct domain *d, struct buf *out, struct err *e)
{
	struct packing p = { .failed = false };
	size_t n = 0, start = out->len;

	domain_each(d, count_field, &n);
	msgpack_packer_init(&p.packer, out, write_buf);
	if (msgpack_pack_map(&p.packer, n) != 0)
		p.failed = true;
	domain_each(d, pack_field, &p);
	if (!p.failed)
		return 0;
	out->len = start;
	out->p[start] = '\0';
	return err_set(e, ERR_BUG, "no room for the record of %s", d->name);
}

/* A cursor for the look at the bytes before msgpack may allocate for them. */
struct in {
	const uint8_t *p, *end;
};

static int
get_uint(struct in *in, size_t len, size_t *v)
{
	if ((size_t)(in->end - in->p) < len)
		return -1;
	for (*v = 0; len > 0; len--)
		*v = *v << 8 | *in->p++;
	return 0;
}

/* Pass over one str (or bin, which old packers used for it). */
static int
skip_text(struct in *in)
{
	size_t len = 0;
	uint8_t head;
	int rc = 0;

	if (in->p == in->end)
		return -1;
	head = *in->p++;
	if (head >= 0xa0 && head <= 0xbf)
		len = head & 0x1f;
	else if (head == 0xd9 || head == 0xc4)
		rc = get_uint(in, 1, &len);
	else if (head == 0xda || head == 0xc5)
		rc = get_uint(in, 2, &len);
	else if (head == 0xdb || head == 0xc6)
		rc = get_uint(in, 4, &len);
	else
		return -1;
	if (rc == -1 || len > (size_t)(in->end - in->p))
		return -1;
	in->p += len;
	return 0;
}

/*
 * True when the bytes are one map of texts, not too large.  Five bytes can
 * make msgpack allocate gigabytes: it only gets to see what passed here.
 */
static bool
is_map_of_texts(const void *bytes, size_t len)
{
	struct in in = { bytes, (const uint8_t *)bytes + len };
	size_t n = 0;
	uint8_t head;

	if (len == 0 || len > PACKED_MAX)
		return false;
	head = *in.p++;
	if (head >= 0x80 && head <= 0x8f)
		n = head & 0x0f;
	else if (head != 0xde || get_uint(&in, 2, &n) == -1)
		return false;
	if (n > DOMAIN_FIELDS_MAX)
		return false;
	for (n *= 2; n > 0; n--)
		if (skip_text(&in) == -1)
			return false;
	return in.p == in.end;
}

/* The text of an object as a string of ours, or NULL when it has a NUL. */
static char *
object_text(const msgpack_object *o)
{
	/* str and bin have the same shape, and only these two come here. */
	const char *p = o->via.str.ptr;
	size_t len = o->via.str.size;

	if (len > 0 && memchr(p, '\0', len) != NULL)
		return NULL;
	return xmemdup0(p, len);
}

static int
unpack_fields(struct domain *d, const msgpack_object_map *map, struct err *e)
{
	int rc = 0;

	for (uint32_t i = 0; i < map->size && rc == 0; i++) {
		char *name = object_text(&map->ptr[i].key);
		char *value = object_text(&map->ptr[i].val);

		if (name == NULL || value == NULL)
			rc = err_set(
			    e, ERR_BUG, "the record has a NUL byte in it");
		else
			rc = domain_set(d, name, value, e);
		free(name);
		free(value);
	}
	return rc;
}

int
domain_unpack(struct domain *d, const void *bytes, size_t len, struct err *e)
{
	msgpack_unpacked u;
	size_t at = 0;
	int rc;

	if (!is_map_of_texts(bytes, len))
		return err_set(
		    e, ERR_BUG, "%zu bytes that are not a record", len);
	msgpack_unpacked_init(&u);
	if (msgpack_unpack_next(&u, bytes, len, &at) == MSGPACK_UNPACK_SUCCESS)
		rc = unpack_fields(d, &u.data.via.map, e);
	else
		rc = err_set(e, ERR_BUG, "msgpack cannot read the record");
	msgpack_unpacked_destroy(&u);
	return rc;
}
