#include "agent/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/http.h>

#include "agent/conn.h"
#include "agent/lookup.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/str.h"

#define TIMEOUT_S 5
#define HEADERS_MAX 4096

struct metrics {
	struct evhttp *http;
	const struct conns *conns;
	const struct lookup *lookup;
};

static void
put_lookups(struct buf *out, const struct lookup *l)
{
	static const char name[] = "certfleet_agent_lookups_total";
	const struct lookup_counts *n = lookup_counts(l);

	metric_head(out, name, "counter",
	    "Where answers came from, and questions to Redis.");
	metric_line(out, name, "source=\"memory\"", (double)n->memory);
	metric_line(out, name, "source=\"redis\"", (double)n->redis);
	metric_line(out, name, "source=\"thumbprint\"", (double)n->stateless);
	metric_line(out, name, "source=\"nobody\"", (double)n->errors);
}

static void
on_metrics(struct evhttp_request *req, void *arg)
{
	const struct metrics *m = arg;
	struct evbuffer *body = evbuffer_new();
	struct buf text;

	if (body == NULL)
		abort();
	buf_init(&text, METRIC_TEXT_MAX);
	metric_process(&text);
	metric_counter(&text, METRIC_SPOP_REQUESTS);
	put_lookups(&text, m->lookup);
	metric_gauge(&text, "certfleet_agent_connections",
	    "Connections of HAProxy.", conns_count(m->conns));
	metric_gauge(&text, "certfleet_agent_waiting",
	    "Questions that wait for Redis.", lookup_waiting(m->lookup));
	metric_gauge(&text, "certfleet_redis_up",
	    "1: Redis answers this process.", lookup_redis_up(m->lookup));
	evbuffer_add(body, text.p, text.len);
	buf_clear(&text);
	evhttp_add_header(evhttp_request_get_output_headers(req),
	    "Content-Type", METRIC_TYPE);
	evhttp_send_reply(req, 200, NULL, body);
	evbuffer_free(body);
}

static void
on_other(struct evhttp_request *req, void *arg)
{
	(void)arg;
	evhttp_send_error(req, 404, NULL);
}

static int
bind_to(struct evhttp *http, const char *address)
{
	const char *colon = strrchr(address, ':');
	char host[64];
	int64_t port;

	if (colon == NULL || (size_t)(colon - address) >= sizeof(host) ||
	    str_int(colon + 1, 1, 65535, &port) == -1)
		return -1;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	/* "[::1]" is "::1" to whoever binds it. */
	if (host[0] == '[') {
		memmove(host, host + 1, strlen(host));
		host[strcspn(host, "]")] = '\0';
	}
	return evhttp_bind_socket(http, host, (uint16_t)port);
}

struct metrics *
metrics_new(struct event_base *base, const char *address,
    const struct conns *conns, const struct lookup *lookup, struct err *e)
{
	struct metrics *m = xcalloc(1, sizeof(*m));

	m->conns = conns;
	m->lookup = lookup;
	m->http = evhttp_new(base);
	if (m->http == NULL)
		abort();
	evhttp_set_allowed_methods(m->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(m->http, HEADERS_MAX);
	evhttp_set_max_body_size(m->http, 0);
	evhttp_set_timeout(m->http, TIMEOUT_S);
	evhttp_set_cb(m->http, "/metrics", on_metrics, m);
	evhttp_set_gencb(m->http, on_other, m);
	errno = 0;
	if (bind_to(m->http, address) == 0)
		return m;
	err_set(e, ERR_CONFIG, "agent metrics: cannot listen on %s: %s",
	    address, strerror(errno));
	metrics_free(m);
	return NULL;
}

void
metrics_free(struct metrics *m)
{
	if (m == NULL)
		return;
	evhttp_free(m->http);
	free(m);
}
