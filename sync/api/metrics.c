/*
 * /metrics for Prometheus: what this node knows by itself, then what Redis
 * says.  Without Redis the rest is left out, so that an outage is not also one
 * of what tells of it; for the same reason no token is asked for, and no name
 * of a domain is told.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/metric.h"
#include "sync/api/request.h"
#include "sync/limit.h"
#include "sync/store_limit.h"

/* --- what the node knows -------------------------------------------------------- */

static void
put_certificates(struct buf *out, const struct hold_status *h)
{
	static const char name[] = "certfleet_certificates";

	metric_head(out, name, "gauge",
	    "Certificates of this node: wanted, proven to be served, failed.");
	metric_line(out, name, "state=\"wanted\"", (double)h->wanted);
	metric_line(out, name, "state=\"served\"", (double)h->served);
	metric_line(out, name, "state=\"failed\"", (double)h->failed);
	metric_gauge(
	    out, "certfleet_haproxies", "HAProxys of this node.", h->haproxies);
	metric_gauge(out, "certfleet_haproxies_up",
	    "HAProxys of this node that answer.", h->haproxies_up);
}

static void
put_ends(struct buf *out, const struct hold_ends *ends)
{
	static const char name[] = "certfleet_certificate_remaining_seconds";
	char line[96], label[48];

	metric_head(out, name, "histogram",
	    "How long the certificates of this node are still good.");
	snprintf(line, sizeof(line), "%s_bucket", name);
	for (size_t i = 0; i < HOLD_ENDS; i++) {
		snprintf(label, sizeof(label), "le=\"%lld\"",
		    (long long)(hold_end_ms[i] / 1000));
		metric_line(out, line, label, (double)ends->within[i]);
	}
	metric_line(out, line, "le=\"+Inf\"", (double)ends->n);
	snprintf(line, sizeof(line), "%s_sum", name);
	metric_line(out, line, "", ends->sum_ms / 1000);
	snprintf(line, sizeof(line), "%s_count", name);
	metric_line(out, line, "", (double)ends->n);
	if (ends->n > 0)
		metric_gauge(out,
		    "certfleet_certificate_soonest_not_after_timestamp_seconds",
		    "When the first certificate of this node ends.",
		    (double)ends->soonest / 1000);
}

static void
put_node(struct buf *out, const struct api_state *s)
{
	metric_process(out);
	metric_gauge(out, "certfleet_redis_up",
	    "1: Redis answers this process.", s->redis_up);
	metric_gauge(out, "certfleet_leader", "1: this node leads.", s->leader);
	metric_gauge(out, "certfleet_epoch",
	    "The leader's epoch, 0 where another node leads.",
	    (double)s->epoch);
	metric_gauge(out, "certfleet_healthy",
	    "0: certfleet status says what is wrong.", s->error[0] == '\0');
	metric_gauge(out, "certfleet_webhook_lag_seconds",
	    "How old the event is that waits longest for its webhook.",
	    (double)s->webhook_lag_ms / 1000);
	put_certificates(out, &s->hold);
	put_ends(out, &s->ends);
	for (int m = METRIC_PUSH; m < METRICS; m++)
		metric_counter(out, (enum metric)m);
}

/* --- what Redis says ------------------------------------------------------------- */

static void
finish(struct request *q)
{
	struct buf *out = q->text;

	request_text(q, METRIC_TYPE, out->p, out->len);
}

static void
got_orders(void *arg, const struct store_limit *l, const struct err *e)
{
	static const char name[] = "certfleet_budget_remaining";
	struct request *q = arg;

	if (e == NULL) {
		metric_head(q->text, name, "gauge",
		    "What is left of the CA's limits for the account.");
		metric_line(q->text, name, "limit=\"orders\"", (double)l->left);
	}
	finish(q);
}

static void
ask_orders(struct request *q)
{
	const struct conf *conf = q->api->conf;
	struct limit l;

	limit_of(conf, conf->acme.directory, LIMIT_ORDERS, "", &l);
	if (l.max > 0)
		store_limit_peek(q->api->store, &l, 0, got_orders, q);
	else
		finish(q);
}

static void
got_due(void *arg, int64_t first, const struct err *e)
{
	struct request *q = arg;
	int64_t late = first > 0 ? loop_wall_ms() - first : 0;

	if (e != NULL) {
		finish(q);
		return;
	}
	metric_gauge(q->text, "certfleet_due_overdue_seconds",
	    "How long the domain that has waited longest has been due.",
	    late > 0 ? (double)late / 1000 : 0);
	ask_orders(q);
}

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct request *q = arg;
	size_t live = 0;

	if (e != NULL) {
		finish(q);
		return;
	}
	for (size_t i = 0; i < n; i++)
		live += node[i].live;
	metric_gauge(
	    q->text, "certfleet_nodes", "Nodes of the fleet.", (double)n);
	metric_gauge(q->text, "certfleet_nodes_live",
	    "Nodes whose heartbeat is fresh.", (double)live);
	store_due(q->api->store, got_due, q);
}

static void
got_counts(void *arg, const struct store_counts *counts, const struct err *e)
{
	static const char name[] = "certfleet_domains";
	struct request *q = arg;
	char label[64];

	if (e != NULL) {
		finish(q);
		return;
	}
	metric_head(q->text, name, "gauge", "Domains of the fleet, by status.");
	for (int i = 0; i < DOMAIN_STATUSES; i++) {
		snprintf(label, sizeof(label), "status=\"%s\"",
		    domain_status_name((enum domain_status)i));
		metric_line(q->text, name, label, (double)counts->status[i]);
	}
	store_nodes(q->api->store, got_nodes, q);
}

void
metrics_show(struct request *q)
{
	struct api_state s = { .wants_ends = true };

	q->text = xcalloc(1, sizeof(*q->text));
	buf_init(q->text, METRIC_TEXT_MAX);
	q->api->state(q->api->state_arg, &s);
	put_node(q->text, &s);
	if (s.redis_up)
		store_counts(q->api->store, got_counts, q);
	else
		finish(q);
}
