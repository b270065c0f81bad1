#include "common/metric.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define VALUES_MAX 8

/* clang-format off */
#define CODES "code", { "2xx", "3xx", "4xx", "429", "5xx", "none" }
/* clang-format on */

static const struct series {
	const char *name, *help;
	const char *first, *first_value[VALUES_MAX];
	const char *second, *second_value[VALUES_MAX]; /* or none */
} metrics[METRICS] = {
	[METRIC_SPOP_REQUESTS] = { "certfleet_spop_requests_total",
	    "Questions of HAProxy for a challenge, by what was answered.",
	    "result", { "found", "none", "error" }, NULL, { NULL } },
	[METRIC_PUSH] = { "certfleet_push_total",
	    "Certificates pushed into a HAProxy, by how that went.", "result",
	    { "ok", "refused", "retried" }, NULL, { NULL } },
	[METRIC_CA_REQUESTS] = { "certfleet_ca_requests_total",
	    "Requests to the CA, by resource and answer.", "endpoint",
	    { "newNonce", "newAccount", "newOrder", "revokeCert", "keyChange",
		"renewalInfo", "other" },
	    CODES },
	[METRIC_ORDERS] = { "certfleet_orders_total",
	    "Orders of this node that ended, by how.", "result",
	    { "issued", "failed", "kept" }, NULL, { NULL } },
	[METRIC_ROLLOUT] = { "certfleet_rollouts_total",
	    "Certificates that a canary has proven or stopped, or that an "
	    "operator has rolled back, by this node.",
	    "result", { "proven", "stopped", "rolled_back" }, NULL, { NULL } },
	[METRIC_API_REQUESTS] = { "certfleet_api_requests_total",
	    "Requests of the admin API, by the answer's status.", CODES, NULL,
	    { NULL } },
	[METRIC_LEADERSHIP] = { "certfleet_leadership_total",
	    "Times that this node began to lead, and handed over because "
	    "nothing moved.",
	    "what", { "began", "stalled" }, NULL, { NULL } },
	[METRIC_RESTORED] = { "certfleet_restored_total",
	    "Certificates that Redis had lost, by who brought them back.",
	    "from", { "node", "outbox" }, NULL, { NULL } },
	[METRIC_WEBHOOKS] = { "certfleet_webhooks_total",
	    "Webhooks of this node, by how their delivery went.", "result",
	    { "ok", "retried", "dropped", "lost" }, NULL, { NULL } },
};

static uint64_t counts[METRICS][VALUES_MAX][VALUES_MAX];

void
metric_count(enum metric m, unsigned int first, unsigned int second)
{
	counts[m][first % VALUES_MAX][second % VALUES_MAX]++;
}

unsigned int
metric_code(int status)
{
	if (status == 429)
		return 3;
	if (status >= 500)
		return 4;
	if (status >= 400)
		return 2;
	if (status >= 300)
		return 1;
	return status >= 200 ? 0 : 5;
}

void
metric_head(
    struct buf *out, const char *name, const char *type, const char *help)
{
	buf_putf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
metric_line(struct buf *out, const char *name, const char *labels, double value)
{
	bool has = labels[0] != '\0';

	buf_putf(out, "%s%s%s%s %.17g\n", name, has ? "{" : "", labels,
	    has ? "}" : "", value);
}

void
metric_gauge(struct buf *out, const char *name, const char *help, double value)
{
	metric_head(out, name, "gauge", help);
	metric_line(out, name, "", value);
}

void
metric_counter(struct buf *out, enum metric m)
{
	const struct series *s = &metrics[m];
	char labels[128];

	metric_head(out, s->name, "counter", s->help);
	for (size_t i = 0; i < VALUES_MAX && s->first_value[i] != NULL; i++) {
		snprintf(labels, sizeof(labels), "%s=\"%s\"", s->first,
		    s->first_value[i]);
		if (s->second == NULL)
			metric_line(
			    out, s->name, labels, (double)counts[m][i][0]);
		for (size_t j = 0; j < VALUES_MAX && s->second != NULL &&
				   s->second_value[j] != NULL;
		     j++) {
			snprintf(labels, sizeof(labels), "%s=\"%s\",%s=\"%s\"",
			    s->first, s->first_value[i], s->second,
			    s->second_value[j]);
			metric_line(
			    out, s->name, labels, (double)counts[m][i][j]);
		}
	}
}
