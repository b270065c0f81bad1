#include "sync/issuer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/accesses.h"
#include "sync/authority.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/challenge.h"
#include "sync/check.h"
#include "sync/deadman.h"
#include "sync/dialogue.h"
#include "sync/dns01.h"
#include "sync/driver.h"
#include "sync/http.h"
#include "sync/intake.h"
#include "sync/limits.h"
#include "sync/muster.h"
#include "sync/outbox.h"
#include "sync/platform.h"
#include "sync/renewal_info.h"
#include "sync/replicas.h"
#include "sync/revoke.h"
#include "sync/rollover.h"
#include "sync/roster.h"
#include "sync/store.h"

#define AGAIN_MS 1000 /* the account could not be read or written */
#define REMEMBER_MS 600000

struct issuer;

/* Who we are at one of the CAs. */
struct account {
	struct issuer *is;
	struct ca *ca;
	struct event *again;
	char *key;             /* while leading */
	char *url;             /* of the one that Redis has lost, else NULL */
	int64_t remembered_at; /* a copy was made last, 0: there is none */
	bool asking;           /* for it */
};

struct issuer {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct http *fallback_http;
	/* The second one's ca is NULL when there is no second CA. */
	struct account first, second;
	struct roster *roster;
	struct challenges *challenges;
	struct checks *checks;
	struct limits *limits;
	struct authorities *authorities;
	struct accesses *accesses;
	struct dialogues *dialogues;
	struct dns01 *dns01;
	struct driver *driver;
	struct renewal_info *renewal_info;
	struct revokes *revokes;
	struct rollover *rollover;
	struct intake *intake;
	struct muster *muster;
	struct outbox *outbox; /* may be NULL */
	struct replicas *replicas;
	struct deadman *deadman;
	issuer_stalled_fn *stalled;
	void *stalled_arg;
	bool working;   /* intake has begun */
	uint64_t moved; /* when issuer_moves() was asked last */
	int64_t epoch;  /* 0: asleep */
};

static void load_account(void *);
static void rolled_over(void *, const char *key_pem, const char *url);

/* The CA has told the account's URL: keep it beside the key. */
static void
url_saved(void *arg, const struct err *e)
{
	(void)arg;
	if (e != NULL)
		log_warn("account not saved: %s; it is found again by its key",
		    e->text);
}

static void
on_account(void *arg, const char *url)
{
	struct account *a = arg;
	struct err e;

	if (a->key != NULL)
		outbox_put_account(
		    a->is->outbox, ca_directory(a->ca), a->key, url);
	if (a->key != NULL &&
	    store_account_put(a->is->store, ca_directory(a->ca), a->key, url,
		url_saved, a, &e) == -1)
		log_error("account: %s", e.text);
}

/* Its HTTPS may be trusted by other authorities than the first one's. */
static void
second_ca(struct issuer *is, struct skew *skew)
{
	const struct conf *conf = is->conf;
	const struct http_conf http = { .ca_file = conf->acme_fallback.ca_file,
		.max_in_flight = conf->acme.max_requests,
		.timeout_ms = conf->acme.request_timeout_ms };

	if (conf->acme_fallback.directory[0] == '\0')
		return;
	is->fallback_http = http_new(is->base, &http);
	is->second.is = is;
	is->second.ca = ca_new_fallback(
	    is->base, is->fallback_http, conf, on_account, &is->second);
	ca_tell_skew(is->second.ca, skew);
	driver_fallback(is->driver, is->second.ca);
}

/* Wildcards: TXT records, by providers or by hand. */
static void
prove_by_dns(struct issuer *is, struct authorities *authorities)
{
	is->authorities = authorities;
	is->accesses = accesses_new(is->base, is->store, is->conf);
	is->dialogues = dialogues_new(is->base, is->conf);
	is->dns01 = dns01_new(is->base, is->conf, is->store, is->authorities,
	    is->accesses, is->dialogues);
	driver_dns01(is->driver, is->dns01, intake_order_waits);
	intake_dns01(is->intake, is->dns01);
}

struct issuer *
issuer_new(struct event_base *base, const struct conf *conf,
    const struct seal_ring *ring, struct skew *skew, struct store *store,
    struct http *http, struct resolve *resolve, struct authorities *authorities,
    struct worker *worker)
{
	struct issuer *is = xcalloc(1, sizeof(*is));
	struct ca *ca = ca_new(base, http, conf, on_account, &is->first);

	is->base = base;
	is->conf = conf;
	is->store = store;
	is->first.is = is;
	is->first.ca = ca;
	ca_tell_skew(ca, skew);
	is->roster = roster_new(base, store);
	is->challenges = challenges_new(base, conf, store, is->roster);
	is->checks = checks_new(base, conf, resolve, http, store);
	is->limits = limits_new(base, conf, store, worker);
	is->driver =
	    driver_new(base, conf, ring, store, ca, is->challenges, is->limits);
	second_ca(is, skew);
	is->renewal_info = renewal_info_new(conf, ca, is->second.ca);
	is->intake = intake_new(base, conf, skew, store, is->checks, is->driver,
	    ca, is->roster, is->renewal_info);
	prove_by_dns(is, authorities);
	is->revokes = revokes_new(store, ring, ca, is->second.ca);
	intake_revokes(is->intake, is->revokes);
	is->rollover = rollover_new(base, conf, store, ca, rolled_over, is);
	return is;
}

void
issuer_platform(struct issuer *is, const struct platform *platform)
{
	intake_platform(is->intake, platform);
}

void
issuer_heal(struct issuer *is, const struct seal_ring *ring,
    struct watch *watch, const struct hold *hold, struct outbox *outbox)
{
	is->outbox = outbox;
	is->muster = muster_new(
	    is->base, is->conf, ring, is->store, watch, hold, outbox);
	is->replicas = replicas_new(is->base, is->conf, is->store, outbox);
	driver_outbox(is->driver, outbox);
	outbox_seal_anew(outbox, is->conf->acme.directory);
	outbox_seal_anew(outbox, is->conf->acme_fallback.directory);
}

/* Who has not even begun waits for what it needs to. */
static void
ask_state(void *arg, struct deadman_state *s)
{
	struct issuer *is = arg;

	intake_state(is->intake, s);
	if (!is->working)
		s->in_hand++;
}

static void
stalled(void *arg, size_t in_hand, int64_t for_ms, int times)
{
	struct issuer *is = arg;

	is->stalled(is->stalled_arg, in_hand, for_ms, times);
}

void
issuer_watched(struct issuer *is, issuer_stalled_fn *fn, void *arg)
{
	is->stalled = fn;
	is->stalled_arg = arg;
	is->deadman = deadman_new(is->base, is->conf, ask_state, stalled, is);
}

bool
issuer_moves(struct issuer *is)
{
	struct deadman_state s;
	bool moves;

	intake_state(is->intake, &s);
	moves = s.moved != is->moved;
	is->moved = s.moved;
	return moves;
}

void
issuer_free(struct issuer *is)
{
	if (is == NULL)
		return;
	issuer_stop(is);
	muster_free(is->muster);
	replicas_free(is->replicas);
	deadman_free(is->deadman);
	intake_free(is->intake);
	revokes_free(is->revokes);
	rollover_free(is->rollover);
	renewal_info_free(is->renewal_info);
	driver_free(is->driver);
	dns01_free(is->dns01);
	dialogues_free(is->dialogues);
	accesses_free(is->accesses);
	authorities_free(is->authorities);
	limits_free(is->limits);
	checks_free(is->checks);
	challenges_free(is->challenges);
	roster_free(is->roster);
	ca_free(is->first.ca);
	ca_free(is->second.ca);
	http_free(is->fallback_http);
	loop_timer_free(&is->first.again);
	loop_timer_free(&is->second.again);
	free(is);
}

static void
platform_added(void *arg, bool added, const struct err *e)
{
	struct issuer *is = arg;

	if (e != NULL)
		log_warn("platform certificate not asked for: %s", e->text);
	else if (added)
		intake_kick(is->intake);
}

/* The platform's own wildcard is a domain of the app that has its provider. */
static void
add_platform(struct issuer *is)
{
	struct domain d;

	domain_init(&d);
	platform_wildcard(is->conf, d.name);
	if (d.name[0] == '\0')
		return;
	snprintf(d.app, sizeof(d.app), "%s", is->conf->platform_app);
	d.status = DOMAIN_CREATING;
	snprintf(d.reason, sizeof(d.reason),
	    "the platform's own certificate, not ordered yet");
	d.created_at = d.status_at = d.next_at = loop_wall_ms();
	store_add(is->store, &d, platform_added, is);
}

/* What Redis had lost is back: orders may be made. */
static void
mustered(void *arg)
{
	struct issuer *is = arg;

	dns01_start(is->dns01);
	add_platform(is);
	is->working = true;
	intake_start(is->intake, is->epoch);
}

/* What was spent is known. */
static void
limits_known(void *arg, const struct err *e)
{
	struct issuer *is = arg;

	(void)e;
	muster_start(is->muster, is->epoch, mustered, is);
}

/* The account's key is settled: it is told, and work begins. */
static void
rolled_over(void *arg, const char *key_pem, const char *url)
{
	struct issuer *is = arg;

	if (key_pem != NULL) {
		mem_wipe_free(is->first.key);
		is->first.key = xstrdup(key_pem);
		outbox_put_account(
		    is->outbox, ca_directory(is->first.ca), key_pem, url);
	}
	store_thumbprint(is->store, ca_thumbprint(is->first.ca));
	limits_start(is->limits, limits_known, is);
}

static void
use_account(struct account *a, const char *url)
{
	struct issuer *is = a->is;
	struct err e;

	if (ca_set_account(a->ca, a->key, url, &e) == -1) {
		log_error("account: %s", e.text);
		return;
	}
	outbox_put_account(is->outbox, ca_directory(a->ca), a->key, url);
	if (a == &is->first)
		rollover_start(is->rollover);
}

static void
try_later(struct account *a, const char *what)
{
	log_warn("account: %s; again in %d ms", what, AGAIN_MS);
	loop_after(a->is->base, &a->again, AGAIN_MS, load_account, a);
}

static void
key_saved(void *arg, const struct err *e)
{
	struct account *a = arg;

	if (e != NULL)
		try_later(a, e->text);
	else
		use_account(a, a->url != NULL ? a->url : "");
}

/*
 * Redis has none: it has lost it, or there was none yet.  The key is in Redis
 * before the CA hears of it: no account is ever lost.
 */
static void
new_account(struct account *a)
{
	struct err e;

	free(a->url);
	if (outbox_get_account(
		a->is->outbox, ca_directory(a->ca), &a->url, &a->key))
		log_warn("account: Redis has lost it; ca=%s knows it by the "
			 "key that is still here",
		    ca_directory(a->ca));
	else
		a->key = cert_key_new();
	if (store_account_put(a->is->store, ca_directory(a->ca), a->key,
		a->url != NULL ? a->url : "", key_saved, a, &e) == -1)
		log_error("account: %s", e.text);
}

static void
got_account(
    void *arg, const char *key_pem, const char *url, const struct err *e)
{
	struct account *a = arg;

	if (e != NULL) {
		try_later(a, e->text);
		return;
	}
	mem_wipe_free(a->key);
	a->key = NULL;
	if (key_pem[0] == '\0') {
		new_account(a);
		return;
	}
	a->key = xstrdup(key_pem);
	use_account(a, url);
}

/* --- a copy, while another leads ------------------------------------------ */

static void
got_copy(void *arg, const char *key_pem, const char *url, const struct err *e)
{
	struct account *a = arg;

	a->asking = false;
	if (e != NULL || url[0] == '\0')
		return;
	outbox_put_account(a->is->outbox, ca_directory(a->ca), key_pem, url);
	a->remembered_at = loop_now_ms();
}

static void
remember(struct account *a)
{
	bool fresh = a->remembered_at != 0 &&
	             loop_now_ms() - a->remembered_at < REMEMBER_MS;

	if (a->ca == NULL || a->asking || fresh)
		return;
	a->asking = true;
	store_account(a->is->store, ca_directory(a->ca), got_copy, a);
}

void
issuer_remember(struct issuer *is)
{
	if (is->outbox == NULL || is->epoch != 0)
		return;
	remember(&is->first);
	remember(&is->second);
}

static void
load_account(void *arg)
{
	struct account *a = arg;

	store_forget(a->is->store, a);
	a->asking = false;
	store_account(a->is->store, ca_directory(a->ca), got_account, a);
}

void
issuer_start(struct issuer *is, int64_t epoch)
{
	is->epoch = epoch;
	replicas_start(is->replicas);
	deadman_start(is->deadman);
	load_account(&is->first);
	if (is->second.ca != NULL)
		load_account(&is->second);
}

static void
forget_account(struct account *a)
{
	if (a->is != NULL)
		store_forget(a->is->store, a);
	a->asking = false;
	a->remembered_at = 0;
	loop_cancel(a->again);
	mem_wipe_free(a->key);
	a->key = NULL;
	free(a->url);
	a->url = NULL;
}

void
issuer_muster(struct issuer *is)
{
	int64_t epoch = is->epoch;

	if (epoch == 0)
		return;
	issuer_stop(is);
	issuer_start(is, epoch);
}

/*
 * Orders in flight are put down: what is signed by the old key, or was published
 * with its thumbprint, is worth nothing afterwards.  They go on from the
 * journal.
 */
void
issuer_rollover(struct issuer *is)
{
	if (is->epoch == 0 || is->first.key == NULL)
		return;
	muster_stop(is->muster);
	intake_stop(is->intake);
	dns01_stop(is->dns01);
	limits_stop(is->limits);
	rollover_start(is->rollover);
}

void
issuer_stop(struct issuer *is)
{
	rollover_stop(is->rollover);
	replicas_stop(is->replicas);
	if (is->epoch != 0)
		outbox_unsure(is->outbox);
	deadman_stop(is->deadman);
	is->working = false;
	muster_stop(is->muster);
	is->epoch = 0;
	store_forget(is->store, is);
	challenges_leave(is->challenges);
	intake_stop(is->intake);
	dns01_stop(is->dns01);
	limits_stop(is->limits);
	forget_account(&is->first);
	forget_account(&is->second);
}

struct checks *
issuer_checks(struct issuer *is)
{
	return is->checks;
}

void
issuer_progress(const struct issuer *is, struct intake_progress *p)
{
	intake_progress(is->intake, p);
}

void
issuer_kick(struct issuer *is)
{
	intake_kick(is->intake);
}

void
issuer_ready(struct issuer *is, const char *text)
{
	challenge_ready(is->challenges, text);
}

void
issuer_ack(struct issuer *is, const char *text)
{
	const char *space = strchr(text, ' ');
	struct gens gens;

	roster_stale(is->roster);
	if (is->epoch != 0 && space != NULL &&
	    gens_parse(&gens, space + 1) == 0)
		outbox_acked(is->outbox, &gens);
	intake_ack(is->intake, text);
}
