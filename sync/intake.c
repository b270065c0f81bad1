#include "sync/intake.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "common/table.h"
#include "sync/check.h"
#include "sync/deadman.h"
#include "sync/dns01.h"
#include "sync/driver.h"
#include "sync/intake_impl.h"
#include "sync/need.h"
#include "sync/platform.h"
#include "sync/renew.h"
#include "sync/renewal_info.h"
#include "sync/revoke.h"
#include "sync/roster.h"
#include "sync/skew.h"
#include "sync/store.h"

#define TICK_MS 1000 /* how often to look for what is due */
#define IN_HAND_MAX 2048
#define WAITS_MAX 8192 /* for slow providers, beside those */
#define CROWD 200      /* domains in hand whose memory is worth returning */
#define PLATFORM_MS (24 * 3600 * 1000) /* is it still covered? */

static void claim(void *);
static void look(struct work *);

struct intake *
intake_new(struct event_base *base, const struct conf *conf,
    const struct skew *skew, struct store *store, struct checks *checks,
    struct driver *driver, struct ca *ca, struct roster *roster,
    struct renewal_info *renewal_info)
{
	struct intake *in = xcalloc(1, sizeof(*in));

	in->base = base;
	in->conf = conf;
	in->skew = skew;
	in->store = store;
	in->checks = checks;
	in->driver = driver;
	in->ca = ca;
	in->roster = roster;
	in->renewal_info = renewal_info;
	lanes_init(&in->lanes, conf->acme.max_in_flight, LANE_MAX);
	driver_rests(driver, work_rests);
	return in;
}

void
intake_platform(struct intake *in, const struct platform *platform)
{
	in->platform = platform;
}

void
intake_dns01(struct intake *in, struct dns01 *dns01)
{
	in->dns01 = dns01;
}

void
intake_revokes(struct intake *in, struct revokes *revokes)
{
	in->revokes = revokes;
}

void
work_free(struct work *w)
{
	HASH_DEL(w->in->table, w);
	w->in->waits -= w->waits;
	lanes_leave(&w->in->lanes, &w->lane);
	check_cancel(w->in->checks, w);
	driver_cancel(w->in->driver, w);
	dns01_cancel(w->in->dns01, w);
	revoke_cancel(w->in->revokes, w);
	renewal_info_cancel(w->in->renewal_info, w);
	store_forget(w->in->store, w);
	roster_forget(w->in->roster, w);
	free(w->not_second);
	free(w->rollout);
	free(w);
}

void
intake_stop(struct intake *in)
{
	struct work *w, *next;

	in->epoch = 0;
	loop_cancel(in->tick);
	store_forget(in->store, in);
	in->claiming = 0;
	HASH_ITER (hh, in->table, w, next)
		work_free(w);
	intake_forget_all_waiting(in);
	intake_forget_all_away(in);
}

void
intake_free(struct intake *in)
{
	if (in == NULL)
		return;
	intake_stop(in);
	loop_timer_free(&in->tick);
	free(in);
}

void
intake_start(struct intake *in, int64_t epoch)
{
	in->epoch = epoch;
	in->begins = true;
	in->committed_at = 0;
	loop_after(in->base, &in->tick, 0, claim, in);
}

void
intake_kick(struct intake *in)
{
	if (in->epoch != 0 && in->claiming == 0)
		loop_after(in->base, &in->tick, 0, claim, in);
}

void
intake_progress(const struct intake *in, struct intake_progress *p)
{
	p->domains = HASH_COUNT(in->table);
	p->orders = (size_t)(in->lanes.in_flight + in->lanes.resting);
	p->committed_at = in->committed_at;
}

void
intake_state(const struct intake *in, struct deadman_state *s)
{
	s->in_hand = HASH_COUNT(in->table) - in->waits;
	s->moved = in->moved;
}

/* --- what is due ----------------------------------------------------------------- */

void
intake_take(struct intake *in, const char *name)
{
	struct work *w;

	HASH_FIND_STR(in->table, name, w);
	if (w != NULL || strlen(name) >= DOMAIN_NAME_MAX)
		return;
	intake_forget_away(in, name);
	w = xcalloc(1, sizeof(*w));
	w->in = in;
	memcpy(w->name, name, strlen(name) + 1);
	HASH_ADD_STR(in->table, name, w);
	look(w);
}

static void
claimed(void *arg, const char *const *names, size_t n, const struct err *e)
{
	struct intake *in = arg;
	int64_t pause = TICK_MS;

	if (e != NULL)
		log_debug("due names: %s", e->text);
	for (size_t i = 0; e == NULL && i < n; i++)
		intake_take(in, names[i]);
	if (--in->claiming > 0)
		return;
	if (in->conf->dns.check_interval_ms / 2 < pause)
		pause = in->conf->dns.check_interval_ms / 2;
	loop_after(in->base, &in->tick, pause, claim, in);
}

/* What many orders have left behind is not needed for the next few. */
static void
calm_down(struct intake *in)
{
	size_t in_hand = HASH_COUNT(in->table);

	if (in_hand > in->crowd)
		in->crowd = in_hand;
	if (in_hand > 0 || in->crowd < CROWD)
		return;
	in->crowd = 0;
	mem_trim();
}

/*
 * Claimed names come back after a lease's time if we die over them; those we
 * still have in hand then are passed over by intake_take().  Who begins to lead
 * does not wait for those of whoever led before, and looks at all that is due by
 * then.
 */
static void
claim(void *arg)
{
	struct intake *in = arg;
	int64_t visible = in->conf->fleet.lease_ms;
	int64_t ahead = in->begins ? visible : 0;
	size_t in_hand = HASH_COUNT(in->table) - in->waits;
	int partitions = store_partitions(in->store), each;

	if (in->claiming > 0 || in->epoch == 0)
		return;
	calm_down(in);
	if (in_hand >= IN_HAND_MAX || in->waits >= WAITS_MAX ||
	    skew_implausible(in->skew, loop_wall_ms(), loop_now_ms())) {
		loop_after(in->base, &in->tick, TICK_MS, claim, in);
		return;
	}
	/* Names are spread evenly; a few too many are welcome. */
	each = (int)(IN_HAND_MAX - in_hand) / partitions + 1;
	for (int i = 0; i < partitions; i++) {
		in->claiming++;
		store_claim(in->store, i, loop_wall_ms() + ahead, each,
		    visible - ahead, claimed, in);
	}
	in->begins = false;
}

/* --- one domain ------------------------------------------------------------------- */

void
work_written(void *arg, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	bool again = w->again;
	char name[DOMAIN_NAME_MAX];

	in->moved += e == NULL;
	memcpy(name, w->name, sizeof(name));
	/* The owner was faster: judge anew. */
	if (e != NULL && strcmp(e->type, "CHANGED") == 0) {
		again = true;
	} else if (e != NULL) {
		again = false;
		log_warn(
		    "domain=%s not written: %s %s", w->name, e->type, e->text);
	}
	work_free(w);
	intake_next_orders(in);
	if (again)
		intake_take(in, name);
}

/* Put the domain down until next_at, or until a stopped trial goes on. */
void
work_put_down(struct work *w, int64_t next_at, const char *event)
{
	int64_t trial_at = w->d.custom_trial_at;

	if (trial_at > loop_wall_ms() && (next_at == 0 || trial_at < next_at))
		next_at = trial_at;
	w->d.next_at = next_at;
	store_update(w->in->store, &w->d, next_at, event, work_written, w);
}

/* Change the status; true when people will see a difference. */
bool
work_say(struct domain *d, enum domain_status status, const char *reason)
{
	bool changed = d->status != status;
	bool news = changed || strcmp(d->reason, reason) != 0;

	if (changed) {
		log_info("domain=%s status=%s reason=\"%s\"", d->name,
		    domain_status_name(status), reason);
		d->status = status;
		d->status_at = loop_wall_ms();
	}
	snprintf(d->reason, sizeof(d->reason), "%s", reason);
	return news;
}

/* A certificate that still serves is not talked down by what fails now. */
enum domain_status
work_unless_in_use(const struct domain *d, enum domain_status status)
{
	int64_t now = loop_wall_ms();
	bool serves = d->version > 0 && d->proven == d->version;

	if (d->not_after > now &&
	    (d->status == DOMAIN_IN_USE ||
		(d->status == DOMAIN_ACTION_REQUIRED && serves)))
		return DOMAIN_IN_USE;
	if (d->status == DOMAIN_NOT_USED && need_custom_serves(d, now))
		return DOMAIN_NOT_USED;
	return status;
}

int64_t
intake_custom_before_ms(const struct intake *in)
{
	return (int64_t)in->conf->acme.custom_days * 24 * 3600 * 1000;
}

/* The leader's switch to the managed certificate has been made, or not. */
static void
taken_over(void *arg, bool yes, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	char name[DOMAIN_NAME_MAX];

	memcpy(name, w->name, sizeof(name));
	if (e != NULL)
		log_warn("domain=%s not switched: %s", name, e->text);
	else if (yes)
		log_info("domain=%s custom=gone managed=served", name);
	work_free(w);
	if (e == NULL && yes)
		intake_take(in, name);
}

/* Without a certificate of its own, is it served by the platform's? */
static bool
by_platform(const struct intake *in, const struct domain *d, int64_t now)
{
	return d->custom_sha1[0] == '\0' &&
	       (d->sha1[0] == '\0' || !d->letsencrypt) &&
	       d->canary[0] == '\0' && d->custom_trial_at == 0 &&
	       platform_covers(in->platform, d->name, now);
}

static void
put_down_platform(struct work *w)
{
	int64_t end = platform_not_after(w->in->platform);
	int64_t next =
	    loop_wall_ms() + PLATFORM_MS / 2 + loop_random(PLATFORM_MS / 2);
	char reason[sizeof(w->d.reason)], at[STR_TIME_MAX];
	bool news;

	work_forget_record(&w->d);
	snprintf(reason, sizeof(reason),
	    "served by the platform certificate until %s", str_time(at, end));
	news = work_say(&w->d, DOMAIN_IN_USE, reason);
	intake_forget_waiting(w->in, w->name);
	work_put_down(w, next < end ? next : end, news ? "status" : NULL);
}

/* Revoked: judge anew.  Not: try again, but never at a renewal's expense. */
static void
revoked(void *arg, const struct err *e)
{
	struct work *w = arg;
	struct intake *in = w->in;
	const struct conf *conf = in->conf;
	char name[DOMAIN_NAME_MAX];
	int64_t pause;

	memcpy(name, w->name, sizeof(name));
	if (e == NULL) {
		work_free(w);
		intake_take(in, name);
		return;
	}
	log_warn("domain=%s not revoked: %s", name, e->text);
	snprintf(w->d.last_error, sizeof(w->d.last_error),
	    "not revoked: %.240s", e->text);
	if (w->d.letsencrypt && loop_wall_ms() >= w->d.renew_at) {
		work_certificate(w);
		return;
	}
	w->d.attempts++;
	pause =
	    renew_pause(w->d.attempts, (int64_t)conf->acme.retry_first_s * 1000,
		(int64_t)conf->acme.retry_max_s * 1000, e->retry_ms,
		loop_random(UINT32_MAX));
	work_put_down(w, loop_wall_ms() + pause, "failed");
}

static void
got_renewal_info(void *arg, bool moved)
{
	struct work *w = arg;

	work_put_down(w, renew_due(&w->d), moved ? "renewal_moved" : NULL);
}

/* Only its owner can go on. */
static void
put_down_disabled(struct work *w, const char *reason)
{
	bool news = work_say(&w->d, DOMAIN_DISABLED, reason);

	dns01_withdraw(w->in->dns01, w->name);
	work_put_down(w, 0, news ? "status" : NULL);
}

static void
got_record(void *arg, const struct domain *d, const struct err *e)
{
	struct work *w = arg;
	int64_t now = loop_wall_ms();
	enum need need;

	if (e != NULL || d == NULL) {
		if (e != NULL)
			log_warn("domain=%s not read: %s", w->name, e->text);
		work_free(w);
		return;
	}
	w->d = *d;
	w->d.extra = NULL;
	w->d.nextra = 0;
	w->d.epoch = w->in->epoch;
	if (by_platform(w->in, d, now)) {
		put_down_platform(w);
		return;
	}
	need = need_of(d, now, intake_custom_before_ms(w->in));
	if (need != NEED_PROOF)
		intake_forget_waiting(w->in, w->name);
	if (w->d.acme_dns_value[0] != '\0' && need != NEED_DNS01 &&
	    need != NEED_REVOCATION)
		work_forget_record(&w->d);
	switch (need) {
	case NEED_NOTHING:
		work_put_down(w,
		    need_next_at(d, now, intake_custom_before_ms(w->in)), NULL);
		break;
	case NEED_REVOCATION:
		revoke_start(w->in->revokes, &w->d, revoked, w);
		break;
	case NEED_TAKE_OVER:
		store_custom_clear(w->in->store, w->name, w->in->epoch,
		    w->d.custom_sha1, taken_over, w);
		break;
	case NEED_OWNER:
		put_down_disabled(w,
		    "its custom certificate has expired and Let's Encrypt is "
		    "switched off: upload a new one or switch it on");
		break;
	case NEED_CERTIFICATE:
		work_certificate(w);
		break;
	case NEED_RENEWAL_INFO:
		renewal_info_ask(
		    w->in->renewal_info, &w->d, got_renewal_info, w);
		break;
	case NEED_CANARY:
		work_canary(w);
		break;
	case NEED_PROOF:
		work_proof(w);
		break;
	case NEED_SWITCH_OFF:
		put_down_disabled(
		    w, "Let's Encrypt is switched off for this domain");
		break;
	case NEED_DNS01:
		work_record(w);
		break;
	}
}

static void
look(struct work *w)
{
	store_take(w->in->store, w->name, w->in->epoch, got_record, w);
}
