#include "sync/accesses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/b64.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/table.h"

struct access {
	char app[DOMAIN_APP_MAX];
	struct provider_access provider;
	char *sealed; /* the variables that it is made of */
	size_t sealed_len;
	int holds;
	struct accesses *all;
	struct event *timer; /* since nobody holds it */
	bool is_old;         /* there are other variables now */
	UT_hash_handle hh;
};

/* A question to the store. */
struct waiter {
	struct accesses *all;
	char app[DOMAIN_APP_MAX];
	access_fn *fn;
	void *arg;
	LIST_ENTRY(waiter) entry;
};

struct accesses {
	struct event_base *base;
	struct store *store;
	const struct conf *conf;
	struct access *by_app;
	LIST_HEAD(, waiter) waiters;
};

struct accesses *
accesses_new(
    struct event_base *base, struct store *store, const struct conf *conf)
{
	struct accesses *all = xcalloc(1, sizeof(*all));

	all->base = base;
	all->store = store;
	all->conf = conf;
	LIST_INIT(&all->waiters);
	return all;
}

static void
access_free(struct access *a)
{
	loop_timer_free(&a->timer);
	provider_access_clear(&a->provider);
	free(a->sealed);
	free(a);
}

static void
drop(struct accesses *all, struct access *a)
{
	HASH_DEL(all->by_app, a);
	a->is_old = true;
	if (a->holds == 0)
		access_free(a);
}

/* What the app's owner has unset since is not here for ever. */
static void
on_idle(void *arg)
{
	struct access *a = arg;

	drop(a->all, a);
}

static void
waiter_free(struct waiter *w)
{
	store_forget(w->all->store, w);
	LIST_REMOVE(w, entry);
	free(w);
}

void
accesses_free(struct accesses *all)
{
	struct access *a, *next;

	if (all == NULL)
		return;
	while (!LIST_EMPTY(&all->waiters))
		waiter_free(LIST_FIRST(&all->waiters));
	HASH_ITER (hh, all->by_app, a, next)
		drop(all, a);
	free(all);
}

/* Without the slashes at its end: what follows begins with one. */
static char *
base_url_of(const struct conf *conf, const struct provider *p)
{
	const struct conf_provider *own = conf_provider(conf, p->name);
	size_t len = own != NULL ? strlen(own->base_url) : 0;

	while (len > 0 && own->base_url[len - 1] == '/')
		len--;
	return len > 0 ? xmemdup0(own->base_url, len) : NULL;
}

int
access_from(const struct env *env, const struct conf *conf,
    struct provider_access *a, struct provider_vars *bad, struct err *e)
{
	int rc = env_access(env, a, bad, e);

	if (rc == 1)
		a->base_url = base_url_of(conf, a->provider);
	return rc;
}

/* Make it of variables; NULL without an error: by hand. */
static struct access *
make(struct accesses *all, const char *app, const struct store_env *read,
    struct err *e)
{
	struct access *a = xcalloc(1, sizeof(*a));
	struct provider_vars bad;
	struct env env;
	int rc;

	env_init(&env);
	rc = env_unpack(&env, read->text, read->len, e);
	if (rc == 0)
		rc = access_from(&env, all->conf, &a->provider, &bad, e);
	env_clear(&env);
	if (rc != 1) {
		access_free(a);
		return NULL;
	}
	a->all = all;
	snprintf(a->app, sizeof(a->app), "%s", app);
	a->sealed = xmemdup0(read->sealed, read->sealed_len);
	a->sealed_len = read->sealed_len;
	return a;
}

static void
got_env(void *arg, const struct store_env *read, const struct err *e)
{
	struct waiter *w = arg;
	struct accesses *all = w->all;
	struct err bad = { .kind = ERR_NONE };
	struct access *a;
	access_fn *fn = w->fn;
	void *theirs = w->arg;

	if (e != NULL) {
		bad = *e;
		waiter_free(w);
		fn(theirs, NULL, &bad);
		return;
	}
	HASH_FIND_STR(all->by_app, w->app, a);
	if (a != NULL &&
	    (a->sealed_len != read->sealed_len ||
		memcmp(a->sealed, read->sealed, read->sealed_len) != 0)) {
		drop(all, a);
		a = NULL;
	}
	if (a == NULL && (a = make(all, w->app, read, &bad)) != NULL)
		HASH_ADD_STR(all->by_app, app, a);
	if (a != NULL) {
		a->holds++;
		loop_cancel(a->timer);
	}
	waiter_free(w);
	fn(theirs, a, bad.kind != ERR_NONE ? &bad : NULL);
}

void
access_get(struct accesses *all, const char *app, access_fn *fn, void *arg)
{
	struct waiter *w = xcalloc(1, sizeof(*w));

	w->all = all;
	snprintf(w->app, sizeof(w->app), "%s", app);
	w->fn = fn;
	w->arg = arg;
	LIST_INSERT_HEAD(&all->waiters, w, entry);
	store_env(all->store, app, got_env, w);
}

void
access_cancel(struct accesses *all, const void *arg)
{
	struct waiter *w, *next;

	for (w = LIST_FIRST(&all->waiters); w != NULL; w = next) {
		next = LIST_NEXT(w, entry);
		if (w->arg == arg)
			waiter_free(w);
	}
}

void
access_release(struct access *a)
{
	if (a == NULL || --a->holds > 0)
		return;
	if (a->is_old)
		access_free(a);
	else
		loop_after(a->all->base, &a->timer,
		    a->all->conf->dns.record_interval_ms, on_idle, a);
}

char *
access_sealed(const struct access *a)
{
	char *text = xmalloc(B64URL_SIZE(a->sealed_len));

	b64url_encode(text, a->sealed, a->sealed_len);
	return text;
}

struct access *
access_open(
    struct accesses *all, const char *app, const char *sealed, struct err *e)
{
	size_t len = strlen(sealed);
	uint8_t *bytes = xmalloc(len + 1);
	ptrdiff_t n = b64url_decode(bytes, sealed, len);
	struct store_env read = { .sealed = (const char *)bytes };
	struct access *a = NULL;
	struct buf plain;

	read.sealed_len = n > 0 ? (size_t)n : 0;
	if (store_env_open(
		all->store, app, bytes, read.sealed_len, &plain, e) == 0) {
		read.text = plain.p;
		read.len = plain.len;
		a = make(all, app, &read, e);
	}
	if (a != NULL) {
		a->is_old = true; /* nobody else gets this one */
		a->holds = 1;
	}
	buf_wipe(&plain);
	free(bytes);
	return a;
}

struct provider_access *
access_of(struct access *a)
{
	return &a->provider;
}
