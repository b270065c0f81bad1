/*
 * Metrics in the text format of Prometheus: counters of this process, which
 * whoever does the work adds to, and the lines of everything else.
 *
 * All labels of a counter are known beforehand: each series is there from the
 * start, and nobody outside can make more of them.  Pure, but for the counters
 * themselves.
 */
#ifndef COMMON_METRIC_H
#define COMMON_METRIC_H

#include <stdint.h>

#include "common/buf.h"

#define METRIC_TEXT_MAX (256 * 1024)
#define METRIC_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric {
	METRIC_SPOP_REQUESTS = 0, /* of the agent */
	METRIC_PUSH,
	METRIC_CA_REQUESTS,
	METRIC_ORDERS,
	METRIC_API_REQUESTS,
	METRIC_ROLLOUT,
	METRIC_LEADERSHIP,
	METRIC_RESTORED,
	METRIC_WEBHOOKS,
	/* must stay last */
	METRICS
};

enum metric_spop {
	METRIC_SPOP_FOUND = 0,
	METRIC_SPOP_NONE,
	METRIC_SPOP_ERROR,
};

enum metric_push {
	METRIC_PUSH_OK = 0,
	METRIC_PUSH_REFUSED,
	METRIC_PUSH_RETRIED,
};

enum metric_order {
	METRIC_ORDER_ISSUED = 0,
	METRIC_ORDER_FAILED,
	METRIC_ORDER_KEPT, /* gone on with later */
};

/* The first label of METRIC_ROLLOUT. */
enum {
	METRIC_ROLLOUT_PROVEN = 0,
	METRIC_ROLLOUT_STOPPED,
	METRIC_ROLLOUT_BACK,
};

enum metric_leadership {
	METRIC_LEADERSHIP_BEGAN = 0,
	METRIC_LEADERSHIP_STALLED, /* handed over because nothing moved */
};

enum metric_restored {
	METRIC_RESTORED_NODE = 0,
	METRIC_RESTORED_OUTBOX,
};

/* The first label of METRIC_CA_REQUESTS, by RFC 8555's names. */
enum metric_ca {
	METRIC_CA_NEW_NONCE = 0,
	METRIC_CA_NEW_ACCOUNT,
	METRIC_CA_NEW_ORDER,
	METRIC_CA_REVOKE_CERT,
	METRIC_CA_KEY_CHANGE,
	METRIC_CA_RENEWAL_INFO,
	METRIC_CA_OTHER, /* orders, authorizations, challenges, certificates */
};

enum metric_webhook {
	METRIC_WEBHOOK_OK = 0,
	METRIC_WEBHOOK_RETRIED,
	METRIC_WEBHOOK_DROPPED, /* given up */
	METRIC_WEBHOOK_LOST,    /* the stream was too short: how often */
};

/* One more.  second is of those that have two labels, else 0. */
void metric_count(enum metric, unsigned int first, unsigned int second);

/* What an HTTP status is called in a label; 0: there was no answer. */
unsigned int metric_code(int status);

/* Append a counter with all its series. */
void metric_counter(struct buf *, enum metric);

/* Append what begins a metric, and a series of it; labels: "" or a="b",c="d". */
void metric_head(
    struct buf *, const char *name, const char *type, const char *help);
void metric_line(
    struct buf *, const char *name, const char *labels, double value);

/* A gauge with one series without labels. */
void metric_gauge(
    struct buf *, const char *name, const char *help, double value);

/* Append what every program says: its version, and how its process is. */
void metric_process(struct buf *);

#endif
