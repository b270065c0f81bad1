/* Webhooks: an event is posted, again and again, until the server has it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/metric.h"
#include "sync/need.h"
#include "sync/renew.h"
#include "sync/webhook_impl.h"

#define REPLY_MAX 4096 /* of what the server says: it interests nobody */

static void
delivered(void *arg, const struct err *e)
{
	struct part *p = arg;

	p->asking = false;
	/* It is told again after a crash now: at least once. */
	if (e != NULL)
		log_debug("webhook: not noted: %s %s", e->type, e->text);
	if (e != NULL && strcmp(e->type, "FENCED") == 0) {
		p->cursor[0] = '\0'; /* another node delivers */
		return;
	}
	webhook_skip(p);
	webhook_go_on(p);
}

void
webhook_note(struct part *p)
{
	struct webhooks *w = p->w;

	p->asking = true;
	store_webhook_done(
	    w->store, p->number, w->epoch, p->cursor, delivered, p);
}

static void
done(struct part *p)
{
	memcpy(p->cursor, STAILQ_FIRST(&p->hooks)->id, sizeof(p->cursor));
	webhook_drop_first(p);
	webhook_note(p);
}

/* Again later, unless that has gone on for a day. */
static void
failed(struct part *p, const char *why, int64_t asked_ms)
{
	struct webhooks *w = p->w;
	struct hook *h = STAILQ_FIRST(&p->hooks);
	int64_t old = loop_wall_ms() - webhook_at(h->id), pause;
	int64_t most = (int64_t)w->conf->webhook.give_up_s * 1000;
	int64_t longest = (int64_t)w->conf->webhook.retry_max_s * 1000;

	p->attempts++;
	if (old > most) {
		metric_count(METRIC_WEBHOOKS, METRIC_WEBHOOK_DROPPED, 0);
		log_error("webhook=%s domain=%s given up after %" PRId64
			  " s: %s",
		    h->name, h->domain, old / 1000, why);
		done(p);
		return;
	}
	metric_count(METRIC_WEBHOOKS, METRIC_WEBHOOK_RETRIED, 0);
	if (asked_ms > longest)
		asked_ms = longest;
	pause = renew_pause(p->attempts,
	    (int64_t)w->conf->webhook.retry_first_s * 1000, longest, asked_ms,
	    loop_random(UINT32_MAX));
	log_warn("webhook=%s domain=%s attempt=%" PRId64 " next_in_ms=%" PRId64
		 " error=\"%s\"",
	    h->name, h->domain, p->attempts, pause, why);
	loop_after(w->base, &p->again, pause, webhook_send_first, p);
}

static void
answered(void *arg, const struct http_res *res, const struct err *e)
{
	struct part *p = arg;
	const struct hook *h = STAILQ_FIRST(&p->hooks);
	char why[48];

	p->sending = 0;
	if (e != NULL) {
		failed(p, e->text, 0);
	} else if (res->status / 100 != 2) {
		snprintf(
		    why, sizeof(why), "the server answers %d", res->status);
		failed(p, why, res->retry_ms);
	} else {
		metric_count(METRIC_WEBHOOKS, METRIC_WEBHOOK_OK, 0);
		log_debug("webhook=%s domain=%s delivered", h->name, h->domain);
		done(p);
	}
}

static void
post(struct part *p)
{
	struct webhooks *w = p->w;
	const struct hook *h = STAILQ_FIRST(&p->hooks);
	char id[WEBHOOK_ID_MAX], sig[WEBHOOK_SIGNATURE_MAX];
	char of_id[96], of_time[48], of_sig[96];
	int64_t now_s = loop_wall_ms() / 1000;
	const struct http_req req = { .method = "POST",
		.url = w->conf->webhook.url,
		.header = { "Content-Type: application/json", of_id, of_time,
		    of_sig },
		.nheaders = 4,
		.body = h->body,
		.body_len = strlen(h->body),
		.body_max = REPLY_MAX,
		.plain = w->conf->webhook.allow_private,
		.public_only = !w->conf->webhook.allow_private };
	struct err e = { 0 };

	webhook_id(p->number, h->id, id);
	if (webhook_sign(
		w->conf->webhook.secret, id, now_s, h->body, sig, &e) == -1) {
		failed(p, e.text, 0);
		return;
	}
	snprintf(of_id, sizeof(of_id), "webhook-id: %s", id);
	snprintf(
	    of_time, sizeof(of_time), "webhook-timestamp: %" PRId64, now_s);
	snprintf(of_sig, sizeof(of_sig), "webhook-signature: %s", sig);
	p->sending = http_send(w->http, &req, answered, p);
}

static void
make_body(struct part *p, const char *app, int64_t expires)
{
	struct hook *h = STAILQ_FIRST(&p->hooks);
	const struct store_event event = { h->id, (const char *const *)h->field,
		h->nfields };
	char id[WEBHOOK_ID_MAX];

	webhook_id(p->number, h->id, id);
	h->body = webhook_body(&event, id, h->name, h->status, app, expires);
}

/* The app of a domain that was removed is in the event. */
static const char *
app_in(const struct hook *h)
{
	for (size_t i = 0; i < h->nfields; i++)
		if (strcmp(h->field[2 * i], "app") == 0)
			return h->field[2 * i + 1];
	return "";
}

static void
got_domain(void *arg, const struct domain *d, const struct err *e)
{
	struct part *p = arg;

	p->asking = false;
	if (e != NULL) {
		webhook_try_later(p, e);
		return;
	}
	if (d == NULL)
		make_body(p, app_in(STAILQ_FIRST(&p->hooks)), 0);
	else
		make_body(p, d->app,
		    need_custom_serves(d, loop_wall_ms()) ? d->custom_not_after
							  : d->not_after);
	post(p);
}

void
webhook_send_first(void *arg)
{
	struct part *p = arg;
	const struct hook *h = STAILQ_FIRST(&p->hooks);

	if (p->w->epoch == 0 || p->asking || p->sending != 0)
		return;
	if (h == NULL) {
		webhook_go_on(p);
	} else if (h->body != NULL) {
		post(p);
	} else {
		p->asking = true;
		store_get(p->w->store, h->domain, got_domain, p);
	}
}
