#include "sync/hold.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/table.h"
#include "haproxy/files.h"
#include "haproxy/handshake.h"
#include "sync/cert.h"
#include "sync/gens.h"
#include "sync/keep.h"
#include "sync/lowest.h"
#include "sync/skew.h"

#define DEFAULT_NAME "default" /* no domain's: it has no dot */
#define DEFAULT_SNI "default.certfleet.invalid"
#define TARGETS_MAX 32 /* HAProxy processes of one node */
#define PROVE_FIRST_MS 50
#define ERROR_MAX 160
#define LIST_FIRST_MS 50 /* a change of the crt-list waits for others */
#define LIST_PAUSES 50   /* times what writing it took, in between */
#define PROVE_LAST_MS 10000

enum held_state {
	HELD_PUSHING, /* on its way into the HAProxys */
	HELD_PROVING, /* they have it; a handshake is to show it */
	HELD_SERVED,
	HELD_FAILED,
	/* must stay last */
	HELD_STATES
};

/* One certificate of this node; dies when its domain is removed. */
struct held {
	UT_hash_handle hh; /* by name */
	struct hold *hold;
	TAILQ_ENTRY(held) under_way; /* while is_under_way() */
	char sha1[41];
	int64_t not_after, version, gen;
	int64_t since; /* when the owner chose this kind; 0: not known */
	enum held_state state;
	bool proven_before; /* read from disk: no handshake needed */
	uint8_t partition;
	uint32_t pushed; /* a bit for each HAProxy that has it */
	char *error;     /* while HELD_FAILED, else NULL */
	struct handshake *handshake;
	struct event *again;
	int64_t pause_ms;
	char name[]; /* there are many: not a byte more than it has */
};

/* One HAProxy process. */
struct target {
	struct hold *hold;
	unsigned int number;
	struct push *push;
	struct push_conf conf;
};

struct hold {
	struct event_base *base;
	const struct conf *conf;
	const struct seal_ring *ring;
	const struct skew *skew;
	struct files *files;
	hold_fn *fn;
	void *arg;
	struct held *names;
	/* Of the first certificates of names, and of the second ones. */
	size_t count[2][HELD_STATES];
	TAILQ_HEAD(, held) under_way;
	struct lowest lowest[GENS_MAX]; /* generation of those, by partition */
	struct target target[TARGETS_MAX];
	unsigned int ntargets;
	struct event *changed, *sync;
	bool writing;    /* sync will write the crt-list */
	int64_t list_at; /* not before */
};

static void on_pushed(
    void *, const char *path, const char *sha1, const struct err *);
static void on_process(void *, int pid, const char *version);
static void prove(void *);
static void settle(struct held *);
static void write_crt_list(void *);

struct hold *
hold_new(struct event_base *base, const struct conf *conf,
    const struct seal_ring *ring, const struct skew *skew, struct files *files,
    hold_fn *fn, void *arg)
{
	struct hold *h = xcalloc(1, sizeof(*h));

	h->base = base;
	h->conf = conf;
	h->ring = ring;
	h->skew = skew;
	h->files = files;
	h->fn = fn;
	h->arg = arg;
	TAILQ_INIT(&h->under_way);
	for (size_t i = 0; i < conf->haproxy.sockets.n && i < TARGETS_MAX;
	     i++) {
		struct target *t = &h->target[h->ntargets];

		t->hold = h;
		t->number = h->ntargets++;
		t->conf = (struct push_conf){
			.socket = conf->haproxy.sockets.item[i],
			.crt_list = conf->haproxy.crt_list,
			.bufsize = conf->haproxy.bufsize,
			.poll_ms = conf->haproxy.poll_ms,
			.per_s = conf->haproxy.push_per_s,
			.command_timeout_ms = conf->haproxy.command_timeout_ms,
		};
		t->push = push_new(base, &t->conf, on_pushed, on_process, t);
	}
	return h;
}

static void
count(const struct held *x, int n)
{
	size_t *is = &x->hold->count[files_is_second(x->name)][x->state];

	*is += (size_t)n;
}

static void
held_free(struct held *x)
{
	HASH_DELETE(hh, x->hold->names, x);
	settle(x);
	count(x, -1);
	free(x->error);
	if (x->handshake != NULL)
		handshake_cancel(x->handshake);
	loop_timer_free(&x->again);
	free(x);
}

void
hold_free(struct hold *h)
{
	struct held *x, *next;

	if (h == NULL)
		return;
	for (unsigned int i = 0; i < h->ntargets; i++)
		push_free(h->target[i].push);
	HASH_ITER (hh, h->names, x, next)
		held_free(x);
	loop_timer_free(&h->changed);
	if (h->writing)
		write_crt_list(h);
	loop_timer_free(&h->sync);
	free(h);
}

/* --- telling, and writing the crt-list, once per turn of the loop ------------------ */

static void
tell(void *arg)
{
	struct hold *h = arg;

	h->fn(h->arg);
}

static void
changed(struct hold *h)
{
	loop_after(h->base, &h->changed, 0, tell, h);
}

/*
 * HAProxy reads the list at its start only, and we compare then: it may be late.
 * A long one is written so seldom that little time goes into it.
 */
static void
write_crt_list(void *arg)
{
	struct hold *h = arg;
	int64_t began = loop_now_ms();
	struct err e;

	h->writing = false;
	if (files_sync(h->files, &e) == -1) {
		log_error("crt-list: %s", e.text);
		h->writing = true;
		loop_after(h->base, &h->sync, PROVE_LAST_MS, write_crt_list, h);
	}
	h->list_at = loop_now_ms() + (loop_now_ms() - began) * LIST_PAUSES;
}

static void
want_crt_list(struct hold *h)
{
	int64_t wait = h->list_at - loop_now_ms();

	if (h->writing)
		return;
	h->writing = true;
	loop_after(h->base, &h->sync,
	    wait > LIST_FIRST_MS ? wait : LIST_FIRST_MS, write_crt_list, h);
}

/* --- one certificate ------------------------------------------------------------- */

static struct held *
find(const struct hold *h, const char *name)
{
	struct held *x;

	HASH_FIND_STR(h->names, name, x);
	return x;
}

static bool
is_default(const struct held *x)
{
	return strcmp(x->name, DEFAULT_NAME) == 0;
}

static struct held *
held_new(struct hold *h, const char *name)
{
	size_t len = strlen(name);
	struct held *x = xcalloc(1, sizeof(*x) + len + 1);

	x->hold = h;
	x->state = HELD_FAILED; /* until it is pushed */
	memcpy(x->name, name, len + 1);
	count(x, 1);
	HASH_ADD_KEYPTR(hh, h->names, x->name, len, x);
	return x;
}

/* By the name in the path; one that is too long for a file's name is rare. */
static struct held *
find_path(const struct hold *h, const char *path)
{
	char name[DOMAIN_NAME_MAX], its[FILES_PATH_MAX];
	struct held *x = NULL;

	if (files_name(path, name) == 0 && (x = find(h, name)) != NULL) {
		files_path(h->files, name, its);
		if (strcmp(its, path) == 0)
			return x;
	}
	for (x = h->names; x != NULL; x = x->hh.next) {
		files_path(h->files, x->name, its);
		if (strcmp(its, path) == 0)
			break;
	}
	return x;
}

/* --- what is under way holds back what counts as applied -------------------------- */

static bool
is_under_way(const struct held *x)
{
	return x->gen > 0 &&
	       (x->state == HELD_PUSHING || x->state == HELD_PROVING);
}

static void
settle(struct held *x)
{
	struct hold *h = x->hold;
	struct held *it;

	if (!is_under_way(x))
		return;
	TAILQ_REMOVE(&h->under_way, x, under_way);
	if (!lowest_remove(&h->lowest[x->partition], x->gen))
		return;
	TAILQ_FOREACH (it, &h->under_way, under_way)
		if (it->partition == x->partition)
			lowest_add(&h->lowest[x->partition], it->gen);
}

static void
unsettle(struct held *x)
{
	if (!is_under_way(x))
		return;
	TAILQ_INSERT_TAIL(&x->hold->under_way, x, under_way);
	lowest_add(&x->hold->lowest[x->partition], x->gen);
}

static void
set_state(struct held *x, enum held_state state)
{
	settle(x);
	count(x, -1);
	x->state = state;
	count(x, 1);
	unsettle(x);
}

static void
set_error(struct held *x, const char *text)
{
	free(x->error);
	x->error =
	    text != NULL ? xmemdup0(text, strnlen(text, ERROR_MAX)) : NULL;
}

static void
failed(struct held *x, const struct err *e)
{
	if (x->error == NULL || strncmp(x->error, e->text, ERROR_MAX) != 0)
		log_error("domain=%s version=%lld not served: %s", x->name,
		    (long long)x->version, e->text);
	set_error(x, e->text);
	set_state(x, HELD_FAILED);
	changed(x->hold);
}

static void
served(struct held *x)
{
	if (x->state != HELD_SERVED && !x->proven_before)
		log_info("domain=%s version=%lld served sha1=%s", x->name,
		    (long long)x->version, x->sha1);
	set_state(x, HELD_SERVED);
	set_error(x, NULL);
	changed(x->hold);
}

static void
on_handshake(void *arg, const char *sha1, const struct err *e)
{
	struct held *x = arg;
	struct err bad;

	x->handshake = NULL;
	if (sha1 != NULL && strcmp(sha1, x->sha1) == 0) {
		served(x);
		return;
	}
	/* HAProxy has it and still shows another: look again, then say so. */
	x->pause_ms = x->pause_ms > 0 ? x->pause_ms * 2 : PROVE_FIRST_MS;
	if (x->pause_ms > PROVE_LAST_MS)
		x->pause_ms = PROVE_LAST_MS;
	loop_after(x->hold->base, &x->again, x->pause_ms, prove, x);
	if (x->pause_ms < PROVE_FIRST_MS * 16)
		return;
	if (sha1 != NULL)
		err_set(&bad, ERR_AGAIN,
		    "HAProxy took it, but %s shows certificate %s; is there "
		    "another line for this name?",
		    x->hold->conf->haproxy.https_address, sha1);
	else
		err_set(&bad, ERR_AGAIN, "handshake with %s: %s",
		    x->hold->conf->haproxy.https_address, e->text);
	failed(x, &bad);
}

/* A handshake is the proof; for a wildcard, with a name below it. */
static void
prove(void *arg)
{
	struct held *x = arg;
	const struct conf *conf = x->hold->conf;
	char sni[DOMAIN_NAME_MAX + 16], name[DOMAIN_NAME_MAX];

	if (conf->haproxy.https_address[0] == '\0' || x->proven_before) {
		served(x);
		return;
	}
	files_domain(x->name, name);
	if (is_default(x))
		snprintf(sni, sizeof(sni), DEFAULT_SNI);
	else
		snprintf(sni, sizeof(sni), "%s%s",
		    domain_wildcard(name) ? "certfleet." : "",
		    domain_base(name));
	x->handshake =
	    (files_is_second(x->name) ? handshake_start_rsa : handshake_start)(
		x->hold->base, conf->haproxy.https_address, sni,
		conf->haproxy.command_timeout_ms, on_handshake, x);
}

static void
begin_proof(struct held *x)
{
	set_state(x, HELD_PROVING);
	x->pause_ms = 0;
	if (x->handshake != NULL)
		handshake_cancel(x->handshake);
	x->handshake = NULL;
	prove(x);
}

static void
on_pushed(void *arg, const char *path, const char *sha1, const struct err *e)
{
	struct target *t = arg;
	struct hold *h = t->hold;
	struct held *x;

	x = find_path(h, path);
	if (x == NULL || strcmp(x->sha1, sha1) != 0)
		return; /* about a certificate that is no longer wanted */
	metric_count(METRIC_PUSH,
	    e == NULL                ? METRIC_PUSH_OK
	    : e->kind == ERR_REFUSED ? METRIC_PUSH_REFUSED
				     : METRIC_PUSH_RETRIED,
	    0);
	if (e != NULL && e->kind == ERR_REFUSED) {
		failed(x, e);
		return;
	}
	if (e != NULL) {
		log_debug("domain=%s push: %s", x->name, e->text);
		return; /* the push tries again */
	}
	x->pushed |= 1u << t->number;
	if (x->pushed == (1ull << h->ntargets) - 1 && x->state != HELD_SERVED)
		begin_proof(x);
}

static void
on_process(void *arg, int pid, const char *version)
{
	struct target *t = arg;

	log_info("haproxy=%s pid=%d version=%s compared", t->conf.socket, pid,
	    version);
	changed(t->hold);
}

static void
push_everywhere(struct held *x)
{
	struct hold *h = x->hold;
	char path[FILES_PATH_MAX], filter[DOMAIN_NAME_MAX];

	files_path(h->files, x->name, path);
	files_domain(x->name, filter);
	set_state(x, HELD_PUSHING);
	x->pushed = 0;
	set_error(x, NULL);
	loop_cancel(x->again);
	for (unsigned int i = 0; i < h->ntargets; i++)
		push_want(h->target[i].push, path, x->sha1,
		    is_default(x) ? "" : filter);
	if (h->ntargets == 0)
		begin_proof(x);
}

/* --- from a bundle ---------------------------------------------------------------- */

/* The end that a new one must reach: none where its owner chose it since. */
static int64_t
least_not_after(const struct held *x, const struct hold_entry *entry)
{
	return x->sha1[0] != '\0' && entry->since <= x->since ? x->not_after
	                                                      : 0;
}

static void
unwant(const struct held *x)
{
	struct hold *h = x->hold;
	char path[FILES_PATH_MAX];

	files_path(h->files, x->name, path);
	for (unsigned int i = 0; i < h->ntargets; i++)
		push_unwant(h->target[i].push, path);
}

/* The files of a second one are the first one's business. */
static void
drop_second(struct hold *h, const char *name)
{
	char its[FILES_NAME_MAX];
	struct held *x;

	files_second(name, its);
	x = find(h, its);
	if (x == NULL)
		return;
	unwant(x);
	held_free(x);
}

static void
take_second(struct hold *h, const char *name, const struct cert *cert,
    const struct hold_entry *entry)
{
	char its[FILES_NAME_MAX];
	struct held *x;

	if (cert->chain == NULL) {
		drop_second(h, name);
		return;
	}
	files_second(name, its);
	x = find(h, its);
	if (x == NULL)
		x = held_new(h, its);
	settle(x);
	x->version = entry->version;
	x->partition = (uint8_t)entry->partition;
	x->gen = entry->gen;
	unsettle(x);
	memcpy(x->sha1, cert->sha1, sizeof(x->sha1));
	x->not_after = cert->not_after;
	x->proven_before = false;
	push_everywhere(x);
}

void
hold_take(struct hold *h, const char *name, const void *bundle, size_t len,
    const struct hold_entry *entry)
{
	struct held *x = find(h, name);
	struct cert cert = { 0 }, second = { 0 };
	struct err e = { 0 };

	if (x == NULL)
		x = held_new(h, name);
	x->version = entry->version;
	settle(x);
	x->partition = (uint8_t)entry->partition;
	x->gen = entry->gen;
	unsettle(x);
	if (skew_implausible(h->skew, loop_wall_ms())) {
		/* Its dates cannot be judged; the index is read again soon. */
		err_set(&e, ERR_AGAIN,
		    "the clock of this node is wrong: nothing is replaced");
		failed(x, &e);
	} else if (entry->since < x->since) {
		err_set(&e, ERR_REFUSED,
		    "Redis offers what was served before the owner's last "
		    "choice: an older state is not taken");
		failed(x, &e);
	} else if (keep_bundle(h->ring, h->files, name,
		       least_not_after(x, entry), bundle, len, &cert, &second,
		       &e) == -1) {
		failed(x, &e);
	} else {
		x->since = entry->since;
		memcpy(x->sha1, cert.sha1, sizeof(x->sha1));
		x->not_after = cert.not_after;
		x->proven_before = false;
		want_crt_list(h);
		push_everywhere(x);
		take_second(h, name, &second, entry);
	}
	cert_clear(&cert);
	cert_clear(&second);
}

void
hold_drop(struct hold *h, const char *name)
{
	struct held *x = find(h, name);
	struct err e;

	if (x == NULL)
		return;
	log_info("domain=%s removed", name);
	drop_second(h, name);
	unwant(x);
	if (files_remove(h->files, name, &e) == -1)
		log_error("domain=%s files: %s", name, e.text);
	held_free(x);
	changed(h);
}

void
hold_default(struct hold *h, const struct cert *cert, const char *key_pem)
{
	struct held *x = find(h, DEFAULT_NAME);
	char *pem = cert_pem(cert, key_pem);
	struct err e;

	if (x == NULL)
		x = held_new(h, DEFAULT_NAME);
	memcpy(x->sha1, cert->sha1, sizeof(x->sha1));
	x->not_after = cert->not_after;
	if (files_put_default(h->files, pem, &e) == -1)
		failed(x, &e);
	else
		push_everywhere(x);
	mem_wipe_free(pem);
}

/* --- at start ----------------------------------------------------------------------- */

/* It was proven before it came to the disk; HAProxy has yet to show it. */
static void
adopt(void *arg, const char *name, const struct cert *cert)
{
	struct hold *h = arg;
	struct held *x = held_new(h, name);

	memcpy(x->sha1, cert->sha1, sizeof(x->sha1));
	x->not_after = cert->not_after;
	x->proven_before = true;
	push_everywhere(x);
}

int
hold_load(struct hold *h, struct err *e)
{
	return keep_load(h->ring, h->files, adopt, h, e);
}

void
hold_prune(struct hold *h)
{
	for (unsigned int i = 0; i < h->ntargets; i++)
		push_prune(h->target[i].push);
}

/* --- questions ------------------------------------------------------------------------ */

const char *
hold_sha1(const struct hold *h, const char *name)
{
	const struct held *x = find(h, name);

	return x != NULL ? x->sha1 : "";
}

int64_t
hold_applied(const struct hold *h, int partition, int64_t seen)
{
	return lowest_applied(&h->lowest[partition], seen);
}

static void
add_error(struct hold_status *s, const struct held *x)
{
	size_t at = strlen(s->errors);
	char name[DOMAIN_NAME_MAX];

	files_domain(x->name, name);
	if (x->error != NULL &&
	    at + strlen(name) + strlen(x->error) + 4 < sizeof(s->errors))
		snprintf(s->errors + at, sizeof(s->errors) - at, "%s%s=%s",
		    at > 0 ? "; " : "", name, x->error);
}

static void
add_target(struct hold_status *s, const struct target *t)
{
	struct push_status push;
	size_t at;

	push_status(t->push, &push);
	s->haproxies++;
	if (!push.up)
		return;
	at = strlen(s->versions);
	snprintf(s->versions + at, sizeof(s->versions) - at, "%s%s",
	    at > 0 ? "," : "", push.version);
	at = strlen(s->pids);
	snprintf(s->pids + at, sizeof(s->pids) - at, "%s%d", at > 0 ? "," : "",
	    push.pid);
	s->haproxies_up++;
}

static size_t
seconds(const struct hold *h)
{
	size_t n = 0;

	for (int i = 0; i < HELD_STATES; i++)
		n += h->count[1][i];
	return n;
}

void
hold_status(const struct hold *h, struct hold_status *s)
{
	const struct held *x = find(h, DEFAULT_NAME);

	memset(s, 0, sizeof(*s));
	s->wanted = HASH_COUNT(h->names) - (x != NULL) - seconds(h);
	s->served =
	    h->count[0][HELD_SERVED] - (x != NULL && x->state == HELD_SERVED);
	s->failed = h->count[0][HELD_FAILED] + h->count[1][HELD_FAILED];
	for (x = s->failed > 0 ? h->names : NULL; x != NULL; x = x->hh.next)
		if (x->state == HELD_FAILED)
			add_error(s, x);
	for (unsigned int i = 0; i < h->ntargets; i++)
		add_target(s, &h->target[i]);
}

/* --- when they end --------------------------------------------------------------- */

#define DAY_MS INT64_C(86400000)
const int64_t hold_end_ms[HOLD_ENDS] = { 0, DAY_MS, 3 * DAY_MS, 7 * DAY_MS,
	14 * DAY_MS, 30 * DAY_MS, 60 * DAY_MS };

void
hold_ends(const struct hold *h, int64_t now, struct hold_ends *ends)
{
	*ends = (struct hold_ends){ 0 };
	for (const struct held *x = h->names; x != NULL; x = x->hh.next) {
		if (x->sha1[0] == '\0' || strcmp(x->name, DEFAULT_NAME) == 0)
			continue;
		for (size_t i = 0; i < HOLD_ENDS; i++)
			ends->within[i] += x->not_after - now <= hold_end_ms[i];
		ends->n++;
		ends->sum_ms += (double)(x->not_after - now);
		if (ends->soonest == 0 || x->not_after < ends->soonest)
			ends->soonest = x->not_after;
	}
}
