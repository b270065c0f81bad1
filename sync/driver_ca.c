/* Which CA an order is at, what is wanted of it there, and when the next is. */
#include <stdbool.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "sync/ari.h"
#include "sync/ca.h"
#include "sync/driver_impl.h"
#include "sync/platform.h"
#include "sync/renew.h"

/* The CA that an order is at; the first one when there is no order yet. */
struct ca *
run_ca_of(const struct driver *dr, const char *url)
{
	if (url[0] != '\0' && dr->fallback != NULL && !ca_owns(dr->ca, url) &&
	    ca_owns(dr->fallback, url))
		return dr->fallback;
	return dr->ca;
}

bool
driver_has_account(const struct driver *dr, const char *thumbprint)
{
	return strcmp(ca_thumbprint(dr->ca), thumbprint) == 0 ||
	       (dr->fallback != NULL &&
		   strcmp(ca_thumbprint(dr->fallback), thumbprint) == 0);
}

static const char *
or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* What is wanted of an order is said in the settings of its CA. */
void
run_use_ca(struct run *r, struct ca *ca)
{
	const struct conf *c = r->driver->conf;
	bool second = ca == r->driver->fallback;

	r->ca = ca;
	r->order.profile =
	    or_null(second ? c->acme_fallback.profile : c->acme.profile);
	r->order.preferred = or_null(second ? c->acme_fallback.preferred_chain
					    : c->acme.preferred_chain);
	r->order.replaces =
	    ari_replaces(r->d, ca_directory(ca), r->first.len > 0);
	/* Of two certificates the window that is known is either one's. */
	r->order.ari_renewal = r->order.replaces != NULL &&
	                       r->d->ari_id_second[0] == '\0' &&
	                       ari_within(r->d, loop_wall_ms());
}

/* What the CA counts of the order; at a CA we come from, renewals are known. */
void
run_new_ticket(struct run *r, int64_t journal_ms)
{
	const char *directory = ca_directory(r->ca);
	const char *was = ari_ca(r->d, r->first.len > 0);

	limits_ticket(&r->ticket, r->d, directory, journal_ms);
	if (r->order.ari_renewal)
		r->ticket.kind = LIMIT_ARI;
	else if (was[0] != '\0' && strcmp(was, directory) != 0)
		r->ticket.kind = LIMIT_NEW;
	r->spent = false;
}

void
run_check_window(struct run *r)
{
	if (!r->order.ari_renewal || ari_within(r->d, loop_wall_ms()))
		return;
	r->order.ari_renewal = false;
	run_new_ticket(r, 0);
}

void
run_new_order(struct run *r)
{
	char own[DOMAIN_NAME_MAX];

	order_clear(&r->order);
	r->order.names[0] = r->d->name;
	r->order.nnames = 1;
	platform_wildcard(r->driver->conf, own);
	if (strcmp(r->d->name, own) == 0)
		r->order.names[r->order.nnames++] =
		    r->driver->conf->platform_domain;
	r->url_saved = false;
	r->furthest = ORDER_NEW;
	r->tries = 0;
}

/* Is there a second CA for this domain, and the order not there already? */
static bool
has_fallback(const struct run *r)
{
	const struct ca *ca = r->driver->fallback;

	return ca != NULL && r->ca != ca && ca_thumbprint(ca)[0] != '\0' &&
	       r->d->version > 0 && r->not_second[0] == '\0';
}

/* No pause reaches beyond the moment from which the second CA may be used. */
int64_t
run_until_fallback(const struct run *r, int64_t pause)
{
	int64_t left = renew_last_tenth(r->d) - loop_wall_ms();

	return has_fallback(r) && left > 0 && left < pause ? left : pause;
}

/*
 * The first CA is away, and the certificate ends soon: a new order at the
 * second one.  What the journal says of the first one's is overwritten.
 */
bool
run_try_fallback(struct run *r, const struct err *e)
{
	struct ca *ca = r->driver->fallback;
	const struct domain *d = r->d;
	struct err why = *e;

	if (e->kind != ERR_AGAIN || !has_fallback(r) ||
	    loop_wall_ms() < renew_last_tenth(d))
		return false;
	log_warn("domain=%s ca=%s: %s; its certificate ends soon, so the order "
		 "goes to ca=%s",
	    d->name, ca_directory(r->ca), e->text, ca_directory(ca));
	if (r->order.state == ORDER_NEW)
		limits_refused(r->driver->limits, &r->ticket, true, "",
		    run_own(r)->action, sizeof(r->d->action), &why);
	run_unpublish(r);
	run_withdraw(r);
	run_new_order(r);
	run_use_ca(r, ca);
	run_new_ticket(r, 0);
	run_journal(r, "*", "new", "", NULL);
	return true;
}
