#include "common/rds_ask.h"

#include <string.h>

#include <event2/event.h>

#include "common/log.h"
#include "common/loop.h"

#define AGAIN_MS 10000 /* who is isolated does not disconnect us */
#define DOUBT_MS 250
#define PAUSE_FIRST_MS 50 /* after a round in which nobody helped */
#define PAUSE_MAX_MS 2000

static void on_timer(void *);

void
rds_ask_init(struct rds_ask *a, struct event_base *base,
    const struct rds_conf *conf, void (*ask)(void *), void (*dropped)(void *),
    void *arg)
{
	memset(a, 0, sizeof(*a));
	a->base = base;
	a->conf = *conf;
	a->conf.db = 0;
	a->conf.load_library = false;
	a->conf.place = NULL;
	a->ask = ask;
	a->dropped = dropped;
	a->arg = arg;
	err_set(&a->why, ERR_AGAIN, "nobody has answered yet");
	loop_after(base, &a->timer, 0, on_timer, a);
}

void
rds_ask_clear(struct rds_ask *a)
{
	rds_free(a->rds);
	a->rds = NULL;
	loop_timer_free(&a->timer);
}

void
rds_ask_add(struct rds_ask *a, const char *url)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->list[i], url) == 0)
			return;
	if (a->n < RDS_ASK_MAX)
		memcpy(a->list[a->n++], url, strlen(url) + 1);
}

void
rds_ask_add_address(struct rds_ask *a, bool tls, const char *host_port)
{
	const char *colon = strrchr(host_port, ':');
	char host[RDS_URL_MAX], url[RDS_URL_MAX];
	size_t len = colon != NULL ? (size_t)(colon - host_port) : 0;

	if (len == 0 || len >= sizeof(host))
		return;
	memcpy(host, host_port, len);
	host[len] = '\0';
	if (rds_place_format(url, tls, host, colon + 1) == 0)
		rds_ask_add(a, url);
}

void
rds_ask_next(struct rds_ask *a, const struct err *why)
{
	char first[RDS_URL_MAX];
	int64_t pause = 0;

	log_debug("redis=%s asks another: %s", a->asked, why->text);
	a->why = *why;
	rds_free(a->rds);
	a->rds = NULL;
	a->dropped(a->arg);
	memcpy(first, a->list[0], sizeof(first));
	memmove(a->list[0], a->list[1], (a->n - 1) * sizeof(first));
	memcpy(a->list[a->n - 1], first, sizeof(first));
	if (++a->missed % a->n == 0) {
		pause = a->pause_ms > 0 ? a->pause_ms : PAUSE_FIRST_MS;
		a->pause_ms =
		    pause * 2 < PAUSE_MAX_MS ? pause * 2 : PAUSE_MAX_MS;
		pause = pause / 2 + loop_random((uint32_t)pause);
	}
	loop_after(a->base, &a->timer, pause, on_timer, a);
}

void
rds_ask_helped(struct rds_ask *a)
{
	a->missed = 0;
	a->pause_ms = 0;
	loop_after(a->base, &a->timer, AGAIN_MS, on_timer, a);
}

/* They are not asked more often than they can answer. */
void
rds_ask_doubt(struct rds_ask *a)
{
	if (a->doubted || a->rds == NULL || !rds_up(a->rds))
		return;
	a->doubted = true;
	loop_after(a->base, &a->timer, DOUBT_MS, on_timer, a);
}

static void
on_state(void *arg, bool up, const struct err *why)
{
	struct rds_ask *a = arg;

	if (up)
		a->ask(a->arg);
	else
		rds_ask_next(a, why);
}

static void
on_timer(void *arg)
{
	struct rds_ask *a = arg;
	bool doubted = a->doubted;
	struct err e;

	a->doubted = false;
	if (doubted && a->n > 1) {
		err_set(&e, ERR_AGAIN, "what it told of is not to be reached");
		rds_ask_next(a, &e);
	} else if (a->rds != NULL) {
		a->ask(a->arg);
	} else {
		memcpy(a->asked, a->list[0], sizeof(a->asked));
		a->conf.url = a->asked;
		a->rds = rds_new(a->base, &a->conf, on_state, a);
	}
}
