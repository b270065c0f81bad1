/*
 * Redis: does it keep what it is given, is the library there, is the time the
 * same?  All is asked over one connection, as certfleet-sync makes it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <openssl/rand.h>

#include "common/b64.h"
#include "common/library.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds.h"
#include "common/rds_setup.h"
#include "common/redis_keys.h"
#include "common/str.h"
#include "sync/cli/doctor.h"

#define PATIENCE_MS 5000
#define SKEW_MAX_MS 60000 /* as sync/skew.h has it */
#define CHALLENGE_MS 15000
#define TOKEN_BYTES 32

struct asking {
	struct doctor *d;
	struct event_base *base;
	struct event *deadline;
	struct rds *rds;
	bool asked;
	int waiting;
	char *info;    /* NULL: not told */
	char save[64]; /* "" also when not told */
	bool save_told;
	struct err denied;
	char token[B64URL_SIZE(TOKEN_BYTES)], key[KEY_MAX], keyauth[128];
};

static void ask_all(struct asking *);

/* --- judging ----------------------------------------------------------------------- */

/* The value of "name:value" in what INFO says; "" when it is not there. */
static const char *
info(const struct asking *a, const char *name, char *out, size_t size)
{
	const char *line = a->info;
	size_t len = strlen(name);

	out[0] = '\0';
	while (line != NULL && *line != '\0') {
		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			line += len + 1;
			snprintf(out, size, "%.*s", (int)strcspn(line, "\r\n"),
			    line);
			break;
		}
		line = strchr(line, '\n');
		line += line != NULL;
	}
	return out;
}

static void
check_persistence(const struct asking *a)
{
	struct doctor *d = a->d;
	char aof[16], wrote[16], saved[16];
	bool on = strcmp(info(a, "aof_enabled", aof, sizeof(aof)), "1") == 0;
	const char *failed = NULL;

	info(a, "aof_last_write_status", wrote, sizeof(wrote));
	info(a, "rdb_last_bgsave_status", saved, sizeof(saved));
	if (on && strcmp(wrote, "err") == 0)
		failed = "the append only file";
	else if (strcmp(saved, "err") == 0)
		failed = "the last snapshot";
	if (failed != NULL) {
		doctor_find(d, DOCTOR_ERROR, "redis.persistence",
		    "Redis could not write %s", failed);
		doctor_should(d, "a disk with room that Redis may write to");
		doctor_cure(d, "its log says why; then redis-cli BGSAVE");
	} else if (on) {
		doctor_find(
		    d, DOCTOR_WELL, "redis.persistence", "append only file");
	} else {
		bool none = a->save_told && a->save[0] == '\0';

		doctor_find(d, none ? DOCTOR_ERROR : DOCTOR_WARNING,
		    "redis.persistence", "%s",
		    none ? "Redis keeps nothing on disk"
			 : "Redis keeps snapshots only");
		doctor_should(d, "an append only file: what was written since "
				 "the last snapshot is gone after a crash");
		doctor_cure(d, "appendonly yes, in redis.conf and by redis-cli "
			       "CONFIG SET");
	}
}

static void
check_eviction(const struct asking *a)
{
	struct doctor *d = a->d;
	char policy[32];

	info(a, "maxmemory_policy", policy, sizeof(policy));
	if (policy[0] == '\0')
		return;
	if (strcmp(policy, "noeviction") == 0) {
		doctor_find(d, DOCTOR_WELL, "redis.eviction", "%s", policy);
		return;
	}
	doctor_find(
	    d, DOCTOR_ERROR, "redis.eviction", "maxmemory-policy %s", policy);
	doctor_should(d, "noeviction: domains and keys are no cache");
	doctor_cure(d, "maxmemory-policy noeviction, in redis.conf and by "
		       "redis-cli CONFIG SET");
}

/* A fleet that knows where else to look should find somebody there. */
static void
check_replicas(const struct asking *a)
{
	struct doctor *d = a->d;
	const struct conf *conf = d->conf;
	bool expected = conf->redis.sentinels.n > 0 ||
	                conf->redis.cluster.n > 0 || conf->redis.replicas > 0;
	char n[16], first[256];

	info(a, "connected_slaves", n, sizeof(n));
	info(a, "slave0", first, sizeof(first));
	if (strcmp(n, "0") == 0 || n[0] == '\0') {
		doctor_find(d, expected ? DOCTOR_WARNING : DOCTOR_NOTE,
		    "redis.replicas", "no replica");
		doctor_should(d, "one that can take over");
		doctor_cure(d, "see sync/doc/fleet.md, a fleet with Sentinel");
	} else if (strstr(first, "state=online") == NULL) {
		doctor_find(d, DOCTOR_WARNING, "redis.replicas", "%s", first);
		doctor_should(d, "state=online");
		doctor_cure(d, "the replica's log says why it is not");
	} else {
		doctor_find(d, DOCTOR_WELL, "redis.replicas", "%s", n);
	}
}

static void
judge_info(const struct asking *a)
{
	if (a->info == NULL) {
		doctor_find(a->d, DOCTOR_SKIPPED, "redis.persistence",
		    "this user may not ask INFO: %s", a->denied.text);
		doctor_cure(a->d, "allow it +info, or look at appendonly and "
				  "maxmemory-policy yourself");
		return;
	}
	check_persistence(a);
	check_eviction(a);
	check_replicas(a);
}

/* --- answers ----------------------------------------------------------------------- */

static void
end(struct asking *a)
{
	if (--a->waiting > 0)
		return;
	loop_stop(a->base);
}

static void
got_info(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct asking *a = arg;

	if (e != NULL)
		a->denied = *e;
	else if (r->type == RDS_STRING)
		a->info = xstrdup(r->str);
	end(a);
}

static void
got_save(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct asking *a = arg;

	if (e == NULL && r->nitems == 2 && r->item[1].type == RDS_STRING) {
		a->save_told = true;
		snprintf(a->save, sizeof(a->save), "%s", r->item[1].str);
	}
	end(a);
}

static void
got_time(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct asking *a = arg;
	struct doctor *d = a->d;
	int64_t ahead, s = 0;

	if (e == NULL && r->nitems == 2 &&
	    str_int(r->item[0].str, 0, INT64_MAX / 1000, &s) == 0) {
		ahead = loop_wall_ms() / 1000 - s;
		if (ahead * 1000 > SKEW_MAX_MS || ahead * 1000 < -SKEW_MAX_MS) {
			doctor_find(d, DOCTOR_ERROR, "clock.redis",
			    "this node's clock is %" PRId64 " s %s Redis's",
			    ahead < 0 ? -ahead : ahead,
			    ahead < 0 ? "behind" : "ahead of");
			doctor_should(
			    d, "less than %d s apart", SKEW_MAX_MS / 1000);
			doctor_cure(d, "run chrony or systemd-timesyncd on "
				       "both machines");
		} else {
			doctor_find(d, DOCTOR_WELL, "clock.redis",
			    "%" PRId64 " s apart", ahead);
		}
	}
	end(a);
}

static void
got_version(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct asking *a = arg;
	struct doctor *d = a->d;

	if (e == NULL && r->type == RDS_INTEGER &&
	    r->integer >= LIBRARY_VERSION) {
		doctor_find(d, DOCTOR_WELL, "redis.library", "version %" PRId64,
		    r->integer);
	} else {
		if (e != NULL)
			doctor_find(
			    d, DOCTOR_ERROR, "redis.library", "%s", e->text);
		else
			doctor_find(d, DOCTOR_ERROR, "redis.library",
			    "version %" PRId64, r->integer);
		doctor_should(d, "the functions of certfleet, version %d",
		    LIBRARY_VERSION);
		doctor_cure(d, "start a certfleet-sync whose user may do "
			       "+function|load (issuer): it loads them");
	}
	end(a);
}

/* --- a challenge, for a moment ------------------------------------------------------- */

static void
challenge_gone(void *arg, const struct rds_reply *r, const struct err *e)
{
	(void)r;
	(void)e;
	end(arg);
}

static void
challenge_there(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct asking *a = arg;
	struct rds_cmd cmd;

	(void)r;
	if (e != NULL) {
		doctor_find(a->d, DOCTOR_SKIPPED, "haproxy.challenge",
		    "this user may publish no challenge: %s", e->text);
		end(a);
		return;
	}
	doctor_challenge(a->d, a->token, a->keyauth);
	rds_cmd(&cmd, "DEL");
	rds_arg(&cmd, a->key);
	rds_send(a->rds, &cmd, 0, challenge_gone, a);
}

static void
ask_challenge(struct asking *a)
{
	const struct conf *conf = a->d->conf;
	uint8_t random[TOKEN_BYTES];
	struct rds_cmd cmd;

	if (conf->haproxy.http_address[0] == '\0')
		return;
	if (RAND_bytes(random, sizeof(random)) != 1)
		abort();
	b64url_encode(a->token, random, sizeof(random));
	/* A thumbprint is as long as such a token. */
	snprintf(a->keyauth, sizeof(a->keyauth), "%s.%s", a->token, a->token);
	snprintf(a->key, sizeof(a->key), KEY_CHALLENGE, conf->redis.prefix,
	    a->token);
	rds_cmd(&cmd, "SET");
	rds_arg(&cmd, a->key);
	rds_arg(&cmd, a->keyauth);
	rds_arg(&cmd, "PX");
	rds_arg_int(&cmd, CHALLENGE_MS);
	a->waiting++;
	rds_send(a->rds, &cmd, 0, challenge_there, a);
}

/* --- asking ------------------------------------------------------------------------ */

static void
ask_all(struct asking *a)
{
	struct rds_cmd cmd;

	a->asked = true;
	a->waiting = 4;
	rds_cmd(&cmd, "INFO");
	rds_send(a->rds, &cmd, 0, got_info, a);
	rds_cmd(&cmd, "CONFIG");
	rds_arg(&cmd, "GET");
	rds_arg(&cmd, "save");
	rds_send(a->rds, &cmd, 0, got_save, a);
	rds_cmd(&cmd, "TIME");
	rds_send(a->rds, &cmd, 0, got_time, a);
	ask_challenge(a);
	/* Last: where it is missing the connection is made again. */
	rds_cmd(&cmd, "FCALL_RO");
	rds_arg(&cmd, "certfleet_version");
	rds_arg(&cmd, "0");
	rds_send(a->rds, &cmd, 0, got_version, a);
}

static void
unreachable(struct asking *a, const char *why)
{
	struct doctor *d = a->d;

	doctor_find(d, DOCTOR_ERROR, "redis.server", "%s: %s",
	    conf_redis_url(d->conf), why);
	doctor_should(d, "Redis 7.0 or later, or Valkey 7.2 or later, that "
			 "answers as master");
	doctor_cure(d, "start it; redis.url, redis.user and redis.password "
		       "say how it is reached");
}

static void
too_long(void *arg)
{
	struct asking *a = arg;

	unreachable(a, "no answer in time");
	loop_stop(a->base);
}

static void
on_redis(void *arg, bool up, const struct err *why)
{
	struct asking *a = arg;

	if (up && !a->asked) {
		doctor_find(a->d, DOCTOR_WELL, "redis.server", "%s",
		    conf_redis_url(a->d->conf));
		loop_after(a->base, &a->deadline, PATIENCE_MS, too_long, a);
		ask_all(a);
	} else if (!up && !a->asked) {
		unreachable(a, why != NULL ? why->text : "no answer");
		loop_stop(a->base);
	}
}

void
doctor_redis(struct doctor *d)
{
	struct asking a = { .d = d };
	struct rds_setup setup;

	if (conf_redis_embedded(d->conf) && !d->sync_up) {
		doctor_find(d, DOCTOR_SKIPPED, "redis.server",
		    "it runs with certfleet-sync, which is not there");
		return;
	}
	a.base = loop_new();
	rds_setup_init(&setup, a.base, d->conf, "certfleet-doctor", false);
	a.rds = rds_new(a.base, &setup.conf, on_redis, &a);
	loop_after(a.base, &a.deadline, PATIENCE_MS, too_long, &a);
	event_base_dispatch(a.base);
	if (a.info != NULL || a.denied.kind != ERR_NONE)
		judge_info(&a);
	rds_free(a.rds);
	rds_setup_clear(&setup);
	loop_timer_free(&a.deadline);
	event_base_free(a.base);
	free(a.info);
}
