#include "sync/issuer.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/challenge.h"
#include "sync/check.h"
#include "sync/driver.h"
#include "sync/intake.h"
#include "sync/limits.h"
#include "sync/revoke.h"
#include "sync/roster.h"
#include "sync/store.h"

#define AGAIN_MS 1000 /* the account could not be read or written */

struct issuer {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct ca *ca;
	struct roster *roster;
	struct challenges *challenges;
	struct checks *checks;
	struct limits *limits;
	struct driver *driver;
	struct revokes *revokes;
	struct intake *intake;
	struct event *again;
	char *account_key; /* of the CA account, while leading */
	int64_t epoch;     /* 0: asleep */
};

static void load_account(void *);

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
	struct issuer *is = arg;
	struct err e;

	if (is->account_key != NULL &&
	    store_account_put(is->store, is->conf->acme.directory,
		is->account_key, url, url_saved, is, &e) == -1)
		log_error("account: %s", e.text);
}

struct issuer *
issuer_new(struct event_base *base, const struct conf *conf,
    const struct seal_ring *ring, struct skew *skew, struct store *store,
    struct http *http, struct resolve *resolve)
{
	struct issuer *is = xcalloc(1, sizeof(*is));

	is->base = base;
	is->conf = conf;
	is->store = store;
	is->ca = ca_new(base, http, conf, on_account, is);
	ca_tell_skew(is->ca, skew);
	is->roster = roster_new(base, store);
	is->challenges = challenges_new(base, conf, store, is->roster);
	is->checks = checks_new(base, conf, resolve, http, store);
	is->limits = limits_new(base, conf, store);
	is->driver = driver_new(
	    base, conf, ring, store, is->ca, is->challenges, is->limits);
	is->intake = intake_new(base, conf, skew, store, is->checks, is->driver,
	    is->ca, is->roster);
	is->revokes = revokes_new(store, ring, is->ca);
	intake_revokes(is->intake, is->revokes);
	return is;
}

void
issuer_platform(struct issuer *is, const struct platform *platform)
{
	intake_platform(is->intake, platform);
}

void
issuer_free(struct issuer *is)
{
	if (is == NULL)
		return;
	issuer_stop(is);
	intake_free(is->intake);
	revokes_free(is->revokes);
	driver_free(is->driver);
	limits_free(is->limits);
	checks_free(is->checks);
	challenges_free(is->challenges);
	roster_free(is->roster);
	ca_free(is->ca);
	loop_timer_free(&is->again);
	free(is);
}

/* What was spent is known: orders may be made. */
static void
limits_known(void *arg, const struct err *e)
{
	struct issuer *is = arg;

	(void)e;
	intake_start(is->intake, is->epoch);
}

static void
use_account(struct issuer *is, const char *url)
{
	struct err e;

	if (ca_set_account(is->ca, is->account_key, url, &e) == -1) {
		log_error("account: %s", e.text);
		return;
	}
	store_thumbprint(is->store, ca_thumbprint(is->ca));
	limits_start(is->limits, limits_known, is);
}

static void
try_later(struct issuer *is, const char *what)
{
	log_warn("account: %s; again in %d ms", what, AGAIN_MS);
	loop_after(is->base, &is->again, AGAIN_MS, load_account, is);
}

static void
key_saved(void *arg, const struct err *e)
{
	struct issuer *is = arg;

	if (e != NULL)
		try_later(is, e->text);
	else
		use_account(is, "");
}

/* The key is in Redis before the CA hears of it: no account is ever lost. */
static void
new_account(struct issuer *is)
{
	struct err e;

	is->account_key = cert_key_new();
	if (store_account_put(is->store, is->conf->acme.directory,
		is->account_key, "", key_saved, is, &e) == -1)
		log_error("account: %s", e.text);
}

static void
got_account(
    void *arg, const char *key_pem, const char *url, const struct err *e)
{
	struct issuer *is = arg;

	if (e != NULL) {
		try_later(is, e->text);
		return;
	}
	mem_wipe_free(is->account_key);
	is->account_key = NULL;
	if (key_pem[0] == '\0') {
		new_account(is);
		return;
	}
	is->account_key = xstrdup(key_pem);
	use_account(is, url);
}

static void
load_account(void *arg)
{
	struct issuer *is = arg;

	store_account(is->store, is->conf->acme.directory, got_account, is);
}

void
issuer_start(struct issuer *is, int64_t epoch)
{
	is->epoch = epoch;
	load_account(is);
}

void
issuer_stop(struct issuer *is)
{
	is->epoch = 0;
	loop_cancel(is->again);
	store_forget(is->store, is);
	intake_stop(is->intake);
	limits_stop(is->limits);
	mem_wipe_free(is->account_key);
	is->account_key = NULL;
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
	roster_stale(is->roster);
	intake_ack(is->intake, text);
}
