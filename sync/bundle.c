#include "sync/bundle.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "common/loop.h"
#include "common/mem.h"
#include "sync/bundle_bounds.h"

#define VERSION 1
#define FIELDS 10
#define SECOND_FIELDS 2
#define ABOUT_FIELDS 6
#define KEY_PEM_MAX (16 * 1024)

static int
write_buf(void *arg, const char *p, size_t len)
{
	return buf_put(arg, p, len);
}

static void
put_str(msgpack_packer *p, const char *field, const char *value)
{
	msgpack_pack_str_with_body(p, field, strlen(field));
	msgpack_pack_str_with_body(p, value, strlen(value));
}

static void
put_int(msgpack_packer *p, const char *field, int64_t value)
{
	msgpack_pack_str_with_body(p, field, strlen(field));
	msgpack_pack_int64(p, value);
}

/* One of a bundle's certificates. */
struct one {
	const struct cert *cert; /* NULL: there is no such */
	const char *key_pem;
	struct buf sealed;
};

/* The buffer has room for all that the checks before let through. */
static void
put_second(msgpack_packer *p, const struct one *second)
{
	put_str(p, "chain2", second->cert->chain);
	msgpack_pack_str_with_body(p, "key2", 4);
	msgpack_pack_bin_with_body(p, second->sealed.p, second->sealed.len);
}

static void
put_about(msgpack_packer *p, const struct bundle_about *about)
{
	put_str(p, "app", about->app);
	put_str(p, "ca", about->ca);
	put_int(p, "created_at", about->created_at);
	put_int(p, "custom", about->custom);
	put_int(p, "letsencrypt", about->letsencrypt);
	put_int(p, "canonical", about->canonical);
}

static void
put_fields(msgpack_packer *p, const char *name, const struct one *first,
    const struct one *second, const struct bundle_about *about)
{
	const struct cert *c = first->cert;
	const struct buf *sealed = &first->sealed;
	size_t n = FIELDS;

	n += second->cert != NULL ? SECOND_FIELDS : 0;
	n += about != NULL ? ABOUT_FIELDS : 0;
	msgpack_pack_map(p, n);
	put_int(p, "v", VERSION);
	put_str(p, "name", name);
	put_str(p, "chain", c->chain);
	msgpack_pack_str_with_body(p, "key", 3);
	msgpack_pack_bin_with_body(p, sealed->p, sealed->len);
	put_str(p, "sha1", c->sha1);
	put_str(p, "serial", c->serial);
	put_str(p, "issuer", c->issuer);
	put_int(p, "not_before", c->not_before);
	put_int(p, "not_after", c->not_after);
	put_int(p, "issued_at", loop_wall_ms());
	if (second->cert != NULL)
		put_second(p, second);
	if (about != NULL)
		put_about(p, about);
}

static int
seal_one(const struct seal_ring *ring, const char *name, struct one *one,
    struct err *e)
{
	const struct cert *c = one->cert;

	buf_init(&one->sealed, KEY_PEM_MAX + SEAL_OVERHEAD);
	if (c == NULL)
		return 0;
	if (strlen(one->key_pem) > KEY_PEM_MAX || strlen(c->chain) > BUNDLE_MAX)
		return err_set(e, ERR_BUG,
		    "certificate chain has %zu bytes; a bundle takes %d",
		    strlen(c->chain), BUNDLE_MAX);
	return seal(ring, "bundle", name, c->sha1, one->key_pem,
	    strlen(one->key_pem), &one->sealed, e);
}

int
bundle_pack_two(const struct seal_ring *ring, const char *name,
    const struct cert *c, const char *key_pem, const struct cert *second,
    const char *second_pem, const struct bundle_about *about, struct buf *out,
    struct err *e)
{
	struct one one = { c, key_pem, { 0 } };
	struct one two = { second, second_pem, { 0 } };
	struct buf map;
	msgpack_packer packer;
	int rc = -1;

	/* Room for more than is allowed, to say how much it would be. */
	buf_init(&map, 2 * ((size_t)BUNDLE_MAX + KEY_PEM_MAX));
	buf_init(&two.sealed, 0);
	if (seal_one(ring, name, &one, e) == 0 &&
	    seal_one(ring, name, &two, e) == 0) {
		msgpack_packer_init(&packer, &map, write_buf);
		put_fields(&packer, name, &one, &two, about);
		if (map.len > BUNDLE_MAX || buf_put(out, map.p, map.len) == -1)
			err_set(e, ERR_BUG,
			    "bundle has %zu bytes; at most %d are allowed",
			    map.len, BUNDLE_MAX);
		else
			rc = 0;
	}
	buf_clear(&one.sealed);
	buf_clear(&two.sealed);
	buf_clear(&map);
	return rc;
}

int
bundle_pack(const struct seal_ring *ring, const char *name,
    const struct cert *c, const char *key_pem, struct buf *out, struct err *e)
{
	return bundle_pack_two(
	    ring, name, c, key_pem, NULL, NULL, NULL, out, e);
}

/* --- reading -------------------------------------------------------------- */

/* The fields that count; the others are repetitions for people. */
struct parts {
	int64_t version;
	const char *name, *chain, *key, *chain2, *key2;
	size_t name_len, chain_len, key_len, chain2_len, key2_len;
};

static bool
is_key(const msgpack_object *key, const char *name)
{
	return key->type == MSGPACK_OBJECT_STR &&
	       key->via.str.size == strlen(name) &&
	       memcmp(key->via.str.ptr, name, strlen(name)) == 0;
}

static void
take_field(struct parts *p, const msgpack_object_kv *kv)
{
	const msgpack_object *v = &kv->val;

	if (is_key(&kv->key, "v") &&
	    v->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
		p->version = (int64_t)v->via.u64;
	} else if (is_key(&kv->key, "name") && v->type == MSGPACK_OBJECT_STR) {
		p->name = v->via.str.ptr;
		p->name_len = v->via.str.size;
	} else if (is_key(&kv->key, "chain") && v->type == MSGPACK_OBJECT_STR) {
		p->chain = v->via.str.ptr;
		p->chain_len = v->via.str.size;
	} else if (is_key(&kv->key, "key") && v->type == MSGPACK_OBJECT_BIN) {
		p->key = v->via.bin.ptr;
		p->key_len = v->via.bin.size;
	} else if (is_key(&kv->key, "chain2") &&
		   v->type == MSGPACK_OBJECT_STR) {
		p->chain2 = v->via.str.ptr;
		p->chain2_len = v->via.str.size;
	} else if (is_key(&kv->key, "key2") && v->type == MSGPACK_OBJECT_BIN) {
		p->key2 = v->via.bin.ptr;
		p->key2_len = v->via.bin.size;
	}
}

static int
take_parts(
    struct parts *p, const msgpack_object *o, const char *name, struct err *e)
{
	*p = (struct parts){ 0 };
	if (o->type != MSGPACK_OBJECT_MAP)
		return err_set(e, ERR_BUG, "bundle is not a map");
	for (uint32_t i = 0; i < o->via.map.size; i++)
		take_field(p, &o->via.map.ptr[i]);
	if (p->version != VERSION)
		return err_set(e, ERR_BUG,
		    "bundle is of another version; this program knows %d",
		    VERSION);
	if (p->name == NULL || p->chain == NULL || p->key == NULL)
		return err_set(e, ERR_BUG, "bundle lacks name, chain or key");
	if (p->name_len != strlen(name) ||
	    memcmp(p->name, name, p->name_len) != 0)
		return err_set(e, ERR_BUG, "bundle is another domain's");
	if ((p->chain2 == NULL) != (p->key2 == NULL))
		return err_set(e, ERR_BUG,
		    "bundle has half of a second certificate: chain2 and key2 "
		    "belong together");
	return 0;
}

/* The second one in the first one's place; neither, when there is none. */
static void
shift_second(struct parts *p)
{
	p->chain = p->chain2;
	p->chain_len = p->chain2_len;
	p->key = p->key2;
	p->key_len = p->key2_len;
}

/* Certificate, key, and that they belong together and to the name. */
static int
open_parts(const struct seal_ring *ring, const char *name,
    const struct parts *p, int64_t now_ms, struct cert *c, char **key_pem,
    struct err *e)
{
	struct buf key;
	int rc = -1;

	if (cert_parse(c, p->chain, p->chain_len, e) == -1)
		return -1;
	buf_init(&key, KEY_PEM_MAX);
	if (seal_open(ring, "bundle", name, c->sha1, p->key, p->key_len, &key,
		e) == 0 &&
	    cert_check(c, key.p, name, now_ms, e) == 0) {
		*key_pem = xmemdup0(key.p, key.len);
		rc = 0;
	}
	buf_wipe(&key);
	if (rc == -1)
		cert_clear(c);
	return rc;
}

static int
open_one(const struct seal_ring *ring, const char *name, const void *bytes,
    size_t len, int64_t now_ms, bool second, struct cert *c, char **key_pem,
    struct err *e)
{
	msgpack_unpacked u;
	struct parts p;
	size_t at = 0;
	int rc = -1;

	*c = (struct cert){ 0 };
	*key_pem = NULL;
	if (len > BUNDLE_MAX || !bundle_bounded(bytes, len))
		return err_set(
		    e, ERR_BUG, "bundle is damaged: it is not one value");
	msgpack_unpacked_init(&u);
	if (msgpack_unpack_next(&u, bytes, len, &at) !=
	    MSGPACK_UNPACK_SUCCESS) {
		err_set(e, ERR_BUG, "bundle is damaged: it cannot be read");
	} else if (take_parts(&p, &u.data, name, e) == 0) {
		if (second)
			shift_second(&p);
		rc = p.chain == NULL
		         ? 0
		         : open_parts(ring, name, &p, now_ms, c, key_pem, e);
	}
	msgpack_unpacked_destroy(&u);
	return rc;
}

int
bundle_open(const struct seal_ring *ring, const char *name, const void *bytes,
    size_t len, int64_t now_ms, struct cert *c, char **key_pem, struct err *e)
{
	return open_one(ring, name, bytes, len, now_ms, false, c, key_pem, e);
}

int
bundle_open_second(const struct seal_ring *ring, const char *name,
    const void *bytes, size_t len, int64_t now_ms, struct cert *c,
    char **key_pem, struct err *e)
{
	return open_one(ring, name, bytes, len, now_ms, true, c, key_pem, e);
}

/* --- what its record was --------------------------------------------------- */

void
bundle_describe(struct bundle_about *about, const struct domain *d)
{
	*about = (struct bundle_about){
		.created_at = d->created_at,
		.letsencrypt = d->letsencrypt,
		.canonical = d->canonical,
	};
	memcpy(about->app, d->app, sizeof(about->app));
}

static void
take_text(char *dst, size_t size, const msgpack_object *v)
{
	if (v->type != MSGPACK_OBJECT_STR || v->via.str.size >= size ||
	    memchr(v->via.str.ptr, '\0', v->via.str.size) != NULL)
		return;
	memcpy(dst, v->via.str.ptr, v->via.str.size);
	dst[v->via.str.size] = '\0';
}

static int64_t
number(const msgpack_object *v)
{
	return v->type == MSGPACK_OBJECT_POSITIVE_INTEGER &&
	               v->via.u64 <= INT64_MAX
	           ? (int64_t)v->via.u64
	           : 0;
}

static void
take_about(struct bundle_about *about, const msgpack_object_kv *kv)
{
	if (is_key(&kv->key, "app"))
		take_text(about->app, sizeof(about->app), &kv->val);
	else if (is_key(&kv->key, "ca"))
		take_text(about->ca, sizeof(about->ca), &kv->val);
	else if (is_key(&kv->key, "created_at"))
		about->created_at = number(&kv->val);
	else if (is_key(&kv->key, "custom"))
		about->custom = number(&kv->val) != 0;
	else if (is_key(&kv->key, "letsencrypt"))
		about->letsencrypt = number(&kv->val) != 0;
	else if (is_key(&kv->key, "canonical"))
		about->canonical = number(&kv->val) != 0;
}

int
bundle_about(
    struct bundle_about *about, const void *bytes, size_t len, struct err *e)
{
	msgpack_unpacked u;
	struct err why;
	size_t at = 0;
	int rc = -1;

	*about = (struct bundle_about){ .letsencrypt = true };
	if (len > BUNDLE_MAX || !bundle_bounded(bytes, len))
		return err_set(
		    e, ERR_BUG, "bundle is damaged: it is not one value");
	msgpack_unpacked_init(&u);
	if (msgpack_unpack_next(&u, bytes, len, &at) !=
		MSGPACK_UNPACK_SUCCESS ||
	    u.data.type != MSGPACK_OBJECT_MAP) {
		err_set(e, ERR_BUG, "bundle is damaged: it cannot be read");
	} else {
		for (uint32_t i = 0; i < u.data.via.map.size; i++)
			take_about(about, &u.data.via.map.ptr[i]);
		rc = 0;
	}
	msgpack_unpacked_destroy(&u);
	if (domain_app_check(about->app, &why) == -1)
		about->app[0] = '\0';
	return rc;
}

int
bundle_reseal(const struct seal_ring *ring, const char *name, const void *bytes,
    size_t len, struct buf *out, struct err *e)
{
	struct cert first = { 0 }, second = { 0 };
	char *key = NULL, *key2 = NULL;
	struct bundle_about about;
	int rc = -1;

	if (bundle_about(&about, bytes, len, e) == 0 &&
	    bundle_open(
		ring, name, bytes, len, CERT_ANY_TIME, &first, &key, e) == 0 &&
	    bundle_open_second(
		ring, name, bytes, len, CERT_ANY_TIME, &second, &key2, e) == 0)
		rc = bundle_pack_two(ring, name, &first, key,
		    key2 != NULL ? &second : NULL, key2,
		    about.app[0] != '\0' ? &about : NULL, out, e);
	mem_wipe_free(key);
	mem_wipe_free(key2);
	cert_clear(&first);
	cert_clear(&second);
	return rc;
}

uint32_t
bundle_key_id(const void *bytes, size_t len)
{
	msgpack_unpacked u;
	uint32_t id = 0;
	size_t at = 0;

	if (len > BUNDLE_MAX || !bundle_bounded(bytes, len))
		return 0;
	msgpack_unpacked_init(&u);
	if (msgpack_unpack_next(&u, bytes, len, &at) ==
		MSGPACK_UNPACK_SUCCESS &&
	    u.data.type == MSGPACK_OBJECT_MAP) {
		struct parts p = { 0 };

		for (uint32_t i = 0; i < u.data.via.map.size; i++)
			take_field(&p, &u.data.via.map.ptr[i]);
		id = seal_key_id(p.key, p.key_len);
	}
	msgpack_unpacked_destroy(&u);
	return id;
}
