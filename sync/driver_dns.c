/* The TXT records of an order by dns-01. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/fault.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ca.h"
#include "sync/dns01.h"
#include "sync/driver_impl.h"
#include "sync/jose.h"

void
driver_dns01(struct driver *dr, struct dns01 *dns01, driver_waits_fn *waits)
{
	dr->dns01 = dns01;
	dr->waits = waits;
}

void
run_withdraw(struct run *r)
{
	if (order_dns01(&r->order)) {
		fault_point("F18");
		dns01_withdraw(r->driver->dns01, r->d->name);
	}
}

/*
 * Whatever goes wrong here is not the CA's affair: the order stays, with the
 * record for the same value, and the next attempt goes on with both.
 */
static void
present(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL) {
		run_tell(r, e);
		return;
	}
	fault_point("F6");
	r->deadline = loop_now_ms() +
	              (int64_t)r->driver->conf->acme.order_timeout_s * 1000;
	run_done(r);
}

/* Section 8.4: the digest of the key authorization. */
static void
put_digest(const struct run *r, const struct authz *a,
    char value[static ORDER_TXT_MAX])
{
	char *keyauth = xasprintf("%s.%s", a->token, ca_thumbprint(r->ca));

	jose_digest(keyauth, value);
	free(keyauth);
}

/* What is to be there for each that is not valid; one record may do for all. */
static void
put_values(struct run *r)
{
	struct domain *d = run_own(r);
	char value[ORDER_TXT_MAX];
	size_t n = 0;

	d->acme_dns_value[0] = '\0';
	for (size_t i = 0; i < r->order.nauthz; i++) {
		const struct authz *a = &r->order.authz[i];

		if (a->valid)
			continue;
		if (a->persists)
			snprintf(value, sizeof(value), "%s", a->persist);
		else
			put_digest(r, a, value);
		if (strstr(d->acme_dns_value, value) == NULL)
			n += (size_t)snprintf(d->acme_dns_value + n,
			    sizeof(d->acme_dns_value) - n, "%s%s",
			    n > 0 ? " " : "", value);
	}
}

static void
present_all(struct run *r)
{
	struct domain *d = run_own(r);
	struct err e = { 0 };

	if (dns01_fqdn(order_authz(&r->order)->persists ? DNS01_PERSIST_PREFIX
							: DNS01_PREFIX,
		d->name, d->acme_dns_fqdn, &e) == -1) {
		run_fail(r, &e);
		return;
	}
	put_values(r);
	snprintf(d->acme_dns_account, sizeof(d->acme_dns_account), "%s",
	    ca_thumbprint(r->ca));
	d->acme_dns_until = r->order.expires;
	dns01_present(r->driver->dns01, d, present, r);
	if (r->driver->waits != NULL)
		r->driver->waits(r->arg);
}

/* Records that stay are for people: a provider does not mind a new one. */
static void
asked(void *arg, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL && strcmp(e->type, DNS01_BY_HAND) != 0) {
		present(r, e);
		return;
	}
	if (e != NULL)
		order_persist(&r->order);
	present_all(r);
}

void
run_present(struct run *r)
{
	if (order_can_persist(&r->order))
		dns01_ask(r->driver->dns01, r->d, asked, r);
	else
		present_all(r);
}
