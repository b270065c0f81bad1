/*
 * Two certificates for one name, of different kinds of keys: one order after
 * the other, and what came of the first waits in the journal for the second.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ari.h"
#include "sync/bundle.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/driver_impl.h"
#include "sync/renew.h"

static bool
is_dual(const struct run *r)
{
	return strcmp(r->driver->conf->acme.key_type, KEY_DUAL) == 0;
}

enum key_type
run_key_type(const struct run *r)
{
	int type = key_type_parse(r->driver->conf->acme.key_type);

	if (r->first.len > 0)
		return KEY_RSA_2048;
	return type != -1 ? (enum key_type)type : KEY_ECDSA_P256;
}

/* A first of before "dual" was wanted may have the second one's kind of key. */
bool
run_wants_second(const struct run *r)
{
	return is_dual(r) && r->first.len == 0 && !key_is_rsa(r->key_pem);
}

/* Also when it begins anew: nothing of the order before it counts. */
static void
second_begins(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL) {
		run_fail(r, e);
		return;
	}
	fault_point("D1");
	log_info("domain=%s first certificate is here, the second is ordered",
	    r->d->name);
	mem_wipe_free(r->key_pem);
	r->key_pem = xstrdup("");
	run_new_order(r);
	run_use_ca(r, r->ca);
	run_new_ticket(r, 0);
	run_advance(r);
}

void
run_order_second(struct run *r, const struct buf *bundle)
{
	struct err e;

	buf_clear(&r->first);
	buf_init(&r->first, BUNDLE_MAX);
	buf_put(&r->first, bundle->p, bundle->len);
	free(r->first_ca);
	r->first_ca = xstrdup(ca_directory(r->ca));
	if (store_journal_first(r->driver->store, r->d->name, r->d->epoch,
		r->first.p, r->first.len, r->first_ca, second_begins, r,
		&e) == -1)
		run_fail(r, &e);
}

void
run_keep_first(struct run *r, store_fn *done)
{
	struct err e;

	if (store_journal_first(r->driver->store, r->d->name, r->d->epoch,
		r->first.p, r->first.len, r->first_ca, done, r, &e) == -1)
		run_tell(r, r->why);
}

/* When to renew, by the certificate alone. */
static int64_t
due(const struct run *r, const struct cert *c)
{
	return renew_at(r->d->name, c->not_before, c->not_after,
	    r->driver->conf->acme.renew_percent);
}

bool
run_resume_first(struct run *r, const void *bundle, size_t len, const char *ca)
{
	int64_t now = loop_wall_ms();
	struct cert cert = { 0 };
	char *key = NULL;
	struct err e = { 0 };

	if (len == 0)
		return true;
	if (bundle_open(r->driver->ring, r->d->name, bundle, len, now, &cert,
		&key, &e) == -1)
		log_warn("domain=%s first certificate is no longer good: %s",
		    r->d->name, e.text);
	else if (now >= due(r, &cert))
		log_info("domain=%s first certificate has become too old",
		    r->d->name);
	else
		buf_put(&r->first, bundle, len);
	free(r->first_ca);
	r->first_ca = xstrdup(ca[0] != '\0' ? ca : ca_directory(r->ca));
	mem_wipe_free(key);
	cert_clear(&cert);
	return r->first.len > 0;
}

static void
describe(const struct run *r, const char *ca, struct bundle_about *about)
{
	bundle_describe(about, r->d);
	snprintf(about->ca, sizeof(about->ca), "%s", ca);
}

/* Both in one bundle; the record is the first one's, due is the earlier end. */
static int
pack_both(
    struct run *r, const struct cert *second, struct buf *bundle, struct err *e)
{
	const struct seal_ring *ring = r->driver->ring;
	char id[sizeof(r->d->ari_id_second)];
	struct bundle_about about;
	struct cert first = { 0 };
	char *key = NULL;
	int rc = -1;

	describe(r, r->first_ca, &about);
	if (bundle_open(ring, r->d->name, r->first.p, r->first.len,
		loop_wall_ms(), &first, &key, e) == 0 &&
	    bundle_pack_two(ring, r->d->name, &first, key, second, r->key_pem,
		&about, bundle, e) == 0) {
		run_describe(r, &first, r->first_ca);
		cert_ari_id(second, id, sizeof(id));
		ari_second(run_own(r), ca_directory(r->ca), id);
		if (due(r, second) < r->d->renew_at)
			run_own(r)->renew_at = due(r, second);
		rc = 0;
	}
	mem_wipe_free(key);
	cert_clear(&first);
	return rc;
}

int
run_pack(
    struct run *r, const struct cert *cert, struct buf *bundle, struct err *e)
{
	struct bundle_about about;

	if (r->first.len > 0)
		return pack_both(r, cert, bundle, e);
	describe(r, ca_directory(r->ca), &about);
	if (bundle_pack_two(r->driver->ring, r->d->name, cert, r->key_pem, NULL,
		NULL, &about, bundle, e) == -1)
		return -1;
	/* While there is another to come, the record is what is served. */
	if (!run_wants_second(r))
		run_describe(r, cert, ca_directory(r->ca));
	return 0;
}
