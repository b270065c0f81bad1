/* TXT records that a provider has made for us: the journal, and their end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/accesses.h"
#include "sync/dialogue.h"
#include "sync/dns01_impl.h"
#include "sync/store_txt.h"

#define REMOVE_FIRST_MS 5000        /* then twice as long each time... */
#define REMOVE_MAX_MS (3600 * 1000) /* ...up to this... */
#define REMOVE_UNTIL_MS (7 * 24 * 3600 * INT64_C(1000)) /* ...and this old */

static void forget(void *);
static void remove_now(void *);
static void read_journal(void *);

static struct made *
find(struct dns01 *all, const char *key)
{
	struct made *m;

	HASH_FIND_STR(all->made, key, m);
	return m;
}

struct made *
made_get(struct dns01 *all, const struct txt *txt)
{
	char key[TXT_KEY_MAX];
	struct made *m;

	txt_key(txt, key);
	if ((m = find(all, key)) != NULL)
		return m;
	m = xcalloc(1, sizeof(*m));
	m->all = all;
	m->txt = *txt;
	m->rec.step = PROVIDER_DONE;
	memcpy(m->key, key, sizeof(m->key));
	HASH_ADD_STR(all->made, key, m);
	return m;
}

static void
put_down(struct made *m)
{
	txt_record_clear(&m->rec);
	if (m->access != NULL)
		access_release(m->access);
	m->access = NULL;
}

static void
made_free(struct made *m)
{
	struct dns01 *all = m->all;

	HASH_DEL(all->made, m);
	dialogue_cancel(all->dialogues, m->dialogue);
	access_cancel(all->accesses, m);
	store_forget(all->store, m);
	put_down(m);
	txt_clear(&m->txt);
	loop_timer_free(&m->timer);
	free(m);
}

bool
made_take(struct made *m)
{
	if (m->dialogue != 0 || m->presented)
		return false;
	loop_cancel(m->timer);
	access_cancel(m->all->accesses, m);
	store_forget(m->all->store, m);
	put_down(m);
	m->removing = false;
	m->presented = true;
	return true;
}

/* --- removal ------------------------------------------------------------------------ */

static void
dropped(void *arg, const struct err *e)
{
	struct made *m = arg;

	if (e == NULL)
		made_free(m);
	else
		loop_after(m->all->base, &m->timer, REMOVE_FIRST_MS, forget, m);
}

/* It is gone, and so is its entry when Redis has heard that. */
static void
forget(void *arg)
{
	struct made *m = arg;

	put_down(m);
	store_txt_drop(m->all->store, &m->txt, dropped, m);
}

static void
try_again(struct made *m, const struct err *e)
{
	int64_t pause = REMOVE_FIRST_MS << (m->tries < 10 ? m->tries : 10);

	put_down(m);
	m->tries++;
	if (pause > REMOVE_MAX_MS)
		pause = REMOVE_MAX_MS;
	if (e->retry_ms > pause)
		pause = e->retry_ms;
	if (loop_wall_ms() - m->txt.at > REMOVE_UNTIL_MS) {
		log_warn("domain=%s txt=%s stays there, please remove it: %s",
		    m->txt.domain, m->txt.fqdn, e->text);
		forget(m);
		return;
	}
	log_warn("domain=%s txt=%s not removed, again in %lld s: %s",
	    m->txt.domain, m->txt.fqdn, (long long)pause / 1000, e->text);
	loop_after(m->all->base, &m->timer, pause, remove_now, m);
}

static void
removed(void *arg, struct txt_record *rec, const struct err *e)
{
	struct made *m = arg;

	(void)rec;
	m->dialogue = 0;
	if (e != NULL) {
		if (e->kind == ERR_CONFIG || e->kind == ERR_REFUSED)
			m->as_made = !m->as_made;
		try_again(m, e);
		return;
	}
	log_info("domain=%s txt=%s provider=%s removed", m->txt.domain,
	    m->txt.fqdn, m->txt.provider);
	forget(m);
}

/*
 * The variables that it was made with, when the app has none or those of
 * another provider now; and in turn with the new ones when these do not do.
 */
static struct access *
choose(struct made *m, struct access *now)
{
	struct access *old;
	struct err e;

	if (m->txt.sealed == NULL ||
	    (now != NULL && !m->as_made &&
		strcmp(access_of(now)->provider->name, m->txt.provider) == 0))
		return now;
	old = access_open(m->all->accesses, m->txt.app, m->txt.sealed, &e);
	if (old == NULL)
		return now;
	access_release(now);
	return old;
}

/* What another provider than now has said of the zone is worth nothing. */
static void
got_access(void *arg, struct access *access, const struct err *e)
{
	struct made *m = arg;
	struct txt_record *rec = &m->rec;
	struct err none;

	if (e == NULL || e->kind == ERR_CONFIG)
		m->access = choose(m, access);
	if (e == NULL && m->access == NULL) {
		err_set(&none, ERR_CONFIG, "the app has no DNS provider now");
		e = &none;
	}
	if (m->access == NULL) {
		try_again(m, e);
		return;
	}
	txt_record_clear(rec);
	rec->access = access_of(m->access);
	snprintf(rec->fqdn, sizeof(rec->fqdn), "%s", m->txt.fqdn);
	snprintf(rec->value, sizeof(rec->value), "%s", m->txt.value);
	if (strcmp(rec->access->provider->name, m->txt.provider) == 0) {
		snprintf(rec->zone, sizeof(rec->zone), "%s", m->txt.zone);
		snprintf(
		    rec->zone_id, sizeof(rec->zone_id), "%s", m->txt.zone_id);
		snprintf(rec->record_id, sizeof(rec->record_id), "%s",
		    m->txt.record_id);
	}
	m->dialogue =
	    dialogue_run(m->all->dialogues, rec, PROVIDER_REMOVE, removed, m);
}

static void
remove_now(void *arg)
{
	struct made *m = arg;

	access_get(m->all->accesses, m->txt.app, got_access, m);
}

void
made_remove(struct made *m)
{
	if (m->removing || m->presented)
		return;
	m->removing = true;
	m->tries = 0;
	loop_after(m->all->base, &m->timer, 0, remove_now, m);
}

void
made_forget(struct made *m)
{
	m->removing = true;
	loop_after(m->all->base, &m->timer, 0, forget, m);
}

void
dns01_withdraw(struct dns01 *all, const char *name)
{
	struct made *m, *next;

	HASH_ITER (hh, all->made, m, next)
		if (strcmp(m->txt.domain, name) == 0)
			made_remove(m);
}

void
made_keep_only(
    struct dns01 *all, const char *domain, char *const *value, size_t n)
{
	struct made *m, *next;
	bool wanted;

	HASH_ITER (hh, all->made, m, next) {
		wanted = false;
		for (size_t i = 0; i < n; i++)
			if (strcmp(m->txt.value, value[i]) == 0)
				wanted = true;
		if (!wanted && strcmp(m->txt.domain, domain) == 0)
			made_remove(m);
	}
}

/* --- what was left --------------------------------------------------------------- */

/* Without an order in flight nobody needs it. */
static void
got_order(void *arg, const struct store_order *o, const struct err *e)
{
	if (e == NULL && o->step[0] == '\0')
		made_remove(arg);
}

/* Read again: who led before us may have been late with an entry. */
static void
sweep(struct dns01 *all)
{
	struct made *m, *next;

	HASH_ITER (hh, all->made, m, next)
		if (!m->presented && !m->removing)
			store_order(all->store, m->txt.domain, got_order, m);
	loop_after(all->base, &all->sweep, all->conf->dns.record_interval_ms,
	    read_journal, all);
}

static void
got_journal(void *arg, const char *const *texts, size_t n, const struct err *e)
{
	struct dns01 *all = arg;
	struct made *m;
	struct txt txt;
	struct err bad;

	if (e != NULL) {
		log_warn("journal of TXT records: %s", e->text);
		loop_after(all->base, &all->sweep,
		    all->conf->dns.record_interval_ms, read_journal, all);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		m = NULL;
		if (txt_read(&txt, texts[i], &bad) == -1) {
			log_warn("%s", bad.text);
		} else {
			m = made_get(all, &txt);
			m->perhaps = true;
		}
		if (m == NULL || m->txt.sealed != txt.sealed)
			txt_clear(&txt);
	}
	sweep(all);
}

static void
read_journal(void *arg)
{
	struct dns01 *all = arg;

	store_txts(all->store, got_journal, all);
}

void
made_start(struct dns01 *all)
{
	loop_after(all->base, &all->sweep, 0, read_journal, all);
}

void
made_stop(struct dns01 *all)
{
	struct made *m, *next;

	loop_cancel(all->sweep);
	store_forget(all->store, all);
	HASH_ITER (hh, all->made, m, next)
		made_free(m);
}
