#include "sync/node.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/rds.h"
#include "common/rds_setup.h"
#include "common/redis_keys.h"
#include "common/seal.h"
#include "common/worker.h"
#include "sync/api/api.h"
#include "sync/authority.h"
#include "sync/barrier.h"
#include "sync/embedded_redis.h"
#include "sync/hold.h"
#include "sync/http.h"
#include "sync/intake.h"
#include "sync/issuer.h"
#include "sync/leader.h"
#include "sync/node_impl.h"
#include "sync/offers.h"
#include "sync/outbox.h"
#include "sync/platform.h"
#include "sync/reseal.h"
#include "sync/resolve.h"
#include "sync/skew.h"
#include "sync/store.h"
#include "sync/trials.h"
#include "sync/visits.h"
#include "sync/watch.h"
#include "sync/webhook.h"
#include "sync/witness.h"

#define GOODBYE_MS 300 /* for what is said at the end to reach Redis */
#define INIT_AGAIN_MS 1000
#define OPEN_LATEST_MS 3000 /* without Redis the API has only that to say */

static void stopped(void *);

/* --- what is heard ---------------------------------------------------------------- */

static void
on_trial_over(void *arg, int partition)
{
	struct node *n = arg;

	watch_again(n->watch, partition);
}

static void
on_ack(struct node *n, const char *text)
{
	issuer_ack(n->issuer, text);
	witness_hear(n->witness, text);
}

static void
on_message(void *arg, const char *channel, const char *text, size_t len)
{
	struct node *n = arg;

	(void)len;
	if (strcmp(channel, n->channel[0]) == 0)
		barrier_challenge(n->barrier, text);
	else if (strcmp(channel, n->channel[1]) == 0)
		issuer_ready(n->issuer, text);
	else if (strcmp(channel, n->channel[2]) == 0)
		on_ack(n, text);
}

/* What owners do makes their domain due at once. */
static bool
by_owner(const char *type)
{
	static const char *const types[] = { "added", "custom", "managed",
		"leaving", "revoke", "renew", "withdrawn", "enabled",
		"disabled", "env", "imported", "staged", "unstaged", "rollback",
		"restored" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

static void
on_event(void *arg, const char *type)
{
	struct node *n = arg;

	if (strcmp(type, "reseal") == 0 && n->leader != NULL &&
	    leader_epoch(n->leader) != 0)
		reseal_start(n->reseal, 1);
	if (strcmp(type, "rollover") == 0)
		issuer_rollover(n->issuer);
	webhooks_kick(n->webhooks);
	if (by_owner(type))
		issuer_kick(n->issuer);
	if (strcmp(type, "reconciled") == 0 || strcmp(type, "restored") == 0)
		offers_look(n->offers);
	if (watch_mustered(n->watch) != n->mustered)
		loop_after(n->base, &n->beat, 0, node_beat, n);
	if (strcmp(type, "added") != 0)
		node_on_hold(n);
}

/*
 * Nothing moves: perhaps another node has more luck, or this one anew.  When it
 * comes to the same again, a new process is to try.
 */
static void
on_stalled(void *arg, size_t in_hand, int64_t for_ms, int times)
{
	struct node *n = arg;
	struct err e;

	err_set(&e, ERR_AGAIN,
	    "this node led and came no further for %lld s, with %zu domains in "
	    "hand",
	    (long long)for_ms / 1000, in_hand);
	snprintf(n->stalled, sizeof(n->stalled), "%.159s", e.text);
	metric_count(METRIC_LEADERSHIP, METRIC_LEADERSHIP_STALLED, 0);
	log_error("leader=%s epoch=%lld %s: %s", n->conf->node,
	    (long long)leader_epoch(n->leader), e.text,
	    times > 1 ? "it ends, to be started anew" : "it hands over");
	leader_stand_down(n->leader, (int64_t)n->conf->fleet.lease_ms * 2);
	if (times < 2)
		return;
	*n->failed = e;
	n->gave_up = n->leaving = true;
	loop_after(n->base, &n->stop, GOODBYE_MS, stopped, n);
}

void
node_forget_stall(struct node *n)
{
	const char *holder = n->leader != NULL ? leader_holder(n->leader) : "";
	bool other = holder[0] != '\0' && strcmp(holder, n->conf->node) != 0;

	if (n->stalled[0] != '\0' && (other || issuer_moves(n->issuer)))
		n->stalled[0] = '\0';
}

static void
on_leader(void *arg, bool leading, int64_t epoch)
{
	struct node *n = arg;

	if (leading)
		metric_count(METRIC_LEADERSHIP, METRIC_LEADERSHIP_BEGAN, 0);
	if (leading)
		issuer_start(n->issuer, epoch);
	else
		issuer_stop(n->issuer);
	if (leading) {
		webhooks_start(n->webhooks, epoch);
		reseal_start(n->reseal, 0);
	} else {
		webhooks_stop(n->webhooks);
		reseal_stop(n->reseal);
	}
	if (!n->leaving)
		loop_after(n->base, &n->beat, 0, node_beat, n);
}

/* --- the admin API ---------------------------------------------------------------- */

static void
api_ask(void *arg, struct api_state *s)
{
	struct node *n = arg;

	hold_status(n->hold, &s->hold);
	if (s->wants_ends)
		hold_ends(n->hold, loop_wall_ms(), &s->ends);
	s->redis_up = rds_up(n->rds);
	s->webhook_lag_ms = webhooks_lag(n->webhooks, loop_wall_ms());
	s->leader = n->leader != NULL && leader_epoch(n->leader) != 0;
	s->epoch = n->leader != NULL ? leader_epoch(n->leader) : 0;
	snprintf(s->error, sizeof(s->error), "%s",
	    n->refused[0] != '\0'            ? n->refused
	    : store_old(n->store)[0] != '\0' ? store_old(n->store)
	    : n->stalled[0] != '\0'          ? n->stalled
					     : n->clock);
	s->haproxies = s->hold.haproxies;
	s->haproxies_up = s->hold.haproxies_up;
}

/*
 * People are let in when Redis answers, so that nobody who comes right after
 * the start hears of a Redis that is still starting; or soon, all the same.
 */
static void
open_api(void *arg)
{
	struct node *n = arg;

	loop_cancel(n->open);
	if (n->api != NULL || n->leaving)
		return;
	n->api = api_new(
	    n->base, n->conf, n->store, &n->redis.conf, api_ask, n, n->failed);
	if (n->api == NULL) {
		loop_stop(n->base);
		return;
	}
	api_ring(n->api, n->ring);
	api_checks(n->api, issuer_checks(n->issuer));
	api_witness(n->api, n->witness);
	log_info("node=%s version=%s redis=%s ready", n->conf->node,
	    CERTFLEET_VERSION, conf_redis_url(n->conf));
	loop_notify("READY=1");
}

/* --- Redis comes and goes ------------------------------------------------------------ */

static void init(void *);

/* Ask for the lease, unless this program is too old to change anything. */
static void
lead(struct node *n)
{
	if (store_old(n->store)[0] != '\0') {
		if (n->leader != NULL)
			leader_resign(n->leader);
	} else if (n->leader == NULL) {
		n->leader =
		    leader_new(n->base, n->conf, n->store, on_leader, n);
	} else {
		issuer_muster(n->issuer);
	}
}

static void
initialised(void *arg, const struct err *e)
{
	struct node *n = arg;

	if (e != NULL) {
		log_error("redis: %s", e->text);
		loop_after(n->base, &n->init, INIT_AGAIN_MS, init, n);
		return;
	}
	n->ready = true;
	open_api(n);
	lead(n);
	/* Before the index comes: what is to be fetched first? */
	visits_meet(n->visits);
	watch_reconcile(n->watch);
	n->full_at = 0;
	loop_after(n->base, &n->beat, 0, node_beat, n);
}

static void
init(void *arg)
{
	struct node *n = arg;

	if (!rds_up(n->rds))
		return;
	/* Answers come in this order: no work begins by a clock not looked at. */
	store_time(n->store, node_got_time, n);
	store_init(n->store, initialised, n);
}

static void
on_redis(void *arg, bool up, const struct err *why)
{
	struct node *n = arg;

	if (up) {
		log_info("redis=%s up", conf_redis_url(n->conf));
		loop_after(n->base, &n->init, 0, init, n);
	} else {
		log_warn("redis=%s down: %s", conf_redis_url(n->conf),
		    why != NULL ? why->text : "");
	}
}

static void
on_sub(void *arg, bool up, const struct err *why)
{
	(void)arg;
	if (!up)
		log_debug("redis channels: %s", why != NULL ? why->text : "");
}

static void
listen_to_redis(struct node *n)
{
	static const char *const formats[CHANNELS] = { CHANNEL_CHALLENGES,
		CHANNEL_READY, CHANNEL_ACKS };
	const char *channels[CHANNELS];

	for (int i = 0; i < CHANNELS; i++)
		channels[i] = store_key(n->store, formats[i], n->channel[i],
		    sizeof(n->channel[i]), 0, NULL);
	n->sub = rds_sub_new(
	    n->base, &n->redis.conf, channels, CHANNELS, on_message, on_sub, n);
}

/* --- begin and end ---------------------------------------------------------------------- */

static int
begin(struct node *n, const struct seal_ring *ring, struct files *files,
    struct err *e)
{
	const struct conf *conf = n->conf;
	struct http_conf http = { .ca_file = conf->acme.ca_file,
		.max_in_flight = conf->acme.max_requests,
		.timeout_ms = conf->acme.request_timeout_ms };
	struct authorities *authorities;
	struct err why;

	if (conf_redis_embedded(conf) &&
	    (n->embedded = embedded_redis_start(n->base, conf, e)) == NULL)
		return -1;
	if ((n->resolve = resolve_new(n->base, conf, e)) == NULL)
		return -1;
	rds_setup_init(&n->redis, n->base, conf, "certfleet-sync", true);
	n->rds = rds_new(n->base, &n->redis.conf, on_redis, n);
	n->store = store_new(n->rds, conf, ring);
	n->http = http_new(n->base, &http);
	n->worker = worker_new(n->base);
	n->hold = hold_new(
	    n->base, conf, ring, &n->skew, files, n->worker, node_on_hold, n);
	n->visits = visits_new(n->base, conf, n->hold, n->store);
	if (hold_load(n->hold, e) == -1)
		return -1;
	n->watch = watch_new(
	    n->base, conf, &n->redis.conf, n->store, n->hold, on_event, n);
	n->trials = trials_new(
	    n->base, conf, n->store, n->hold, node_on_trial, on_trial_over, n);
	watch_trials(n->watch, n->trials);
	n->witness = witness_new(n->base, conf, n->store, n->hold);
	if (conf->fleet.candidate &&
	    (n->outbox = outbox_new(conf->state_dir, ring, OUTBOX_MAX,
		 conf_redis_local(conf), &why)) == NULL)
		log_error("outbox: %s", why.text);
	outbox_worker(n->outbox, n->worker);
	n->offers =
	    offers_new(n->base, conf, n->store, n->hold, files, n->outbox);
	n->barrier = barrier_new(n->base, conf, n->http, n->store);
	if ((authorities = authorities_new(n->base, conf, e)) == NULL)
		return -1;
	n->ring = ring;
	n->reseal = reseal_new(n->base, conf, ring, n->store);
	n->issuer = issuer_new(n->base, conf, ring, &n->skew, n->store, n->http,
	    n->resolve, authorities, n->worker);
	watch_outbox(n->watch, n->outbox);
	issuer_heal(n->issuer, ring, n->watch, n->hold, n->outbox);
	issuer_watched(n->issuer, on_stalled, n);
	n->platform = platform_new(n->base, conf, files, n->hold);
	issuer_platform(n->issuer, n->platform);
	n->webhooks = webhooks_new(n->base, conf, n->store);
	listen_to_redis(n);
	n->failed = e;
	loop_after(n->base, &n->open, OPEN_LATEST_MS, open_api, n);
	return 0;
}

static void
end(struct node *n)
{
	loop_timer_free(&n->beat);
	loop_timer_free(&n->init);
	loop_timer_free(&n->open);
	loop_timer_free(&n->stop);
	api_free(n->api);
	leader_free(n->leader);
	reseal_free(n->reseal);
	issuer_free(n->issuer);
	platform_free(n->platform);
	webhooks_free(n->webhooks);
	barrier_free(n->barrier);
	watch_free(n->watch);
	trials_free(n->trials);
	witness_free(n->witness);
	offers_free(n->offers);
	outbox_free(n->outbox);
	visits_free(n->visits);
	hold_free(n->hold);
	worker_free(n->worker);
	http_free(n->http);
	resolve_free(n->resolve);
	rds_sub_free(n->sub);
	store_free(n->store);
	rds_free(n->rds);
	rds_setup_clear(&n->redis);
	embedded_redis_stop(n->embedded);
}

static void
stopped(void *arg)
{
	struct node *n = arg;

	loop_stop(n->base);
}

/* Hand over, say good-bye, and leave when Redis has heard it. */
static void
on_stop(void *arg)
{
	struct node *n = arg;

	log_info("stopping");
	loop_notify("STOPPING=1");
	n->leaving = true;
	hold_leave(n->hold);
	if (n->leader != NULL)
		leader_resign(n->leader);
	store_leave(n->store, n->conf->node);
	loop_after(n->base, &n->stop, GOODBYE_MS, stopped, n);
}

static void
on_hup(void *arg)
{
	(void)arg;
	log_info("SIGHUP: settings are read at start only; restart to change "
		 "them, HAProxy keeps serving meanwhile");
}

int
node_run(const struct conf *conf, const struct seal_ring *ring,
    struct files *files, struct err *e)
{
	struct node n = { .conf = conf, .base = loop_new() };
	int rc = begin(&n, ring, files, e);

	if (rc == 0) {
		loop_run(n.base, on_stop, on_hup, &n);
		rc = n.api != NULL || n.leaving ? 0 : -1;
		rc = n.gave_up ? 1 : rc;
	}
	end(&n);
	event_base_free(n.base);
	return rc;
}
