#include "sync/dns01.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/accesses.h"
#include "sync/authority.h"
#include "sync/dialogue.h"
#include "sync/dns01_impl.h"
#include "sync/store_txt.h"
#include "sync/visible.h"

#define BUSY_MS 200 /* the same record is being removed */
#define SOON_MS 500 /* the second look; then less often, as its provider says */

enum what {
	PRESENT = 0,
	LOOK, /* and make nothing */
	ASK,  /* who would make it */
};

/* One or two values at one name, until all servers show them. */
struct presence {
	LIST_ENTRY(presence) link;
	struct dns01 *all;
	dns01_fn *fn;
	void *arg;
	char domain[DOMAIN_NAME_MAX], app[DOMAIN_APP_MAX];
	char fqdn[DOMAIN_NAME_MAX];
	char values[sizeof(((struct domain *)0)->acme_dns_value)];
	char *value[DNS01_VALUES_MAX]; /* in values */
	size_t n;
	enum what what;
	struct access *access;
	uint64_t looking;
	char name[DOMAIN_NAME_MAX], zone[DOMAIN_NAME_MAX]; /* as DNS says */
	size_t next;                                       /* value to make */
	struct made *made; /* that is being made */
	int64_t deadline;  /* for the servers; 0: not all are made yet */
	int64_t pause_ms;  /* between two looks */
	struct event *timer;
	struct err result;
	struct err elsewhere; /* what its provider says of a CNAME's target */
};

static void look(void *);
static void make_next(void *);

struct dns01 *
dns01_new(struct event_base *base, const struct conf *conf, struct store *store,
    struct authorities *authorities, struct accesses *accesses,
    struct dialogues *dialogues)
{
	struct dns01 *all = xcalloc(1, sizeof(*all));

	all->base = base;
	all->conf = conf;
	all->store = store;
	all->authorities = authorities;
	all->accesses = accesses;
	all->dialogues = dialogues;
	LIST_INIT(&all->presences);
	return all;
}

static void
made_leave(struct presence *p)
{
	struct made *m = p->made;

	if (m == NULL)
		return;
	m->perhaps |= m->dialogue != 0;
	dialogue_cancel(p->all->dialogues, m->dialogue);
	m->dialogue = 0;
	txt_record_clear(&m->rec);
	m->presented = false;
	p->made = NULL;
}

static void
presence_free(struct presence *p)
{
	LIST_REMOVE(p, link);
	made_leave(p);
	access_cancel(p->all->accesses, p);
	if (p->access != NULL)
		access_release(p->access);
	authority_cancel(p->all->authorities, p->looking);
	store_forget(p->all->store, p);
	loop_timer_free(&p->timer);
	free(p);
}

void
dns01_start(struct dns01 *all)
{
	made_start(all);
}

void
dns01_stop(struct dns01 *all)
{
	while (!LIST_EMPTY(&all->presences))
		presence_free(LIST_FIRST(&all->presences));
	made_stop(all);
}

void
dns01_free(struct dns01 *all)
{
	if (all == NULL)
		return;
	dns01_stop(all);
	loop_timer_free(&all->sweep);
	free(all);
}

void
dns01_cancel(struct dns01 *all, const void *arg)
{
	struct presence *p, *next;

	for (p = LIST_FIRST(&all->presences); p != NULL; p = next) {
		next = LIST_NEXT(p, link);
		if (p->arg == arg)
			presence_free(p);
	}
}

int
dns01_fqdn(const char *prefix, const char *name,
    char fqdn[static DOMAIN_NAME_MAX], struct err *e)
{
	int n =
	    snprintf(fqdn, DOMAIN_NAME_MAX, "%s%s", prefix, domain_base(name));

	if (n < 0 || n >= DOMAIN_NAME_MAX)
		return err_set(e, ERR_REFUSED,
		    "the name is too long for a TXT record below it; at most "
		    "%zu characters are possible",
		    DOMAIN_NAME_MAX - 1 - strlen(prefix));
	return 0;
}

/* What has parameters has blanks of its own. */
size_t
dns01_next_value(const char **text)
{
	const char *value = *text;
	size_t len =
	    strchr(value, ';') != NULL ? strlen(value) : strcspn(value, " ");

	*text = value + len + (value[len] == ' ');
	return len;
}

static void
tell(struct presence *p, const struct err *e)
{
	dns01_fn *fn = p->fn;
	void *arg = p->arg;
	struct err copy;

	if (e != NULL)
		copy = *e;
	presence_free(p);
	fn(arg, e != NULL ? &copy : NULL);
}

static void
tell_later(void *arg)
{
	struct presence *p = arg;

	tell(p, &p->result);
}

/* --- is it there? --------------------------------------------------------------- */

static void
by_hand(struct presence *p, const char *why)
{
	struct err e;

	err_set(&e, ERR_REFUSED, "%s", why);
	snprintf(e.type, sizeof(e.type), "%s", DNS01_BY_HAND);
	tell(p, &e);
}

static void
got_look(void *arg, const struct authority_answer *answer)
{
	struct presence *p = arg;
	const struct provider *provider;
	char why[200] = "";
	struct err e;

	p->looking = 0;
	if (visible(answer, p->value, p->n, why, sizeof(why)) == 1) {
		tell(p, NULL);
		return;
	}
	if (p->access == NULL) {
		by_hand(p, why);
		return;
	}
	provider = access_of(p->access)->provider;
	if (p->deadline == 0 && answer->zone[0] == '\0') {
		/* Where should it be made? */
		err_set(&e, ERR_AGAIN, "%s", why);
		tell(p, &e);
	} else if (p->deadline == 0) {
		snprintf(p->name, sizeof(p->name), "%.253s", answer->name);
		snprintf(p->zone, sizeof(p->zone), "%.253s", answer->zone);
		make_next(p);
	} else if (loop_now_ms() > p->deadline) {
		err_set(&e, ERR_AGAIN,
		    "made by %s, but not seen within %lld s: %s",
		    provider->name, (long long)provider->limit_ms / 1000, why);
		tell(p, &e);
	} else {
		log_debug(
		    "domain=%s txt=%s waits: %s", p->domain, p->name, why);
		p->pause_ms = p->pause_ms > 0 ? 2 * p->pause_ms : SOON_MS;
		if (p->pause_ms > provider->poll_ms)
			p->pause_ms = provider->poll_ms;
		loop_after(p->all->base, &p->timer, p->pause_ms, look, p);
	}
}

static void
look(void *arg)
{
	struct presence *p = arg;

	p->looking = authority_look(p->all->authorities, p->fqdn, got_look, p);
}

static void
got_access(void *arg, struct access *access, const struct err *e)
{
	struct presence *p = arg;

	p->access = access;
	if (e != NULL)
		tell(p, e);
	else if (p->what != PRESENT && access != NULL)
		tell(p, NULL);
	else if (p->what == ASK)
		by_hand(p, "");
	else
		look(p);
}

/* --- making it ------------------------------------------------------------------- */

/*
 * A CNAME leads to a zone that is not in the account: it is perhaps one of
 * *.shop.example, which ends where a record has the name itself.
 */
static bool
can_stay_home(const struct presence *p, const struct err *e)
{
	return (e->kind == ERR_REFUSED || e->kind == ERR_CONFIG) &&
	       p->next == 0 && strcmp(p->name, p->fqdn) != 0;
}

/* Who delegates has to hear of the target, whatever is at home. */
static void
tell_both(struct presence *p, const struct err *e)
{
	struct err both = *e;

	if (p->elsewhere.kind != ERR_NONE &&
	    strcmp(p->elsewhere.text, e->text) != 0)
		err_set(&both, e->kind, "%.120s; nor without the CNAME: %.110s",
		    p->elsewhere.text, e->text);
	both.retry_ms = e->retry_ms;
	tell(p, &both);
}

static void
not_created(struct presence *p, const struct err *e, bool has_zone)
{
	struct made *m = p->made;

	made_leave(p);
	m->perhaps |= has_zone;
	if (!m->perhaps)
		made_forget(m);
	if (has_zone || !can_stay_home(p, e)) {
		tell_both(p, e);
		return;
	}
	p->elsewhere = *e;
	memcpy(p->name, p->fqdn, sizeof(p->name));
	p->zone[0] = '\0';
	make_next(p);
}

static void
created(void *arg, struct txt_record *rec, const struct err *e)
{
	struct presence *p = arg;
	struct made *m = p->made;

	m->dialogue = 0;
	if (e != NULL) {
		not_created(p, e, rec->zone[0] != '\0');
		return;
	}
	m->perhaps = true;
	log_info("domain=%s txt=%s provider=%s made", p->domain, p->name,
	    m->txt.provider);
	snprintf(m->txt.zone, sizeof(m->txt.zone), "%s", rec->zone);
	snprintf(m->txt.zone_id, sizeof(m->txt.zone_id), "%s", rec->zone_id);
	snprintf(
	    m->txt.record_id, sizeof(m->txt.record_id), "%s", rec->record_id);
	store_txt_put(p->all->store, &m->txt, NULL, NULL);
	made_leave(p);
	p->next++;
	make_next(p);
}

static void
journalled(void *arg, const struct err *e)
{
	struct presence *p = arg;
	struct made *m = p->made;

	if (e != NULL) {
		tell(p, e);
		return;
	}
	txt_record_clear(&m->rec);
	m->rec.access = access_of(p->access);
	snprintf(m->rec.fqdn, sizeof(m->rec.fqdn), "%s", p->name);
	snprintf(m->rec.value, sizeof(m->rec.value), "%s", m->txt.value);
	snprintf(m->rec.soa_zone, sizeof(m->rec.soa_zone), "%s", p->zone);
	m->dialogue = dialogue_run(
	    p->all->dialogues, &m->rec, PROVIDER_CREATE, created, p);
}

static void
make_next(void *arg)
{
	struct presence *p = arg;
	const struct provider *provider = access_of(p->access)->provider;
	struct txt txt = { .at = loop_wall_ms() };
	struct made *m;

	if (p->next < p->n && strlen(p->value[p->next]) >= TXT_VALUE_MAX) {
		err_set(&p->result, ERR_BUG,
		    "a value for a TXT record is longer than a digest");
		tell_later(p);
		return;
	}
	if (p->next == p->n) {
		p->deadline = loop_now_ms() + provider->limit_ms;
		look(p);
		return;
	}
	snprintf(txt.domain, sizeof(txt.domain), "%s", p->domain);
	snprintf(txt.app, sizeof(txt.app), "%s", p->app);
	snprintf(txt.provider, sizeof(txt.provider), "%s", provider->name);
	snprintf(txt.fqdn, sizeof(txt.fqdn), "%s", p->name);
	snprintf(txt.value, sizeof(txt.value), "%s", p->value[p->next]);
	m = made_get(p->all, &txt);
	if (!made_take(m)) {
		loop_after(p->all->base, &p->timer, BUSY_MS, make_next, p);
		return;
	}
	txt_clear(&m->txt);
	m->txt = txt;
	m->txt.sealed = access_sealed(p->access);
	p->made = m;
	store_txt_put(p->all->store, &m->txt, journalled, p);
}

/* --- begin ------------------------------------------------------------------------- */

static bool
take_values(struct presence *p, const struct domain *d)
{
	const char *text = d->acme_dns_value;
	char *out = p->values;
	size_t len;

	memcpy(p->values, d->acme_dns_value, sizeof(p->values));
	while (*text != '\0' && p->n < DNS01_VALUES_MAX) {
		out = p->values + (text - d->acme_dns_value);
		len = dns01_next_value(&text);
		out[len] = '\0';
		p->value[p->n++] = out;
	}
	return *text == '\0';
}

static void
begin(struct dns01 *all, const struct domain *d, enum what what, dns01_fn *fn,
    void *arg)
{
	struct presence *p = xcalloc(1, sizeof(*p));

	p->all = all;
	p->fn = fn;
	p->arg = arg;
	p->what = what;
	memcpy(p->domain, d->name, sizeof(p->domain));
	memcpy(p->app, d->app, sizeof(p->app));
	memcpy(p->fqdn, d->acme_dns_fqdn, sizeof(p->fqdn));
	LIST_INSERT_HEAD(&all->presences, p, link);
	if (!take_values(p, d)) {
		err_set(&p->result, ERR_BUG,
		    "more than %d values for a TXT record", DNS01_VALUES_MAX);
		loop_after(all->base, &p->timer, 0, tell_later, p);
		return;
	}
	if (what == PRESENT)
		made_keep_only(all, p->domain, p->value, p->n);
	access_get(all->accesses, p->app, got_access, p);
}

void
dns01_present(
    struct dns01 *all, const struct domain *d, dns01_fn *fn, void *arg)
{
	begin(all, d, PRESENT, fn, arg);
}

void
dns01_look(struct dns01 *all, const struct domain *d, dns01_fn *fn, void *arg)
{
	begin(all, d, LOOK, fn, arg);
}

void
dns01_ask(struct dns01 *all, const struct domain *d, dns01_fn *fn, void *arg)
{
	begin(all, d, ASK, fn, arg);
}
