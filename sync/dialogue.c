#include "sync/dialogue.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "common/table.h"
#include "sync/http.h"

#define IN_FLIGHT_MAX 8 /* requests to one provider */
#define REQUEST_TIMEOUT_MS 10000
#define RETRY_FIRST_MS 500
#define RETRY_LAST_MS 20000
#define LOGIN_LOOK_MS 50
#define TIMER_SLACK_MS 20
#define PROVIDERS_MAX 16

TAILQ_HEAD(turn, dialogue);

/* Those that want to change the same: the first one may. */
struct line {
	char *key;
	struct turn dialogues;
	UT_hash_handle hh;
};

struct dialogue {
	uint64_t id;
	struct dialogues *all;
	struct txt_record *record;
	enum provider_op op;
	dialogue_fn *fn;
	void *arg;

	bool finding;    /* the zone, before op */
	bool has_looked; /* for it: it is not a journal's any more */
	int tries;
	int64_t until_ms;
	struct event *timer;
	struct http_msg_req req;
	struct http *http; /* the provider's */
	uint64_t exchange; /* in flight; 0: none */
	struct err err;    /* that it ends with */

	struct line *line;
	TAILQ_ENTRY(dialogue) turn;
	UT_hash_handle hh;
};

struct dialogues {
	struct event_base *base;
	const struct conf *conf;
	/* Of each provider; made when it is first needed. */
	const struct provider *provider[PROVIDERS_MAX];
	struct http *http[PROVIDERS_MAX];
	struct dialogue *by_id;
	struct line *by_key;
	uint64_t last_id;
};

static void begin(void *arg);
static void ask(void *arg);
static void send_request(void *arg);

static void
later(struct dialogue *d, int64_t ms, loop_fn *fn)
{
	loop_after(d->all->base, &d->timer, ms, fn, d);
}

/* --- the end ---------------------------------------------------------------- */

/* The next in line may go. */
static void
leave_line(struct dialogue *d)
{
	struct line *l = d->line;
	bool was_first;

	if (l == NULL)
		return;
	was_first = TAILQ_FIRST(&l->dialogues) == d;
	TAILQ_REMOVE(&l->dialogues, d, turn);
	d->line = NULL;
	if (TAILQ_EMPTY(&l->dialogues)) {
		HASH_DEL(d->all->by_key, l);
		free(l->key);
		free(l);
	} else if (was_first) {
		later(TAILQ_FIRST(&l->dialogues), 0, begin);
	}
}

static struct http *
http_of(struct dialogues *all, const struct provider *p)
{
	const struct conf_provider *own = conf_provider(all->conf, p->name);
	struct http_conf conf = {
		.ca_file = own != NULL ? own->ca_file : "",
		.max_in_flight = IN_FLIGHT_MAX,
		.timeout_ms = REQUEST_TIMEOUT_MS,
		.forgets = true,
	};
	size_t i = 0;

	while (all->provider[i] != NULL && all->provider[i] != p)
		i++;
	if (i + 1 >= PROVIDERS_MAX)
		abort(); /* there are nine */
	if (all->provider[i] == NULL) {
		all->provider[i] = p;
		all->http[i] = http_new(all->base, &conf);
	}
	return all->http[i];
}

static void
dialogue_free(struct dialogue *d)
{
	if (d->exchange != 0)
		http_cancel(d->http, d->exchange);
	leave_line(d);
	HASH_DEL(d->all->by_id, d);
	loop_timer_free(&d->timer);
	http_msg_wipe(&d->req);
	free(d);
}

static void
finish(struct dialogue *d, const struct err *e)
{
	struct txt_record *t = d->record;
	dialogue_fn *fn = d->fn;
	void *arg = d->arg;
	struct err copy = { .kind = ERR_NONE };

	if (e != NULL)
		copy = *e;
	/* Half a search is not where the zone is. */
	if (e != NULL && d->finding)
		t->zone[0] = t->zone_id[0] = '\0';
	dialogue_free(d);
	fn(arg, t, e != NULL ? &copy : NULL);
}

/* --- another try ------------------------------------------------------------- */

static enum provider_op
current_op(const struct dialogue *d)
{
	return d->finding ? PROVIDER_FIND : d->op;
}

static void
try_again(void *arg)
{
	struct dialogue *d = arg;

	provider_begin(d->record, current_op(d));
	ask(d);
}

/* The zone that a journal named may have been made anew meanwhile. */
static bool
can_look_again(const struct dialogue *d, const struct err *e)
{
	return e->kind == ERR_REFUSED && !d->finding && !d->has_looked &&
	       (d->op == PROVIDER_CREATE || d->op == PROVIDER_REMOVE);
}

static int64_t
backoff(struct dialogue *d)
{
	int64_t ms = RETRY_FIRST_MS;

	for (int i = 0; i < d->tries && ms < RETRY_LAST_MS; i++)
		ms *= 2;
	d->tries++;
	return ms + loop_random((uint32_t)ms / 4);
}

/* A quota is the account's: what one was told is true for all of it. */
static void
be_quiet(struct provider_access *a, const struct err *e)
{
	int64_t until_ms = loop_now_ms() + e->retry_ms;

	if (e->kind == ERR_LIMITED && until_ms > a->quiet_ms)
		a->quiet_ms = until_ms;
}

static bool
must_be_quiet(const struct provider_access *a, struct err *e)
{
	int64_t ms = a->quiet_ms - loop_now_ms();

	if (ms <= TIMER_SLACK_MS)
		return false;
	err_set(e, ERR_LIMITED, "%s asks to slow down: too many requests",
	    a->provider->name);
	e->retry_ms = ms;
	return true;
}

/* What cures it: another look for the zone, another try, or our caller. */
static void
failed(struct dialogue *d, const struct err *e)
{
	struct txt_record *t = d->record;
	int64_t wait_ms;

	if (can_look_again(d, e)) {
		d->has_looked = d->finding = true;
		t->zone[0] = t->zone_id[0] = t->record_id[0] = '\0';
		later(d, 0, try_again);
		return;
	}
	if (e->kind != ERR_AGAIN && e->kind != ERR_LIMITED) {
		finish(d, e);
		return;
	}
	be_quiet(t->access, e);
	wait_ms = backoff(d);
	if (wait_ms < e->retry_ms)
		wait_ms = e->retry_ms;
	if (loop_now_ms() + wait_ms >= d->until_ms) {
		finish(d, e);
		return;
	}
	log_debug("provider=%s name=%s again_ms=%lld error=\"%s\"",
	    t->access->provider->name, t->fqdn, (long long)wait_ms, e->text);
	later(d, wait_ms, try_again);
}

/* --- step by step --------------------------------------------------------------- */

static void
on_reply(void *arg, const struct http_res *http, const struct err *e)
{
	struct dialogue *d = arg;
	struct txt_record *t = d->record;
	struct http_msg_res res;
	struct err bad = { .kind = ERR_NONE };

	d->exchange = 0;
	if (e != NULL) {
		bad = *e;
		err_prefix(&bad, "%s", t->access->provider->name);
		failed(d, &bad);
		return;
	}
	res = (struct http_msg_res){ .status = http->status,
		.body = http->body,
		.len = http->len,
		.retry_ms = http->retry_ms };
	/* Some announce with each answer when their count begins anew. */
	if (res.retry_ms == 0 && res.status == 429)
		res.retry_ms = http->reset_ms;
	if (provider_got(t, &res, &bad) == -1)
		failed(d, &bad);
	else
		ask(d);
}

/* A token is fetched once for all who need it. */
static bool
must_wait_for_login(const struct dialogue *d, int64_t now_s)
{
	const struct provider_access *a = d->record->access;
	const struct dialogue *other, *next;

	if (a->provider->login.ask == NULL || a->until_s > now_s)
		return false;
	HASH_ITER (hh, d->all->by_id, other, next)
		if (other != d && other->record->access == a &&
		    other->exchange != 0 && other->record->in_login)
			return true;
	return false;
}

static void
send_request(void *arg)
{
	struct dialogue *d = arg;
	struct txt_record *t = d->record;
	const struct provider_access *a = t->access;
	int64_t left_ms = d->until_ms - loop_now_ms();
	int64_t now_s = loop_wall_ms() / 1000;
	struct http_req req = { .timeout_ms = REQUEST_TIMEOUT_MS };
	struct err e = { .kind = ERR_NONE };

	if (left_ms <= 0) {
		err_set(&e, ERR_AGAIN, "%s takes too long for %.80s",
		    a->provider->name, t->fqdn);
		finish(d, &e);
		return;
	}
	if (must_be_quiet(a, &e)) {
		failed(d, &e);
		return;
	}
	if (must_wait_for_login(d, now_s)) {
		later(d, LOGIN_LOOK_MS, send_request);
		return;
	}
	if (provider_ask(t, now_s, &d->req, &e) == -1) {
		failed(d, &e);
		return;
	}
	if (left_ms < req.timeout_ms)
		req.timeout_ms = (int)left_ms;
	req.method = d->req.method;
	req.url = d->req.url.p;
	req.plain =
	    a->base_url != NULL && str_has_prefix(a->base_url, "http://");
	req.nheaders = d->req.nheaders;
	for (size_t i = 0; i < d->req.nheaders; i++)
		req.header[i] = d->req.header[i].p;
	/* What may have a body has one, so that its length is said. */
	if (d->req.body.len > 0 || strcmp(req.method, "PUT") == 0 ||
	    strcmp(req.method, "PATCH") == 0) {
		req.body = d->req.body.p;
		req.body_len = d->req.body.len;
	}
	d->exchange = http_send(d->http, &req, on_reply, d);
	http_msg_wipe(&d->req);
}

/* The same account, whoever uses it: so its credentials name it. */
static uint64_t
account_of(const struct provider_access *a)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < a->provider->nsettings; i++)
		for (const char *p = a->credential[i]; *p != '\0'; p++)
			hash = (hash ^ (unsigned char)*p) *
			       UINT64_C(0x100000001b3);
	return hash;
}

/* Get in line for the name, or the zone; return whether it is our turn. */
static bool
enter_line(struct dialogue *d)
{
	const struct txt_record *t = d->record;
	const struct provider *p = t->access->provider;
	char *key = xasprintf("%s %016llx %s", p->name,
	    (unsigned long long)account_of(t->access),
	    p->zone_serial && t->zone[0] != '\0' ? t->zone : t->fqdn);
	struct line *l;

	HASH_FIND_STR(d->all->by_key, key, l);
	if (l == NULL) {
		l = xcalloc(1, sizeof(*l));
		l->key = key;
		TAILQ_INIT(&l->dialogues);
		HASH_ADD_KEYPTR(hh, d->all->by_key, l->key, strlen(l->key), l);
	} else {
		free(key);
	}
	TAILQ_INSERT_TAIL(&l->dialogues, d, turn);
	d->line = l;
	return TAILQ_FIRST(&l->dialogues) == d;
}

/* The operation itself; the time that was spent in line is not its own. */
static void
begin(void *arg)
{
	struct dialogue *d = arg;

	d->until_ms = loop_now_ms() + DIALOGUE_LIMIT_MS;
	d->tries = 0;
	try_again(d);
}

/* The zone is known. */
static void
found(struct dialogue *d)
{
	d->finding = false;
	if (d->line != NULL || enter_line(d))
		later(d, 0, begin);
}

/* What comes next, once it is time. */
static void
ask(void *arg)
{
	struct dialogue *d = arg;
	struct txt_record *t = d->record;

	if (!provider_done(t))
		later(d, t->wait_ms, send_request);
	else if (d->finding && d->op != PROVIDER_FIND)
		found(d);
	else
		finish(d, NULL);
}

static void
start(void *arg)
{
	struct dialogue *d = arg;
	const struct txt_record *t = d->record;
	bool changes = d->op == PROVIDER_CREATE || d->op == PROVIDER_REMOVE;

	if (changes && t->zone[0] != '\0' && t->zone_id[0] != '\0') {
		found(d);
		return;
	}
	d->finding = changes || d->op == PROVIDER_FIND;
	d->has_looked = d->finding;
	try_again(d);
}

/* --- from outside --------------------------------------------------------------- */

struct dialogues *
dialogues_new(struct event_base *base, const struct conf *conf)
{
	struct dialogues *all = xcalloc(1, sizeof(*all));

	all->base = base;
	all->conf = conf;
	return all;
}

void
dialogues_free(struct dialogues *all)
{
	struct dialogue *d, *next;

	if (all == NULL)
		return;
	HASH_ITER (hh, all->by_id, d, next)
		dialogue_free(d);
	for (size_t i = 0; i < PROVIDERS_MAX; i++)
		http_free(all->http[i]);
	free(all);
}

uint64_t
dialogue_run(struct dialogues *all, struct txt_record *t, enum provider_op op,
    dialogue_fn *fn, void *arg)
{
	struct dialogue *d = xcalloc(1, sizeof(*d));

	d->id = ++all->last_id;
	d->all = all;
	d->record = t;
	d->http = http_of(all, t->access->provider);
	d->op = op;
	d->fn = fn;
	d->arg = arg;
	d->until_ms = loop_now_ms() + DIALOGUE_QUICK_MS;
	http_msg_init(&d->req);
	HASH_ADD(hh, all->by_id, id, sizeof(d->id), d);
	later(d, 0, start);
	return d->id;
}

void
dialogue_cancel(struct dialogues *all, uint64_t id)
{
	struct dialogue *d;

	HASH_FIND(hh, all->by_id, &id, sizeof(id), d);
	if (d != NULL)
		dialogue_free(d);
}
