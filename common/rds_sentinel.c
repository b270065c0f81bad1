/*
 * Sentinels tell where the master is.  One is asked, and listened to by a second
 * connection; when it is away, knows nothing or tells of a master that cannot be
 * reached, it goes to the end of the list and the next one is.  The others that
 * one knows are added.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds.h"
#include "common/rds_place.h"
#include "common/rds_switch.h"
#include "common/str.h"

#define SENTINELS_MAX 32
#define AGAIN_MS 10000 /* an isolated master does not disconnect us */
#define DOUBT_MS 250
#define PAUSE_FIRST_MS 50 /* after a round in which nobody knew */
#define PAUSE_MAX_MS 2000

struct sentinel {
	char url[RDS_URL_MAX];
};

struct rds_sentinel {
	struct rds_place place;
	struct event_base *base;
	struct rds_conf conf;
	char *name;
	bool tls, master_tls;
	struct sentinel list[SENTINELS_MAX];
	size_t n;                /* the first one is asked */
	char asked[RDS_URL_MAX]; /* its clients borrow it */
	size_t missed;           /* how many in a row did not help */
	int64_t pause_ms;
	struct rds *rds;
	struct rds_sub *sub;
	bool asking, doubted;
	struct event *timer;
	char url[RDS_URL_MAX]; /* of the master, or "" */
	struct err why;        /* it is not known */
};

static int url_of(
    const struct rds_place *, int, char url[RDS_URL_MAX], struct err *);
static void doubt(struct rds_place *, const char *url);
static void sentinel_free(struct rds_place *);
static void on_timer(void *);

static const struct rds_place_kind kind = {
	.url = url_of,
	.doubt = doubt,
	.free = sentinel_free,
};

/* --- the list ------------------------------------------------------------ */

static void
add(struct rds_sentinel *s, const char *url)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->list[i].url, url) == 0)
			return;
	if (s->n == SENTINELS_MAX)
		return;
	memcpy(s->list[s->n++].url, url, strlen(url) + 1);
}

/* What is configured is checked by conf; what does not fit is passed over. */
static void
add_address(struct rds_sentinel *s, const char *address)
{
	const char *colon = strrchr(address, ':');
	char host[RDS_URL_MAX], url[RDS_URL_MAX];
	size_t len = colon != NULL ? (size_t)(colon - address) : 0;

	if (len == 0 || len >= sizeof(host))
		return;
	memcpy(host, address, len);
	host[len] = '\0';
	if (rds_place_format(url, s->tls, host, colon + 1) == 0)
		add(s, url);
}

struct rds_place *
rds_sentinel_new(struct event_base *base, const struct rds_conf *conf,
    const struct rds_sentinels *sentinels)
{
	struct rds_sentinel *s = xcalloc(1, sizeof(*s));

	rds_place_init(&s->place, &kind);
	s->base = base;
	s->conf = *conf;
	s->conf.want = RDS_SENTINEL;
	s->conf.db = 0;
	s->conf.load_library = false;
	s->conf.place = NULL;
	s->name = xstrdup(sentinels->name);
	s->tls = sentinels->tls;
	s->master_tls = sentinels->master_tls;
	for (size_t i = 0; i < sentinels->n; i++)
		add_address(s, sentinels->address[i]);
	err_set(&s->why, ERR_AGAIN, "no Sentinel has answered yet");
	loop_after(base, &s->timer, 0, on_timer, s);
	return &s->place;
}

static void
hang_up(struct rds_sentinel *s)
{
	rds_free(s->rds);
	rds_sub_free(s->sub);
	s->rds = NULL;
	s->sub = NULL;
	s->asking = false;
}

static void
sentinel_free(struct rds_place *place)
{
	struct rds_sentinel *s = (struct rds_sentinel *)place;

	hang_up(s);
	loop_timer_free(&s->timer);
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
		*e = s->why;
		return -1;
	}
	memcpy(url, s->url, sizeof(s->url));
	return 0;
}

/* --- asking -------------------------------------------------------------- */

/* Another one, or after a round of all of them the same ones later. */
static void
next(struct rds_sentinel *s, const struct err *why)
{
	struct sentinel first = s->list[0];
	int64_t pause = 0;

	log_debug("sentinel=%s %s", first.url, why->text);
	s->why = *why;
	hang_up(s);
	memmove(&s->list[0], &s->list[1], (s->n - 1) * sizeof(first));
	s->list[s->n - 1] = first;
	if (++s->missed % s->n == 0) {
		pause = s->pause_ms > 0 ? s->pause_ms : PAUSE_FIRST_MS;
		s->pause_ms =
		    pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
		pause = pause / 2 + loop_random((uint32_t)pause);
	}
	loop_after(s->base, &s->timer, pause, on_timer, s);
}

static void
found(struct rds_sentinel *s, const char *host, const char *port)
{
	char url[RDS_URL_MAX];

	if (rds_place_format(url, s->master_tls, host, port) == -1 ||
	    strcmp(url, s->url) == 0)
		return;
	memcpy(s->url, url, sizeof(url));
	log_info(
	    "redis=%s master=%s sentinel=%s", s->url, s->name, s->list[0].url);
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
		    "Sentinel at %s knows no master called %s", s->list[0].url,
		    s->name);
		e = &bad;
	}
	if (e != NULL) {
		next(s, e);
		return;
	}
	found(s, r->item[0].str, r->item[1].str);
	s->missed = 0;
	s->pause_ms = 0;
	loop_after(s->base, &s->timer, AGAIN_MS, on_timer, s);
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
			add(s, url);
	}
}

static void
ask(struct rds_sentinel *s, const char *what, rds_fn *fn)
{
	struct rds_cmd c;

	rds_cmd(&c, "SENTINEL");
	rds_arg(&c, what);
	rds_arg(&c, s->name);
	rds_send(s->rds, &c, 0, fn, s);
}

static void
ask_master(struct rds_sentinel *s)
{
	if (s->asking)
		return;
	s->asking = true;
	ask(s, "get-master-addr-by-name", got_master);
}

static void
on_state(void *arg, bool up, const struct err *why)
{
	struct rds_sentinel *s = arg;

	if (!up) {
		next(s, why);
		return;
	}
	ask(s, "sentinels", got_others);
	ask_master(s);
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
on_timer(void *arg)
{
	static const char *const channels[] = { "+switch-master" };
	struct rds_sentinel *s = arg;
	struct err e;

	if (s->doubted && s->n > 1) {
		s->doubted = false;
		err_set(&e, ERR_AGAIN, "the master is not to be reached");
		next(s, &e);
		return;
	}
	s->doubted = false;
	if (s->rds != NULL) {
		ask_master(s);
		return;
	}
	memcpy(s->asked, s->list[0].url, sizeof(s->asked));
	s->conf.url = s->asked;
	s->rds = rds_new(s->base, &s->conf, on_state, s);
	s->sub =
	    rds_sub_new(s->base, &s->conf, channels, 1, on_switch, NULL, s);
}

/* Another Sentinel may know better; they are not asked more than they can. */
static void
doubt(struct rds_place *place, const char *url)
{
	struct rds_sentinel *s = (struct rds_sentinel *)place;

	if (s->doubted || s->asking || s->rds == NULL ||
	    strcmp(url, s->url) != 0)
		return;
	s->doubted = true;
	loop_after(s->base, &s->timer, DOUBT_MS, on_timer, s);
}
