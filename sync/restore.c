#include "sync/restore.h"

#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "common/mem.h"
#include "sync/ari.h"
#include "sync/bundle.h"
#include "sync/cert.h"
#include "sync/custom.h"
#include "sync/renew.h"

static void
fault(void *arg, const char *field, const char *sentence)
{
	err_set(arg, ERR_REFUSED, "its %s %s", field, sentence);
}

/* As an upload of it would be described. */
static int
describe_custom(struct domain *d, const struct conf *conf,
    const struct cert *cert, const char *key_pem, int64_t now, struct err *e)
{
	struct custom_rules rules = {
		.name = d->name, .bufsize = conf->haproxy.bufsize, .now_ms = now
	};
	struct custom c;
	int rc = custom_read(&c, cert->chain, key_pem, &rules, fault, e);

	if (rc == 0) {
		memcpy(d->custom_sha1, c.cert.sha1, sizeof(d->custom_sha1));
		memcpy(
		    d->custom_serial, c.cert.serial, sizeof(d->custom_serial));
		memcpy(
		    d->custom_issuer, c.cert.issuer, sizeof(d->custom_issuer));
		memcpy(d->custom_subject, c.subject, sizeof(d->custom_subject));
		memcpy(d->custom_key, c.key, sizeof(d->custom_key));
		memcpy(d->custom_note, c.note, sizeof(d->custom_note));
		d->custom_not_before = c.cert.not_before;
		d->custom_not_after = c.cert.not_after;
	}
	custom_clear(&c);
	return rc;
}

static void
describe_managed(struct domain *d, const struct conf *conf, const char *ca,
    const struct cert *cert, int64_t now)
{
	char id[sizeof(d->ari_id)];

	memcpy(d->serial, cert->serial, sizeof(d->serial));
	memcpy(d->sha1, cert->sha1, sizeof(d->sha1));
	memcpy(d->issuer, cert->issuer, sizeof(d->issuer));
	d->not_before = cert->not_before;
	d->not_after = cert->not_after;
	d->renew_at = renew_at(d->name, cert->not_before, cert->not_after,
	    conf->acme.renew_percent);
	cert_ari_id(cert, id, sizeof(id));
	ari_begin(d, ca, id, conf->acme.ari, now, conf->acme.ari_poll_min_s);
}

/* Of two certificates the one that ends first says when both are renewed. */
static void
describe_second(
    struct domain *d, const struct conf *conf, const struct cert *second)
{
	int64_t due = renew_at(d->name, second->not_before, second->not_after,
	    conf->acme.renew_percent);

	cert_ari_id(second, d->ari_id_second, sizeof(d->ari_id_second));
	if (due < d->renew_at)
		d->renew_at = due;
}

int
restore_record(struct domain *d, bool *custom, const struct conf *conf,
    const struct seal_ring *ring, const char *name, const void *bundle,
    size_t len, int64_t now, struct err *e)
{
	struct cert cert = { 0 }, second = { 0 };
	char *key = NULL, *key2 = NULL;
	struct bundle_about about;
	int rc = -1;

	if (bundle_about(&about, bundle, len, e) == -1)
		return -1;
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->app, sizeof(d->app), "%s",
	    about.app[0] != '\0' ? about.app : RESTORE_APP);
	d->letsencrypt = about.letsencrypt;
	d->canonical = about.canonical;
	d->created_at = about.created_at > 0 ? about.created_at : now;
	*custom = about.custom;
	if (bundle_open(ring, name, bundle, len, now, &cert, &key, e) == 0 &&
	    bundle_open_second(
		ring, name, bundle, len, now, &second, &key2, e) == 0) {
		rc = about.custom ? describe_custom(d, conf, &cert, key, now, e)
		                  : 0;
		if (!about.custom)
			describe_managed(d, conf, about.ca, &cert, now);
		if (second.chain != NULL)
			describe_second(d, conf, &second);
	}
	mem_wipe_free(key);
	mem_wipe_free(key2);
	cert_clear(&cert);
	cert_clear(&second);
	return rc;
}
