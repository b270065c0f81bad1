#include "sync/rollover.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/conf.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/store.h"

#define AGAIN_MS 5000

struct rollover {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct ca *ca;
	rollover_fn *fn;
	void *arg;
	char *key_pem, *url; /* that follow */
	struct event *again;
};

static void roll(void *);
static void begin(void *);
static void begin_again(struct rollover *, const struct err *);
static void got(void *, bool asked, const char *key_pem, const struct err *);

struct rollover *
rollover_new(struct event_base *base, const struct conf *conf,
    struct store *store, struct ca *ca, rollover_fn *fn, void *arg)
{
	struct rollover *r = xcalloc(1, sizeof(*r));

	r->base = base;
	r->conf = conf;
	r->store = store;
	r->ca = ca;
	r->fn = fn;
	r->arg = arg;
	return r;
}

void
rollover_stop(struct rollover *r)
{
	loop_cancel(r->again);
	store_forget(r->store, r);
	ca_roll_cancel(r->ca);
	mem_wipe_free(r->key_pem);
	free(r->url);
	r->key_pem = r->url = NULL;
}

void
rollover_free(struct rollover *r)
{
	if (r == NULL)
		return;
	rollover_stop(r);
	loop_timer_free(&r->again);
	free(r);
}

static void
finish(struct rollover *r, bool done)
{
	if (done)
		r->fn(r->arg, r->key_pem, r->url);
	else
		r->fn(r->arg, NULL, NULL);
	rollover_stop(r);
}

/*
 * Not known whether the CA has it: nothing can be signed until that is known,
 * so it is asked until it says.
 */
static void
try_again(struct rollover *r, const struct err *e)
{
	log_warn("account: new key: %s; again in %d ms", e->text, AGAIN_MS);
	loop_after(r->base, &r->again, AGAIN_MS, roll, r);
}

static void
put(void *arg, const struct err *e)
{
	struct rollover *r = arg;

	if (e != NULL) {
		try_again(r, e);
		return;
	}
	store_rollover_end(r->store, true);
	log_info(
	    "ca=%s account=%s has a new key", r->conf->acme.directory, r->url);
	finish(r, true);
}

static void
rolled(void *arg, const char *url, const struct err *e)
{
	struct rollover *r = arg;
	struct err why;

	if (e != NULL && e->kind == ERR_REFUSED) {
		log_error("account: the CA refuses the new key: %s", e->text);
		store_rollover_end(r->store, false);
		finish(r, false);
	} else if (e != NULL) {
		try_again(r, e);
	} else {
		fault_point("R2");
		free(r->url);
		r->url = xstrdup(url);
		if (store_account_put(r->store, r->conf->acme.directory,
			r->key_pem, url, put, r, &why) == -1)
			try_again(r, &why);
	}
}

static void
roll(void *arg)
{
	struct rollover *r = arg;
	struct err e;

	fault_point("R1");
	if (ca_roll(r->ca, r->key_pem, rolled, r, &e) == -1) {
		log_error("account: new key: %s", e.text);
		finish(r, false);
	}
}

static void
begin(void *arg)
{
	struct rollover *r = arg;

	store_rollover(r->store, got, r);
}

static void
begin_again(struct rollover *r, const struct err *e)
{
	log_warn("account: new key: %s; again in %d ms", e->text, AGAIN_MS);
	loop_after(r->base, &r->again, AGAIN_MS, begin, r);
}

static void
saved(void *arg, const struct err *e)
{
	struct rollover *r = arg;

	if (e == NULL) {
		roll(r);
		return;
	}
	/* The CA has not heard of it; whether Redis has is asked again. */
	begin_again(r, e);
}

static void
got(void *arg, bool asked, const char *key_pem, const struct err *e)
{
	struct rollover *r = arg;
	struct err why;

	/* The CA may have another key than we: that must be known. */
	if (e != NULL) {
		begin_again(r, e);
		return;
	}
	if (!asked) {
		finish(r, false);
		return;
	}
	mem_wipe_free(r->key_pem);
	if (key_pem[0] != '\0') {
		r->key_pem = xstrdup(key_pem);
		roll(r);
		return;
	}
	r->key_pem = cert_key_new();
	if (store_rollover_put(r->store, r->key_pem, saved, r, &why) == -1)
		saved(r, &why);
}

void
rollover_start(struct rollover *r)
{
	rollover_stop(r);
	begin(r);
}
