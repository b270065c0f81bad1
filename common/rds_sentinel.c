/*
 * Sentinels tell where the master is.  One is asked, and listened to by a
 * second connection; the others that it knows are added to the list.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/rds.h"
#include "common/rds_ask.h"
#include "common/rds_place.h"
#include "common/rds_switch.h"

struct rds_sentinel {
	struct rds_place place;
	struct rds_ask ask;
	char *name;
	bool tls, master_tls;
	struct rds_sub *sub;
	bool asking;
	char url[RDS_URL_MAX]; /* of the master, or "" */
};

static int url_of(
    const struct rds_place *, int, char url[RDS_URL_MAX], struct err *);
static void doubt(struct rds_place *, const char *url);
static void sentinel_free(struct rds_place *);
static void ask(void *);
static void dropped(void *);

static const struct rds_place_kind kind = {
	.url = url_of,
	.doubt = doubt,
	.free = sentinel_free,
};

struct rds_place *
rds_sentinel_new(struct event_base *base, const struct rds_conf *conf,
    const struct rds_sentinels *sentinels)
{
	struct rds_sentinel *s = xcalloc(1, sizeof(*s));

	rds_place_init(&s->place, &kind);
	s->name = xstrdup(sentinels->name);
	s->tls = sentinels->tls;
	s->master_tls = sentinels->master_tls;
	rds_ask_init(&s->ask, base, conf, ask, dropped, s);
	s->ask.conf.want = RDS_SENTINEL;
	for (size_t i = 0; i < sentinels->n; i++)
		rds_ask_add_address(&s->ask, s->tls, sentinels->address[i]);
	return &s->place;
}

static void
dropped(void *arg)
{
	struct rds_sentinel *s = arg;

	rds_sub_free(s->sub);
	s->sub = NULL;
	s->asking = false;
}

static void
sentinel_free(struct rds_place *place)
{
	struct rds_sentinel *s = (struct rds_sentinel *)place;

	rds_ask_clear(&s->ask);
	rds_sub_free(s->sub);
	free(s->name);
	free(s);
}

static int
url_of(const struct rds_place *place, int slot, char url[RDS_URL_MAX],
    struct err *e)
{
	const struct rds_sentinel *s = (const struct rds_sentinel *)place;

	(void)slot;
	if (s->url[0] == '\0') {
		*e = s->ask.why;
		return -1;
	}
	memcpy(url, s->url, sizeof(s->url));
	return 0;
}

static void
doubt(struct rds_place *place, const char *url)
{
	struct rds_sentinel *s = (struct rds_sentinel *)place;

	if (!s->asking && strcmp(url, s->url) == 0)
		rds_ask_doubt(&s->ask);
}

/* --- asking -------------------------------------------------------------- */

static void
found(struct rds_sentinel *s, const char *host, const char *port)
{
	char url[RDS_URL_MAX];

	if (rds_place_format(url, s->master_tls, host, port) == -1 ||
	    strcmp(url, s->url) == 0)
		return;
	memcpy(s->url, url, sizeof(url));
	log_info(
	    "redis=%s master=%s sentinel=%s", s->url, s->name, s->ask.asked);
	rds_place_moved(&s->place);
}

static void
got_master(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct rds_sentinel *s = arg;
	struct err bad;

	s->asking = false;
	if (e == NULL && (r->type != RDS_ARRAY || r->nitems != 2 ||
			     r->item[0].type != RDS_STRING ||
			     r->item[1].type != RDS_STRING)) {
		err_set(&bad, ERR_CONFIG,
		    "Sentinel at %s knows no master called %s", s->ask.asked,
		    s->name);
		e = &bad;
	}
	if (e != NULL) {
		rds_ask_next(&s->ask, e);
		return;
	}
	found(s, r->item[0].str, r->item[1].str);
	rds_ask_helped(&s->ask);
}

/* The others that it knows. */
static void
got_others(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct rds_sentinel *s = arg;
	char url[RDS_URL_MAX];

	for (size_t i = 0; e == NULL && i < r->nitems; i++) {
		const char *host = rds_field(&r->item[i], "ip");
		const char *port = rds_field(&r->item[i], "port");

		if (host != NULL && port != NULL &&
		    rds_place_format(url, s->tls, host, port) == 0)
			rds_ask_add(&s->ask, url);
	}
}

/* All masters' switches are told on one channel. */
static void
on_switch(void *arg, const char *channel, const char *text, size_t len)
{
	struct rds_sentinel *s = arg;
	struct rds_switch to;

	(void)channel, (void)len;
	if (rds_switch_parse(&to, text) == 0 && strcmp(to.name, s->name) == 0)
		found(s, to.host, to.port);
}

static void
question(struct rds_sentinel *s, const char *what, rds_fn *fn)
{
	struct rds_cmd c;

	rds_cmd(&c, "SENTINEL");
	rds_arg(&c, what);
	rds_arg(&c, s->name);
	rds_send(s->ask.rds, &c, 0, fn, s);
}

static void
ask(void *arg)
{
	static const char *const channels[] = { "+switch-master" };
	struct rds_sentinel *s = arg;

	if (s->asking)
		return;
	s->asking = true;
	if (s->sub == NULL) {
		s->sub = rds_sub_new(
		    s->ask.base, &s->ask.conf, channels, 1, on_switch, NULL, s);
		question(s, "sentinels", got_others);
	}
	question(s, "get-master-addr-by-name", got_master);
}
