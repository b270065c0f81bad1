#include "sync/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include <arpa/inet.h>

#include "common/b64.h"
#include "common/conf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/http.h"
#include "sync/resolve.h"
#include "sync/store.h"

#define TARGETS_MS 60000 /* how long a target's addresses are believed */
#define TARGET_ADDRESSES_MAX 64
#define PROBE_TTL_S 60
#define PROBE_BODY_MAX 1024
#define KEYAUTH_MAX 256

/* One name being checked. */
struct check {
	LIST_ENTRY(check) link;
	struct checks *all;
	check_fn *fn;
	check_seen_fn *seen; /* instead of fn */
	void *arg;
	char name[DOMAIN_NAME_MAX];
	char thumbprint[64];
	struct event *later;
	uint64_t resolving, fetching;
	struct resolve_answer *answer; /* for who looks, else NULL */
	struct err why, second;
	struct probe *probe; /* NULL: there is none yet */
};

/* A token of our own, to be fetched through each address. */
struct probe {
	char token[B64URL_SIZE(32)];
	char keyauth[KEYAUTH_MAX];
	bool settled; /* the verdict is: they are asked for who looks */
	char unreached[256];
	size_t at, naddresses;
	char address[][46];
};

/* The addresses of the targets that are names. */
struct targets {
	char address[TARGET_ADDRESSES_MAX][46];
	size_t n;
};

struct checks {
	struct event_base *base;
	const struct conf *conf;
	struct resolve *resolve;
	struct http *http;
	struct store *store;
	LIST_HEAD(, check) list;
	struct targets targets, fresh;
	size_t next; /* target to ask about */
	uint64_t resolving;
	bool known;  /* targets were resolved once */
	bool failed; /* a target could not be resolved this time */
	struct event *refresh;
};

static void targets_refresh(void *);
static void targets_next(struct checks *);
static void begin(void *);
static void probe_next(struct check *);

struct checks *
checks_new(struct event_base *base, const struct conf *conf,
    struct resolve *resolve, struct http *http, struct store *store)
{
	struct checks *all = xcalloc(1, sizeof(*all));

	all->base = base;
	all->conf = conf;
	all->resolve = resolve;
	all->http = http;
	all->store = store;
	LIST_INIT(&all->list);
	targets_refresh(all);
	return all;
}

static void
check_free(struct check *c)
{
	LIST_REMOVE(c, link);
	loop_timer_free(&c->later);
	resolve_cancel(c->all->resolve, c->resolving);
	http_cancel(c->all->http, c->fetching);
	store_forget(c->all->store, c);
	if (c->probe != NULL)
		store_withdraw(c->all->store, c->probe->token);
	free(c->probe);
	free(c->answer);
	free(c);
}

void
checks_free(struct checks *all)
{
	if (all == NULL)
		return;
	while (!LIST_EMPTY(&all->list))
		check_free(LIST_FIRST(&all->list));
	resolve_cancel(all->resolve, all->resolving);
	loop_timer_free(&all->refresh);
	free(all);
}

void
check_cancel(struct checks *all, const void *arg)
{
	struct check *c, *next;

	for (c = LIST_FIRST(&all->list); c != NULL; c = next) {
		next = LIST_NEXT(c, link);
		if (c->arg == arg)
			check_free(c);
	}
}

/* --- what the targets that are names resolve to ---------------------------- */

static bool
is_name(const char *target)
{
	uint8_t address[16];

	return strchr(target, '/') == NULL &&
	       inet_pton(AF_INET, target, address) != 1 &&
	       inet_pton(AF_INET6, target, address) != 1;
}

static void
add_target(struct targets *t, const char address[46])
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->address[i], address) == 0)
			return;
	if (t->n < TARGET_ADDRESSES_MAX)
		memcpy(t->address[t->n++], address, sizeof(t->address[0]));
}

static void
got_target(void *arg, const struct resolve_answer *answer)
{
	struct checks *all = arg;

	all->resolving = 0;
	for (size_t i = 0; i < answer->naddresses; i++)
		add_target(&all->fresh, answer->address[i]);
	if (answer->a == RESOLVE_FAIL || answer->aaaa == RESOLVE_FAIL) {
		log_warn("dns target %s: %s",
		    all->conf->dns.targets.item[all->next - 1], answer->error);
		all->failed = true;
	}
	targets_next(all);
}

static void
targets_next(struct checks *all)
{
	const struct conf_list *list = &all->conf->dns.targets;

	while (all->next < list->n) {
		const char *target = list->item[all->next++];

		if (!is_name(target))
			continue;
		all->resolving =
		    resolve_name(all->resolve, target, 0, got_target, all);
		return;
	}
	/* A resolver that is away must not make us forget what we knew. */
	for (size_t i = 0; all->failed && i < all->targets.n; i++)
		add_target(&all->fresh, all->targets.address[i]);
	all->targets = all->fresh;
	all->known = true;
	loop_after(all->base, &all->refresh, TARGETS_MS, targets_refresh, all);
}

static void
targets_refresh(void *arg)
{
	struct checks *all = arg;

	all->next = 0;
	all->failed = false;
	all->fresh.n = 0;
	targets_next(all);
}

/* --- one check -------------------------------------------------------------- */

static void
tell_seen(struct check *c, enum precheck_verdict verdict)
{
	check_seen_fn *seen = c->seen;
	void *arg = c->arg;
	struct err why = c->why;
	struct resolve_answer answer = *c->answer;
	struct targets targets = c->all->targets;
	char unreached[sizeof(c->probe->unreached)] = "";
	const struct check_seen s = { .verdict = verdict,
		.why = verdict == PRECHECK_OK ? NULL : &why,
		.answer = &answer,
		.target = targets.address,
		.ntargets = targets.n,
		.probed = c->probe != NULL ? c->probe->at : 0,
		.unreached = unreached };

	if (c->probe != NULL)
		memcpy(unreached, c->probe->unreached, sizeof(unreached));
	check_free(c);
	seen(arg, &s);
}

static void
tell(struct check *c, enum precheck_verdict verdict)
{
	check_fn *fn = c->fn;
	void *arg = c->arg;
	struct err why = c->why, second = c->second;

	if (c->seen != NULL) {
		tell_seen(c, verdict);
		return;
	}
	check_free(c);
	fn(arg, verdict, verdict == PRECHECK_OK ? NULL : &why,
	    second.kind == ERR_NONE ? NULL : &second);
}

static void
got_probe(void *arg, const struct http_res *res, const struct err *e)
{
	struct check *c = arg;
	struct probe *p = c->probe;

	c->fetching = 0;
	if (e != NULL || res->status != 200 || res->len < strlen(p->keyauth) ||
	    memcmp(res->body, p->keyauth, strlen(p->keyauth)) != 0) {
		snprintf(p->unreached, sizeof(p->unreached), "%s: %.180s",
		    p->address[p->at - 1],
		    e != NULL ? e->text : "another server answers");
		log_debug("domain=%s probe of %s", c->name, p->unreached);
		tell(c, p->settled ? PRECHECK_OK : PRECHECK_PENDING);
		return;
	}
	probe_next(c);
}

/* Every address must lead to us: the CA may use any of them. */
static void
probe_next(struct check *c)
{
	const struct conf *conf = c->all->conf;
	struct probe *p = c->probe;
	char url[512], to[64];
	const char *address;
	struct http_req req = { .method = "GET",
		.url = url,
		.connect_to = to,
		.plain = true,
		.body_max = PROBE_BODY_MAX,
		.timeout_ms = conf->dns.timeout_ms,
		/* A name may point anywhere: never into our own network. */
		.public_only = !conf->acme.insecure_test };

	if (p->at == p->naddresses) {
		tell(c, PRECHECK_OK);
		return;
	}
	address = p->address[p->at++];
	snprintf(to, sizeof(to), strchr(address, ':') ? "[%s]:%d" : "%s:%d",
	    address, conf->dns.self_probe_port);
	snprintf(url, sizeof(url), "http://%s/.well-known/acme-challenge/%s",
	    domain_base(c->name), p->token);
	c->fetching = http_send(c->all->http, &req, got_probe, c);
}

static void
published(void *arg, const struct err *e)
{
	struct check *c = arg;

	if (e != NULL) {
		c->why = *e;
		tell(c, c->probe->settled ? PRECHECK_OK : PRECHECK_AGAIN);
		return;
	}
	probe_next(c);
}

static void
probe(struct check *c, const struct resolve_answer *answer, bool settled)
{
	size_t size = answer->naddresses * sizeof(answer->address[0]);
	struct probe *p = c->probe = xcalloc(1, sizeof(*p) + size);
	uint8_t nonce[32];

	if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
		abort();
	p->settled = settled;
	p->naddresses = answer->naddresses;
	memcpy(p->address, answer->address, size);
	b64url_encode(p->token, nonce, sizeof(nonce));
	snprintf(
	    p->keyauth, sizeof(p->keyauth), "%s.%s", p->token, c->thumbprint);
	store_publish(
	    c->all->store, p->token, p->keyauth, PROBE_TTL_S, published, c);
}

static void
got_answer(void *arg, const struct resolve_answer *answer)
{
	static const struct conf_list nobody;
	struct check *c = arg;
	const struct checks *all = c->all;
	const struct conf *conf = all->conf;
	enum precheck_verdict verdict;

	c->resolving = 0;
	if (c->seen != NULL) {
		c->answer = xmalloc(sizeof(*c->answer));
		*c->answer = *answer;
	}
	verdict = precheck(c->name, answer, &conf->dns.targets,
	    all->targets.address, all->targets.n,
	    conf->dns.caa ? &conf->dns.caa_identities : &nobody, &c->why);
	precheck_caa(c->name, answer,
	    conf->dns.caa ? &conf->acme_fallback.caa_identities : &nobody,
	    &c->second);
	if (c->seen != NULL && verdict == PRECHECK_OK && conf->dns.self_probe &&
	    !domain_wildcard(c->name))
		probe(c, answer, true);
	else if (verdict != PRECHECK_PROBE)
		tell(c, verdict);
	else if (conf->dns.self_probe && c->thumbprint[0] != '\0')
		probe(c, answer, false);
	else
		tell(c, PRECHECK_PENDING);
}

static void
begin(void *arg)
{
	struct check *c = arg;

	if (!c->all->known) {
		loop_after(c->all->base, &c->later, 50, begin, c);
		return;
	}
	c->resolving = resolve_name(
	    c->all->resolve, c->name, c->all->conf->dns.caa, got_answer, c);
}

static struct check *
check_new(
    struct checks *all, const char *name, const char *thumbprint, void *arg)
{
	struct check *c = xcalloc(1, sizeof(*c));

	c->all = all;
	c->arg = arg;
	snprintf(c->name, sizeof(c->name), "%s", name);
	snprintf(c->thumbprint, sizeof(c->thumbprint), "%s", thumbprint);
	LIST_INSERT_HEAD(&all->list, c, link);
	return c;
}

void
check_start(struct checks *all, const char *name, const char *thumbprint,
    check_fn *fn, void *arg)
{
	struct check *c = check_new(all, name, thumbprint, arg);

	c->fn = fn;
	begin(c);
}

void
check_look(struct checks *all, const char *name, const char *thumbprint,
    check_seen_fn *seen, void *arg)
{
	struct check *c = check_new(all, name, thumbprint, arg);

	c->seen = seen;
	begin(c);
}
