#include "sync/barrier.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/b64.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/http.h"
#include "sync/store.h"

#define PROBES_MAX 256 /* challenges being asked for */
#define TRIES_MAX 5    /* then the leader publishes again */
#define PAUSE_MS 100
#define BODY_MAX 1024
#define TOKEN_MIN 22
#define TOKEN_MAX 128
#define KEYAUTH_MAX 256

struct probe {
	LIST_ENTRY(probe) link;
	struct barrier *barrier;
	char token[TOKEN_MAX + 1];
	char keyauth[KEYAUTH_MAX];
	uint64_t fetching;
	struct event *again;
	int tries;
};

struct barrier {
	struct event_base *base;
	const struct conf *conf;
	struct http *http;
	struct store *store;
	LIST_HEAD(, probe) probes;
	int nprobes;
};

static void ask(void *);

struct barrier *
barrier_new(struct event_base *base, const struct conf *conf, struct http *http,
    struct store *store)
{
	struct barrier *b = xcalloc(1, sizeof(*b));

	b->base = base;
	b->conf = conf;
	b->http = http;
	b->store = store;
	LIST_INIT(&b->probes);
	return b;
}

static void
probe_free(struct probe *p)
{
	LIST_REMOVE(p, link);
	p->barrier->nprobes--;
	http_cancel(p->barrier->http, p->fetching);
	loop_timer_free(&p->again);
	free(p);
}

void
barrier_free(struct barrier *b)
{
	if (b == NULL)
		return;
	while (!LIST_EMPTY(&b->probes))
		probe_free(LIST_FIRST(&b->probes));
	free(b);
}

static void
answered(void *arg, const struct http_res *res, const struct err *e)
{
	struct probe *p = arg;
	struct barrier *b = p->barrier;

	p->fetching = 0;
	if (e == NULL && res->status == 200 &&
	    strcmp(res->body, p->keyauth) == 0) {
		store_ready(b->store, p->token);
		probe_free(p);
		return;
	}
	if (++p->tries < TRIES_MAX) {
		loop_after(b->base, &p->again, PAUSE_MS, ask, p);
		return;
	}
	if (e != NULL)
		log_warn("challenge: HAProxy at %s: %s",
		    b->conf->haproxy.http_address, e->text);
	else
		log_warn("challenge: HAProxy at %s answers %d; is the backend "
			 "of spoe-certfleet.conf in its configuration, and is "
			 "certfleet-agent running?",
		    b->conf->haproxy.http_address, res->status);
	probe_free(p);
}

static void
ask(void *arg)
{
	struct probe *p = arg;
	const struct conf *conf = p->barrier->conf;
	char url[256];
	struct http_req req = { .method = "GET",
		.url = url,
		.connect_to = conf->haproxy.http_address,
		.plain = true,
		.body_max = BODY_MAX,
		.timeout_ms = conf->haproxy.command_timeout_ms };

	snprintf(url, sizeof(url),
	    "http://certfleet.invalid/.well-known/acme-challenge/%s", p->token);
	p->fetching = http_send(p->barrier->http, &req, answered, p);
}

static struct probe *
find(const struct barrier *b, const char *token, size_t len)
{
	struct probe *p;

	LIST_FOREACH (p, &b->probes, link)
		if (strlen(p->token) == len &&
		    memcmp(p->token, token, len) == 0)
			return p;
	return NULL;
}

void
barrier_challenge(struct barrier *b, const char *text)
{
	const char *space = strchr(text, ' ');
	struct probe *p;
	size_t len;

	if (b->conf->haproxy.http_address[0] == '\0' || space == NULL)
		return;
	len = (size_t)(space - text);
	if (len < TOKEN_MIN || len > TOKEN_MAX ||
	    !str_only(text, len, B64URL_CHARS) ||
	    strlen(space + 1) >= KEYAUTH_MAX || b->nprobes >= PROBES_MAX ||
	    find(b, text, len) != NULL)
		return;
	p = xcalloc(1, sizeof(*p));
	p->barrier = b;
	memcpy(p->token, text, len);
	memcpy(p->keyauth, space + 1, strlen(space + 1) + 1);
	LIST_INSERT_HEAD(&b->probes, p, link);
	b->nprobes++;
	ask(p);
}
