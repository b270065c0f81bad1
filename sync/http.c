#include "sync/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <curl/curl.h>
#include <event2/event.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "common/table.h"
#include "sync/address.h"
#include "sync/fair.h"
#include "sync/http_head.h"

#define CONNECT_TIMEOUT_MS 5000
#define WAITING_MAX 10000
#define UPLOAD_SIZE 16384 /* the least: bodies are short, and it is wiped */
#define USER_AGENT "certfleet/" CERTFLEET_VERSION

TAILQ_HEAD(exchanges, exchange);

/* One request and its reply. */
struct exchange {
	uint64_t id;
	struct http *http;
	struct fair_item turn;
	char *method, *url, *connect_to;
	struct curl_slist *headers, *connects;
	char *body;
	size_t body_len;
	int timeout_ms;
	bool plain, public_only;
	http_fn *fn;
	void *arg;

	CURL *easy; /* while in flight */
	struct buf reply;
	struct http_head head;
	bool too_big, is_private; /* why we stopped it */
	char curl_error[CURL_ERROR_SIZE];
	int status;
	struct err err; /* kind is ERR_NONE when there was an answer */

	TAILQ_ENTRY(exchange) next; /* in done */
	bool in_done;
	UT_hash_handle hh;
};

struct http {
	struct event_base *base;
	CURLM *multi;
	struct event *curl_timer, *pump_timer;
	char *ca_file;
	int timeout_ms;

	struct exchange *by_id;
	struct fair queue;
	struct exchanges done; /* to be called back */
	uint64_t last_id;
	CURL **idle; /* easy handles to use again */
	int nidle;
	char date[40]; /* the last one, and what it says */
	int64_t date_ms;
	bool forgets;
	bool calling, closing; /* http_free() within a callback waits */
};

static void pump(void *arg);

static void
pump_soon(struct http *h)
{
	loop_after(h->base, &h->pump_timer, 0, pump, h);
}

/* --- what libcurl wants from the loop ------------------------------------ */

static void collect(struct http *);

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	int running, flags = 0;

	if (what & EV_READ)
		flags |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(h->multi, fd, flags, &running);
	collect(h);
}

static void
on_curl_timer(void *arg)
{
	struct http *h = arg;
	int running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(h);
}

/* libcurl: watch this socket, in this way. */
static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct http *h = arg;
	struct event *ev = known;
	short flags = EV_PERSIST;

	(void)easy;
	if (ev != NULL)
		event_free(ev);
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(h->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		flags |= EV_READ;
	if (what & CURL_POLL_OUT)
		flags |= EV_WRITE;
	ev = event_new(h->base, fd, flags, on_socket, h);
	if (ev == NULL)
		abort();
	event_add(ev, NULL);
	curl_multi_assign(h->multi, fd, ev);
	return 0;
}

static int
want_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	(void)multi;
	if (ms < 0)
		loop_cancel(h->curl_timer);
	else
		loop_after(h->base, &h->curl_timer, ms, on_curl_timer, h);
	return 0;
}

/* --- what comes back ------------------------------------------------------ */

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	if (buf_put(&x->reply, p, size * n) == -1) {
		x->too_big = true;
		return 0;
	}
	return size * n;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct exchange *x = arg;

	if (http_head_line(&x->head, p, size * n) == -1) {
		x->too_big = true;
		return 0;
	}
	return size * n;
}

/* Before connecting: the address that libcurl has found for the name. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *sa)
{
	struct exchange *x = arg;

	(void)purpose;
	if (x->public_only && address_private(&sa->addr)) {
		x->is_private = true;
		return CURL_SOCKET_BAD;
	}
	return socket(sa->family, sa->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    sa->protocol);
}

/* --- the life of an exchange ---------------------------------------------- */

static void
exchange_free(struct exchange *x)
{
	/* Among them may be a provider's key. */
	for (struct curl_slist *l = x->headers; l != NULL; l = l->next)
		mem_wipe(l->data, strlen(l->data));
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->connects);
	http_head_clear(&x->head);
	buf_wipe(&x->reply);
	if (x->body != NULL)
		mem_wipe(x->body, x->body_len);
	free(x->body);
	free(x->method);
	mem_wipe_free(x->url);
	free(x->connect_to);
	free(x);
}

/* Give the handle back; connections stay with the multi handle. */
static void
land(struct exchange *x)
{
	struct http *h = x->http;

	curl_multi_remove_handle(h->multi, x->easy);
	if (h->forgets) {
		curl_easy_cleanup(x->easy); /* a reset leaves what was sent */
	} else {
		curl_easy_reset(x->easy);
		h->idle[h->nidle++] = x->easy;
	}
	x->easy = NULL;
	fair_leave(&h->queue, &x->turn);
}

static void
finish(struct exchange *x)
{
	TAILQ_INSERT_TAIL(&x->http->done, x, next);
	x->in_done = true;
}

static const char *
host_of(const struct exchange *x)
{
	const char *p = strstr(x->url, "://");

	return p != NULL ? p + 3 : x->url;
}

/* There was no answer: say why, so that an operator knows what to do. */
static void
set_failure(struct exchange *x, CURLcode rc)
{
	const char *host = host_of(x), *why = x->curl_error;
	int len = (int)strcspn(host, "/?#");
	char text[CURL_ERROR_SIZE];
	enum err_kind kind = ERR_AGAIN;

	if (why[0] == '\0')
		why = curl_easy_strerror(rc);
	str_printable(text, sizeof(text), why, strlen(why));
	if (len > 100)
		len = 100;
	if (x->too_big)
		err_set(&x->err, ERR_BUG,
		    "%.*s sent more than %zu bytes; that is the most we take",
		    len, host, x->reply.cap);
	else if (x->is_private)
		err_set(&x->err, ERR_REFUSED,
		    "%.*s leads to a private address; it should be a public "
		    "one",
		    len, host);
	else if (rc == CURLE_OPERATION_TIMEDOUT)
		err_set(&x->err, ERR_AGAIN, "no answer from %.*s in time: %s",
		    len, host, text);
	else {
		if (rc == CURLE_UNSUPPORTED_PROTOCOL ||
		    rc == CURLE_URL_MALFORMAT)
			kind = ERR_BUG;
		if (rc == CURLE_SSL_CACERT_BADFILE)
			kind = ERR_CONFIG;
		err_set(
		    &x->err, kind, "cannot reach %.*s: %s", len, host, text);
	}
}

/* Answers of the same second have the same date. */
static int64_t
date_of(struct http *h, const char *text)
{
	if (strcmp(text, h->date) == 0)
		return h->date_ms;
	if (strlen(text) >= sizeof(h->date))
		return http_date(text);
	memcpy(h->date, text, strlen(text) + 1);
	h->date_ms = http_date(text);
	return h->date_ms;
}

static void
deliver(struct exchange *x)
{
	const struct http_head *head = &x->head;
	struct http_res res = {
		.status = x->status,
		.body = x->reply.p,
		.len = x->reply.len,
		.content_type = http_head_get(head, HTTP_CONTENT_TYPE),
		.location = http_head_get(head, HTTP_LOCATION),
		.replay_nonce = http_head_get(head, HTTP_REPLAY_NONCE),
		.link = http_head_get(head, HTTP_LINK),
		.date_ms = date_of(x->http, http_head_get(head, HTTP_DATE)),
	};

	res.retry_ms = http_retry_after(
	    http_head_get(head, HTTP_RETRY_AFTER), loop_wall_ms());
	res.reset_ms = http_rate_reset(
	    http_head_get(head, HTTP_RATE_RESET), loop_wall_ms());
	if (x->err.kind == ERR_NONE)
		x->fn(x->arg, &res, NULL);
	else
		x->fn(x->arg, NULL, &x->err);
}

/*
 * Call back what is done.  A callback may send, cancel, even free us: an
 * exchange leaves all lists first, and freeing waits until it is back.
 */
static void
call_back(struct http *h)
{
	struct exchange *x;

	h->calling = true;
	while (!h->closing && (x = TAILQ_FIRST(&h->done)) != NULL) {
		TAILQ_REMOVE(&h->done, x, next);
		HASH_DEL(h->by_id, x);
		deliver(x);
		exchange_free(x);
	}
	h->calling = false;
	if (h->closing)
		http_free(h);
}

static void
collect(struct http *h)
{
	struct exchange *x;
	CURLMsg *m;
	CURLcode rc;
	long status;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		if (m->msg != CURLMSG_DONE)
			continue;
		rc = m->data.result;
		status = 0;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
		curl_easy_getinfo(
		    m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		x->status = (int)status;
		if (rc != CURLE_OK)
			set_failure(x, rc);
		land(x);
		finish(x);
	}
	pump(h);
}

/* --- what goes out ------------------------------------------------------------ */

static void
set_method(const struct exchange *x)
{
	CURL *c = x->easy;

	if (strcmp(x->method, "HEAD") == 0)
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	else if (strcmp(x->method, "GET") != 0)
		curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, x->method);
	if (x->body != NULL) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, x->body);
		curl_easy_setopt(
		    c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)x->body_len);
	}
}

/* What keeps a peer, the network and the environment in bounds. */
static void
set_limits(const struct exchange *x)
{
	CURL *c = x->easy;
	long total = x->timeout_ms;

	curl_easy_setopt(
	    c, CURLOPT_PROTOCOLS_STR, x->plain ? "http,https" : "https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, total);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
	    total < CONNECT_TIMEOUT_MS ? total : (long)CONNECT_TIMEOUT_MS);
	/* Or a resolver thread that hangs would hold up the loop at the end. */
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	if (x->http->ca_file != NULL) {
		curl_easy_setopt(c, CURLOPT_CAINFO, x->http->ca_file);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	if (x->connects != NULL)
		curl_easy_setopt(c, CURLOPT_CONNECT_TO, x->connects);
	if (x->public_only) {
		/* Every address is judged: none from a cache. */
		curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
		curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
		curl_easy_setopt(c, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	}
}

static void
start(struct exchange *x)
{
	struct http *h = x->http;
	CURL *c = h->nidle > 0 ? h->idle[--h->nidle] : curl_easy_init();

	if (c == NULL)
		abort();
	x->easy = c;
	curl_easy_setopt(c, CURLOPT_PRIVATE, (void *)x);
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_SIZE);
	curl_easy_setopt(c, CURLOPT_URL, x->url);
	curl_easy_setopt(c, CURLOPT_USERAGENT, USER_AGENT);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
	/* Over HTTP/2 all share a connection, so wait for what it will be. */
	curl_easy_setopt(c, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, (void *)x);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, (void *)x);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, (void *)x);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, x->curl_error);
	set_method(x);
	set_limits(x);
	if (curl_multi_add_handle(h->multi, c) != CURLM_OK)
		abort();
}

static void
pump(void *arg)
{
	struct http *h = arg;
	struct exchange *x;

	while ((x = fair_next(&h->queue)) != NULL)
		start(x);
	call_back(h);
}

/* --- from outside --------------------------------------------------------- */

struct http *
http_new(struct event_base *base, const struct http_conf *conf)
{
	struct http *h = xcalloc(1, sizeof(*h));

	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, xmalloc, mem_release,
		mem_resize, xstrdup, xcalloc) != CURLE_OK)
		abort();
	h->base = base;
	fair_init(&h->queue, conf->max_in_flight);
	h->timeout_ms = conf->timeout_ms;
	h->forgets = conf->forgets;
	if (conf->ca_file != NULL && conf->ca_file[0] != '\0')
		h->ca_file = xstrdup(conf->ca_file);
	h->idle = xcalloc((size_t)h->queue.max, sizeof(CURL *));
	TAILQ_INIT(&h->done);
	h->multi = curl_multi_init();
	if (h->multi == NULL)
		abort();
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 2L * h->queue.max);
	return h;
}

/* Take it from wherever it is and forget it. */
static void
drop(struct exchange *x)
{
	struct http *h = x->http;

	if (x->easy != NULL)
		land(x);
	else if (x->in_done)
		TAILQ_REMOVE(&h->done, x, next);
	else
		fair_leave(&h->queue, &x->turn);
	HASH_DEL(h->by_id, x);
	exchange_free(x);
}

void
http_free(struct http *h)
{
	struct exchange *x, *tmp;

	if (h == NULL)
		return;
	if (h->calling) {
		h->closing = true;
		return;
	}
	HASH_ITER (hh, h->by_id, x, tmp)
		drop(x);
	while (h->nidle > 0)
		curl_easy_cleanup(h->idle[--h->nidle]);
	curl_multi_cleanup(h->multi);
	loop_timer_free(&h->curl_timer);
	loop_timer_free(&h->pump_timer);
	free(h->idle);
	free(h->ca_file);
	free(h);
	curl_global_cleanup();
}

static bool
sane(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == '\x7f')
			return false;
	return true;
}

/* scheme://host:port, or NULL when it is no URL. */
static char *
host_key(const struct exchange *x)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *name = NULL, *port = NULL, *key = NULL;

	if (curl_url_set(u, CURLUPART_URL, x->url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &name, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ==
		CURLUE_OK)
		key = x->connect_to != NULL
		          ? xstrdup(x->connect_to)
		          : xasprintf("%s://%s:%s", scheme, name, port);
	curl_free(scheme);
	curl_free(name);
	curl_free(port);
	curl_url_cleanup(u);
	return key;
}

static void
add_header(struct curl_slist **list, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*list, text);

	if (longer == NULL)
		abort();
	*list = longer;
}

static struct exchange *
exchange_new(struct http *h, const struct http_req *req)
{
	struct exchange *x = xcalloc(1, sizeof(*x));
	char *to;

	x->http = h;
	x->id = ++h->last_id;
	x->method = xstrdup(req->method);
	x->url = xstrdup(req->url);
	x->timeout_ms = req->timeout_ms > 0 ? req->timeout_ms : h->timeout_ms;
	x->plain = req->plain;
	if (req->connect_to != NULL && req->connect_to[0] != '\0') {
		x->connect_to = xstrdup(req->connect_to);
		to = xasprintf("::%s", req->connect_to);
		add_header(&x->connects, to);
		free(to);
	}
	/* Where to connect is not found by name then, but given. */
	x->public_only = req->public_only;
	add_header(&x->headers, "Expect:");
	for (size_t i = 0; i < req->nheaders && i < HTTP_HEADERS_MAX; i++)
		add_header(&x->headers, req->header[i]);
	if (req->body != NULL || strcmp(req->method, "POST") == 0) {
		x->body_len = req->body != NULL ? req->body_len : 0;
		x->body =
		    xmemdup0(req->body != NULL ? req->body : "", x->body_len);
	}
	buf_init(&x->reply, req->body_max > 0 ? req->body_max : HTTP_BODY_MAX);
	return x;
}

uint64_t
http_send(struct http *h, const struct http_req *req, http_fn *fn, void *arg)
{
	struct exchange *x = exchange_new(h, req);
	bool clean = sane(x->method) && sane(x->url);
	char *key = host_key(x);

	x->fn = fn;
	x->arg = arg;
	HASH_ADD(hh, h->by_id, id, sizeof(x->id), x);
	for (struct curl_slist *l = x->headers; l != NULL; l = l->next)
		clean = clean && sane(l->data);
	if (!clean || key == NULL)
		err_set(&x->err, ERR_BUG, "request to a URL that is none");
	else if (h->queue.waiting >= WAITING_MAX)
		err_set(&x->err, ERR_AGAIN,
		    "%d requests are waiting already; that is the most we keep",
		    h->queue.waiting);
	if (x->err.kind == ERR_NONE)
		fair_put(&h->queue, &x->turn, key, 0, x);
	else
		finish(x);
	free(key);
	pump_soon(h);
	return x->id;
}

void
http_cancel(struct http *h, uint64_t id)
{
	struct exchange *x;

	HASH_FIND(hh, h->by_id, &id, sizeof(id), x);
	if (x == NULL)
		return;
	drop(x);
	pump_soon(h);
}
