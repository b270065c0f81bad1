/* Node: the heartbeat, which also tells what is applied. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/seal.h"
#include "sync/hold.h"
#include "sync/intake.h"
#include "sync/issuer.h"
#include "sync/leader.h"
#include "sync/node_impl.h"
#include "sync/offers.h"
#include "sync/store.h"
#include "sync/trials.h"
#include "sync/watch.h"

#define BEATS_MS 50 /* from one beat to the next, at the least */

/* Once when it goes wrong, once when it is right again. */
void
node_got_time(void *arg, int64_t redis_ms, const struct err *e)
{
	struct node *n = arg;
	int64_t now = loop_wall_ms(), up = loop_now_ms();
	char why[sizeof(n->clock)];

	if (e != NULL)
		return;
	skew_note(&n->skew, SKEW_REDIS, up, redis_ms);
	if (!skew_alarm(&n->skew, now, up, why, sizeof(why)))
		why[0] = '\0';
	if (why[0] != '\0' && n->clock[0] == '\0')
		log_error("clock: %s%s", why,
		    skew_implausible(&n->skew, now, up)
			? "; until then nothing is ordered or replaced"
			: "");
	else if (why[0] == '\0' && n->clock[0] != '\0')
		log_info("clock: right again");
	memcpy(n->clock, why, sizeof(n->clock));
}

/*
 * A Redis that takes no writes has a word for why; one that is away has none,
 * and on_redis() tells of that.  Once when it begins, once when it is over.
 */
static void
beaten(void *arg, const struct err *e)
{
	struct node *n = arg;
	const char *why = e != NULL ? e->text : "";

	if (e != NULL)
		log_debug("heartbeat: %s %s", e->type, e->text);
	if (e != NULL && e->type[0] == '\0')
		return;
	if (e != NULL && n->refused[0] == '\0')
		log_error("redis=%s type=%s %s", conf_redis_url(n->conf),
		    e->type, why);
	else if (e == NULL && n->refused[0] != '\0')
		log_info(
		    "redis=%s takes writes again", conf_redis_url(n->conf));
	snprintf(n->refused, sizeof(n->refused), "%.159s", why);
}

/* How far we are, and since when that is not where Redis is. */
static void
put_lag(struct node *n, struct store_node *b)
{
	struct gens heard;

	watch_applied(n->watch, &n->told);
	watch_heard(n->watch, &heard);
	if (gens_equal(&n->told, &heard))
		n->behind_at = 0;
	else if (n->behind_at == 0)
		n->behind_at = loop_wall_ms();
	b->gens = n->told;
	b->behind_at = n->behind_at;
}

/* "2:1,2": the key that seals, then all that are there. */
static void
put_keks(const struct seal_ring *ring, char *out, size_t size)
{
	struct seal_key *key = xcalloc(SEAL_KEYS_MAX, sizeof(*key));
	size_t n = seal_ring_keys(ring, key, SEAL_KEYS_MAX), at;

	at = (size_t)snprintf(out, size, "%u", seal_ring_seals(ring));
	for (size_t i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(
		    out + at, size - at, "%s%u", i == 0 ? ":" : ",", key[i].id);
	free(key);
}

/*
 * From time to time also that we are there, and what time it is; in between,
 * which may be often, only how far we are.  True when it is time for all.
 */
static bool
next_beat(struct node *n)
{
	int64_t now = loop_now_ms();
	bool full = now >= n->full_at;

	n->beat_at = now;
	if (full)
		n->full_at = now + n->conf->fleet.heartbeat_ms;
	loop_after(n->base, &n->beat, n->full_at - now, node_beat, n);
	return full;
}

void
node_beat(void *arg)
{
	struct node *n = arg;
	bool full = next_beat(n);
	struct hold_status hold;
	struct store_node b = { 0 };
	struct intake_progress progress;

	if (!n->ready || n->leaving)
		return;
	if (full) {
		store_time(n->store, node_got_time, n);
		store_present(n->store, n->conf->node, loop_wall_ms());
		issuer_remember(n->issuer);
	}
	node_forget_stall(n);
	hold_status(n->hold, &hold);
	snprintf(b.id, sizeof(b.id), "%s", n->conf->node);
	snprintf(b.version, sizeof(b.version), "%s", CERTFLEET_VERSION);
	memcpy(b.haproxy, hold.versions, sizeof(b.haproxy));
	memcpy(b.haproxy_pids, hold.pids, sizeof(b.haproxy_pids));
	memcpy(b.errors, hold.errors, sizeof(b.errors));
	b.at = loop_wall_ms();
	put_lag(n, &b);
	memcpy(b.differs, hold.differs, sizeof(b.differs));
	memcpy(b.digest, hold.digest, sizeof(b.digest));
	trials_text(n->trials, b.trials, sizeof(b.trials));
	b.wanted = (int64_t)hold.wanted;
	b.served = (int64_t)hold.served;
	b.failed = (int64_t)hold.failed;
	b.leader = leader_epoch(n->leader) != 0;
	put_keks(n->ring, b.keks, sizeof(b.keks));
	b.candidate = n->conf->fleet.candidate;
	issuer_progress(n->issuer, &progress);
	b.in_hand = (int64_t)progress.domains;
	b.orders = (int64_t)progress.orders;
	b.committed_at = progress.committed_at;
	b.offers = (int64_t)offers_size(n->offers);
	b.mustered = n->mustered = watch_mustered(n->watch);
	b.barrier = n->conf->haproxy.http_address[0] != '\0';
	store_beat(n->store, &b, beaten, n);
	trials_told(n->trials);
	if (b.leader)
		store_fill(n->store);
	loop_notify("STATUS=%s epoch=%lld wanted=%zu served=%zu failed=%zu",
	    b.leader ? "leader" : "follower",
	    (long long)leader_epoch(n->leader), hold.wanted, hold.served,
	    hold.failed);
}

void
node_on_hold(void *arg)
{
	struct node *n = arg;
	struct gens applied;
	int64_t wait = n->beat_at + BEATS_MS - loop_now_ms();

	if (!n->ready)
		return;
	trials_check(n->trials);
	watch_applied(n->watch, &applied);
	if (!gens_equal(&applied, &n->told))
		loop_after(
		    n->base, &n->beat, wait > 0 ? wait : 0, node_beat, n);
}

void
node_on_trial(void *arg)
{
	struct node *n = arg;

	loop_after(n->base, &n->beat, 0, node_beat, n);
}
