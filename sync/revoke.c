#include "sync/revoke.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <jansson.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ari.h"
#include "sync/bundle.h"
#include "sync/ca.h"
#include "sync/reason.h"
#include "sync/store.h"

#define BEGIN "-----BEGIN CERTIFICATE-----\n"

/* A certificate that is being revoked. */
struct revoke {
	LIST_ENTRY(revoke) link;
	struct revokes *all;
	struct ca *ca;     /* that issued it */
	struct ca *its_ca; /* and the second one */
	char name[DOMAIN_NAME_MAX], sha1[41];
	int64_t epoch, not_after;
	int reason;
	uint64_t posting;
	char *second; /* chain of the bundle's other one, still to be revoked */
	revoke_fn *fn;
	void *arg;
};

struct revokes {
	struct store *store;
	const struct seal_ring *ring;
	struct ca *first, *second;
	LIST_HEAD(, revoke) list;
};

struct revokes *
revokes_new(struct store *store, const struct seal_ring *ring, struct ca *first,
    struct ca *second)
{
	struct revokes *all = xcalloc(1, sizeof(*all));

	all->store = store;
	all->ring = ring;
	all->first = first;
	all->second = second;
	LIST_INIT(&all->list);
	return all;
}

static void
revoke_free(struct revoke *r)
{
	LIST_REMOVE(r, link);
	store_forget(r->all->store, r);
	ca_cancel(r->ca, r->posting);
	free(r->second);
	free(r);
}

void
revokes_free(struct revokes *all)
{
	if (all == NULL)
		return;
	while (!LIST_EMPTY(&all->list))
		revoke_free(LIST_FIRST(&all->list));
	free(all);
}

void
revoke_cancel(struct revokes *all, const void *arg)
{
	struct revoke *r, *next;

	for (r = LIST_FIRST(&all->list); r != NULL; r = next) {
		next = LIST_NEXT(r, link);
		if (r->arg == arg)
			revoke_free(r);
	}
}

static void
tell(struct revoke *r, const struct err *e)
{
	revoke_fn *fn = r->fn;
	void *arg = r->arg;

	revoke_free(r);
	fn(arg, e);
}

static void
written(void *arg, const struct err *e)
{
	tell(arg, e);
}

static void
write_down(struct revoke *r)
{
	store_revoked(r->all->store, r->name, r->epoch, r->sha1, written, r);
}

static void post(struct revoke *, const char *chain);

static void
posted(void *arg, const struct reply *reply, const struct err *e)
{
	struct revoke *r = arg;
	char *second = r->second;

	(void)reply;
	r->posting = 0;
	if (e != NULL && strcmp(e->type, "alreadyRevoked") != 0) {
		tell(r, e);
		return;
	}
	if (second != NULL) {
		r->second = NULL;
		r->ca = r->its_ca;
		post(r, second);
		free(second);
		return;
	}
	log_info("domain=%s sha1=%s revoked", r->name, r->sha1);
	write_down(r);
}

/* The leaf as the CA wants it: the first PEM block in base64url. */
static char *
leaf_b64url(const char *chain)
{
	const char *p = strstr(chain, BEGIN);
	char *out = xmalloc(strlen(chain) + 1), *to = out;

	for (p = p != NULL ? p + strlen(BEGIN) : ""; *p != '\0' && *p != '-';
	     p++)
		if (*p == '+')
			*to++ = '-';
		else if (*p == '/')
			*to++ = '_';
		else if (*p != '\n' && *p != '=')
			*to++ = *p;
	*to = '\0';
	return out;
}

static void
post(struct revoke *r, const char *chain)
{
	char *leaf = leaf_b64url(chain);

	r->posting = ca_post(r->ca, "revokeCert",
	    json_pack("{s:s, s:i}", "certificate", leaf, "reason", r->reason),
	    posted, r);
	free(leaf);
}

static void
got_bundle(void *arg, const void *bundle, size_t len, const struct err *e)
{
	struct revoke *r = arg;
	int64_t now = loop_wall_ms();
	struct cert cert = { 0 }, second = { 0 };
	char *key = NULL, *key2 = NULL;
	struct err why;

	if (e != NULL) {
		tell(r, e);
		return;
	}
	if (bundle == NULL || now >= r->not_after) {
		log_info("domain=%s sha1=%s is gone or has expired: nothing to "
			 "revoke",
		    r->name, r->sha1);
		write_down(r);
		return;
	}
	if (bundle_open(r->all->ring, r->name, bundle, len, now, &cert, &key,
		&why) == -1 ||
	    bundle_open_second(r->all->ring, r->name, bundle, len, now, &second,
		&key2, &why) == -1) {
		tell(r, &why);
	} else {
		if (second.chain != NULL)
			r->second = xstrdup(second.chain);
		post(r, cert.chain);
	}
	mem_wipe_free(key);
	mem_wipe_free(key2);
	cert_clear(&cert);
	cert_clear(&second);
}

static struct ca *
ca_of(const struct revokes *all, const char *directory)
{
	return all->second != NULL &&
	               strcmp(directory, ca_directory(all->second)) == 0
	           ? all->second
	           : all->first;
}

void
revoke_start(
    struct revokes *all, const struct domain *d, revoke_fn *fn, void *arg)
{
	struct revoke *r = xcalloc(1, sizeof(*r));

	r->all = all;
	memcpy(r->name, d->name, sizeof(r->name));
	memcpy(r->sha1, d->sha1, sizeof(r->sha1));
	r->ca = ca_of(all, ari_ca(d, false));
	r->its_ca = ca_of(all, ari_ca(d, true));
	r->epoch = d->epoch;
	r->not_after = d->not_after;
	r->reason = reason_number(d->revoke);
	if (r->reason == -1)
		r->reason = 0;
	r->fn = fn;
	r->arg = arg;
	LIST_INSERT_HEAD(&all->list, r, link);
	store_bundle(all->store, r->name, false, got_bundle, r);
}
