#include "sync/api/browser.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/loop.h"
#include "common/mem.h"
#include "sync/api/auth.h"
#include "sync/api/pass.h"
#include "sync/api/routes.h"
#include "sync/api/site.h"
#include "sync/store_token.h"

/* What "__Host-" begins no other host and no page without TLS can set. */
#define COOKIE_TLS "__Host-certfleet"
#define COOKIE_PLAIN "certfleet"

/*
 * Nothing but what is ours, and no text becomes markup or script: a browser
 * that knows trusted types refuses to make any.
 */
#define CSP                                                           \
	"default-src 'none'; script-src 'self'; style-src 'self'; "   \
	"img-src 'self' data:; connect-src 'self'; base-uri 'none'; " \
	"form-action 'none'; frame-ancestors 'none'; "                \
	"require-trusted-types-for 'script'; trusted-types 'none'"

static const char *
host(const struct request *q)
{
	const char *said = request_header(q, "Host");

	return said != NULL ? said : "";
}

/* Does it reach us by TLS, which ends at who is in front? */
static bool
by_tls(const struct request *q)
{
	const char *proto = request_header(q, "X-Forwarded-Proto");

	return proto != NULL ? strcasecmp(proto, "https") == 0
	                     : site_https(q->api->conf, host(q));
}

static const char *
cookie_name(const struct request *q)
{
	return by_tls(q) ? COOKIE_TLS : COOKIE_PLAIN;
}

static bool
session_text(const struct request *q, char text[static PASS_SIZE])
{
	const char *header = request_header(q, "Cookie");

	return header != NULL &&
	       site_cookie(header, cookie_name(q), text, PASS_SIZE);
}

bool
browser_comes(const struct request *q)
{
	char text[PASS_SIZE];

	return q->tcp && request_header(q, "Authorization") == NULL &&
	       session_text(q, text);
}

static bool
changes(const struct request *q)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(q->http);

	return method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD;
}

/* Newer browsers say so themselves. */
static bool
is_foreign(const struct request *q)
{
	const char *origin = request_header(q, "Origin");
	const char *site = request_header(q, "Sec-Fetch-Site");

	if (site != NULL && strcmp(site, "same-origin") != 0 &&
	    (strcmp(site, "none") != 0 || changes(q)))
		return true;
	if (origin == NULL)
		return changes(q);
	return !site_origin(origin, host(q), by_tls(q));
}

bool
browser_welcome(struct request *q)
{
	if (!q->tcp)
		return true;
	if (!site_host(q->api->conf, host(q))) {
		request_error(q, 421, "misdirected",
		    "this is no name of certfleet's; an operator can add it to "
		    "api.hosts");
		return false;
	}
	return true;
}

bool
browser_ours(struct request *q)
{
	if (!browser_welcome(q))
		return false;
	if (is_foreign(q) ||
	    (changes(q) && request_header(q, "X-Certfleet") == NULL)) {
		request_error(q, 403, "foreign",
		    "this does not come from certfleet's own page");
		return false;
	}
	return true;
}

static void
set_cookie(struct request *q, const char *text, int64_t seconds)
{
	char line[PASS_SIZE + 160];

	snprintf(line, sizeof(line),
	    "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s",
	    cookie_name(q), text, (long long)seconds,
	    by_tls(q) ? "; Secure" : "");
	evhttp_add_header(
	    evhttp_request_get_output_headers(q->http), "Set-Cookie", line);
	mem_wipe(line, sizeof(line));
}

static void
give(struct request *q, const uint8_t *key, int64_t begun, int64_t now)
{
	int64_t left = begun + SESSION_MS - now;
	char text[PASS_SIZE];

	session_make(key, q->hash, begun, now, text);
	set_cookie(q, text, (left < PASS_MS ? left : PASS_MS) / 1000);
	mem_wipe(text, sizeof(text));
	q->session_until = begun + SESSION_MS;
}

static void
got_key(void *arg, const uint8_t *key, const struct err *e)
{
	struct request *q = arg;
	int64_t now = loop_wall_ms();
	struct session s;
	char text[PASS_SIZE];
	struct err bad;

	if (e != NULL) {
		request_store_error(q, e);
	} else if (!session_text(q, text) ||
		   session_read(key, text, now, &s, &bad) == -1) {
		browser_end(q);
		if (q->route->role == TOKEN_NONE)
			q->then(q);
		else
			auth_refuse(q, "there is no session; log in");
	} else {
		memcpy(q->hash, s.hash, sizeof(q->hash));
		q->session_until = s.until;
		if (now - s.made > SESSION_RENEW_MS)
			give(q, key, s.begun, now);
		auth_token(q, s.hash, auth_permit);
	}
	mem_wipe(text, sizeof(text));
}

void
browser_check(struct request *q, request_fn *then)
{
	q->then = then;
	if (browser_ours(q))
		store_token_key(q->api->store, got_key, q);
}

static void
got_first_key(void *arg, const uint8_t *key, const struct err *e)
{
	struct request *q = arg;
	/* It is told in seconds. */
	int64_t now = loop_wall_ms() / 1000 * 1000;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	give(q, key, now, now);
	q->then(q);
}

void
browser_begin(struct request *q, request_fn *then)
{
	q->then = then;
	store_token_key(q->api->store, got_first_key, q);
}

void
browser_end(struct request *q)
{
	set_cookie(q, "", 0);
}

void
browser_headers(struct request *q)
{
	struct evkeyvalq *out = evhttp_request_get_output_headers(q->http);

	evhttp_add_header(out, "Content-Security-Policy", CSP);
	evhttp_add_header(out, "X-Frame-Options", "DENY");
	evhttp_add_header(out, "Referrer-Policy", "no-referrer");
	evhttp_add_header(out, "Cross-Origin-Opener-Policy", "same-origin");
	evhttp_add_header(out, "Cross-Origin-Resource-Policy", "same-origin");
	evhttp_add_header(out, "Permissions-Policy",
	    "camera=(), geolocation=(), microphone=()");
}
