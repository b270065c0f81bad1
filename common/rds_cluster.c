#include "common/rds_cluster.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds_ask.h"

struct rds_cluster {
	struct rds_place place;
	struct rds_ask ask;
	bool tls, asking;
	struct rds_slots slots;
};

static int url_of(
    const struct rds_place *, int, char url[RDS_URL_MAX], struct err *);
static void doubt(struct rds_place *, const char *url);
static void cluster_free(struct rds_place *);
static void ask(void *);
static void dropped(void *);

static const struct rds_place_kind kind = {
	.url = url_of,
	.doubt = doubt,
	.free = cluster_free,
};

struct rds_place *
rds_cluster_new(struct event_base *base, const struct rds_conf *conf,
    const char *const *address, size_t n, bool tls)
{
	struct rds_cluster *c = xcalloc(1, sizeof(*c));

	rds_place_init(&c->place, &kind);
	c->tls = tls;
	rds_ask_init(&c->ask, base, conf, ask, dropped, c);
	c->ask.conf.want = RDS_MEMBER;
	for (size_t i = 0; i < n; i++)
		rds_ask_add_address(&c->ask, tls, address[i]);
	return &c->place;
}

static void
cluster_free(struct rds_place *place)
{
	struct rds_cluster *c = (struct rds_cluster *)place;

	rds_ask_clear(&c->ask);
	free(c);
}

struct rds_cluster *
rds_cluster_of(struct rds_place *place)
{
	if (place == NULL || place->kind != &kind)
		return NULL;
	return (struct rds_cluster *)place;
}

const struct rds_slots *
rds_cluster_slots(const struct rds_cluster *c)
{
	return &c->slots;
}

bool
rds_cluster_tls(const struct rds_cluster *c)
{
	return c->tls;
}

/* Anybody: who it was, as long as that is a master, or else one by chance. */
static int
url_of(const struct rds_place *place, int slot, char url[RDS_URL_MAX],
    struct err *e)
{
	const struct rds_cluster *c = (const struct rds_cluster *)place;
	const struct rds_slots *s = &c->slots;
	const char *found = NULL;

	if (s->n == 0) {
		*e = c->ask.why;
		return -1;
	}
	if (slot != RDS_SLOT_ANY)
		found = rds_slots_url(s, slot);
	else if (rds_slots_has(s, url))
		return 0;
	else
		found = s->url[loop_random((uint32_t)s->n)];
	if (found == NULL)
		return err_set(e, ERR_AGAIN,
		    "nobody in the Redis Cluster has slot %d", slot);
	memcpy(url, found, strlen(found) + 1);
	return 0;
}

static void
doubt(struct rds_place *place, const char *url)
{
	struct rds_cluster *c = (struct rds_cluster *)place;

	if (!c->asking && rds_slots_has(&c->slots, url))
		rds_ask_doubt(&c->ask);
}

void
rds_cluster_set(struct rds_cluster *c, int slot, const char *url)
{
	const char *had = rds_slots_url(&c->slots, slot);

	if (had != NULL && strcmp(had, url) == 0)
		return;
	rds_slots_set(&c->slots, slot, url);
	rds_ask_add(&c->ask, url);
	if (!c->asking)
		rds_ask_doubt(&c->ask);
	rds_place_moved(&c->place);
}

/* --- asking -------------------------------------------------------------- */

static void
take(struct rds_cluster *c, const struct rds_slots *fresh)
{
	if (memcmp(&c->slots, fresh, sizeof(*fresh)) == 0)
		return;
	c->slots = *fresh;
	for (size_t i = 0; i < fresh->n; i++)
		rds_ask_add(&c->ask, fresh->url[i]);
	log_info(
	    "redis=cluster masters=%zu told_by=%s", fresh->n, c->ask.asked);
	rds_place_moved(&c->place);
}

static void
got_slots(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct rds_cluster *c = arg;
	struct rds_slots *fresh = xcalloc(1, sizeof(*fresh));
	struct err bad;

	c->asking = false;
	if (e == NULL &&
	    rds_slots_read(fresh, r, c->ask.asked, c->tls, &bad) == -1)
		e = &bad;
	if (e != NULL) {
		rds_ask_next(&c->ask, e);
	} else {
		rds_ask_helped(&c->ask);
		take(c, fresh);
	}
	free(fresh);
}

static void
dropped(void *arg)
{
	struct rds_cluster *c = arg;

	c->asking = false;
}

static void
ask(void *arg)
{
	struct rds_cluster *c = arg;
	struct rds_cmd cmd;

	if (c->asking)
		return;
	c->asking = true;
	rds_cmd(&cmd, "CLUSTER");
	rds_arg(&cmd, "SLOTS");
	rds_send(c->ask.rds, &cmd, 0, got_slots, c);
}
