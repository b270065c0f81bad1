/*
 * Intake: wildcards whose TXT record a person makes.  Until it is there the order
 * waits, in the journal, and costs a look at the name servers now and then.
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "sync/dns01.h"
#include "sync/driver.h"
#include "sync/intake_impl.h"

#define RECORD_TTL 120

void
work_forget_record(struct domain *d)
{
	if (d->acme_dns_value[0] != '\0')
		d->action[0] = '\0';
	d->acme_dns_fqdn[0] = d->acme_dns_value[0] = '\0';
	d->acme_dns_account[0] = '\0';
	d->acme_dns_until = 0;
}

/* NAME TTL TYPE VALUE, of each record; as in a zone file. */
static void
put_action(struct domain *d)
{
	const char *text = d->acme_dns_value, *value, *quote;
	size_t n = 0, len;

	d->action[0] = '\0';
	while (*text != '\0' && n < sizeof(d->action)) {
		value = text;
		len = dns01_next_value(&text);
		quote = memchr(value, ' ', len) != NULL ? "\"" : "";
		n += (size_t)snprintf(d->action + n, sizeof(d->action) - n,
		    "%s%s %d TXT %s%.*s%s", n > 0 ? "; " : "", d->acme_dns_fqdn,
		    RECORD_TTL, quote, (int)len, value, quote);
	}
}

/* It is looked for soon again; nothing has failed. */
static void
wait_for_record(struct work *w, const char *why, bool news)
{
	struct domain *d = &w->d;
	char reason[sizeof(d->reason)];

	snprintf(reason, sizeof(reason), "%s: %.200s",
	    d->version > 0 ? "renewal waits for the TXT record"
			   : "waiting for the TXT record",
	    why);
	if (work_say(d, DOMAIN_ACTION_REQUIRED, reason))
		news = true;
	work_put_down(w, loop_wall_ms() + w->in->conf->dns.record_interval_ms,
	    news ? "status" : NULL);
}

void
work_take_record(struct work *w, const struct domain *d, const char *why)
{
	bool news = strcmp(w->d.acme_dns_value, d->acme_dns_value) != 0;

	lanes_leave(&w->in->lanes, &w->lane);
	intake_next_orders(w->in);
	memcpy(
	    w->d.acme_dns_fqdn, d->acme_dns_fqdn, sizeof(w->d.acme_dns_fqdn));
	memcpy(w->d.acme_dns_value, d->acme_dns_value,
	    sizeof(w->d.acme_dns_value));
	memcpy(w->d.acme_dns_account, d->acme_dns_account,
	    sizeof(w->d.acme_dns_account));
	w->d.acme_dns_until = d->acme_dns_until;
	put_action(&w->d);
	log_info("domain=%s txt=%s value=\"%s\" by hand: %s", w->name,
	    d->acme_dns_fqdn, d->acme_dns_value, why);
	wait_for_record(w, why, news);
}

static void
looked(void *arg, const struct err *e)
{
	struct work *w = arg;

	if (e == NULL)
		work_certificate(w);
	else
		wait_for_record(w, e->text, false);
}

/*
 * Only the name servers are asked, unless the value is not the CA's any more:
 * its order has ended, or the account has another key.
 */
void
work_record(struct work *w)
{
	const struct domain *d = &w->d;

	if ((d->acme_dns_until > 0 && loop_wall_ms() >= d->acme_dns_until) ||
	    !driver_has_account(w->in->driver, d->acme_dns_account))
		work_certificate(w);
	else
		dns01_look(w->in->dns01, d, looked, w);
}
