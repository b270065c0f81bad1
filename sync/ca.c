#include "sync/ca.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metric.h"
#include "sync/ca_impl.h"
#include "sync/skew.h"

#define HOLD_MS 5000 /* at most, after a failure that stops all */
#define NONCE_TRIES 10
#define SKEW_MS (60 * 1000)
#define SKEW_AGAIN_MS (3600 * 1000)
#define BODY_MAX (256 * 1024)

static void advance(void *arg);

void
ca_advance_soon(struct ca *ca)
{
	loop_after(ca->base, &ca->timer, 0, advance, ca);
}

/* --- calls ---------------------------------------------------------------- */

struct call *
ca_call_new(struct ca *ca, const char *url, json_t *stolen)
{
	struct call *c = xcalloc(1, sizeof(*c));

	c->id = ++ca->last_id;
	c->ca = ca;
	c->url = xstrdup(url);
	c->payload = stolen;
	TAILQ_INSERT_TAIL(&ca->waiting, c, next);
	return c;
}

/* Not in any list any more. */
static void
call_free(struct call *c)
{
	json_decref(c->payload);
	free(c->below);
	free(c->url);
	free(c);
}

/* Give up a call that waits; its callback is called from the loop. */
static void
fail(struct call *c, const struct err *e)
{
	struct ca *ca = c->ca;

	TAILQ_REMOVE(&ca->waiting, c, next);
	if (c == ca->account) {
		ca->account = NULL;
		call_free(c);
		return;
	}
	c->err = *e;
	TAILQ_INSERT_TAIL(&ca->failed, c, next);
}

/*
 * Without directory or account nothing can go on: all that wait fail, and what
 * is asked in the next seconds fails with the same error.
 */
void
ca_fail_all(struct ca *ca, const struct err *e)
{
	int64_t first = (int64_t)ca->conf->acme.retry_first_s * 1000;
	struct call *c, *after;

	ca->hold = *e;
	ca->hold_until = loop_now_ms() + (first < HOLD_MS ? first : HOLD_MS);
	for (c = TAILQ_FIRST(&ca->waiting); c != NULL; c = after) {
		after = TAILQ_NEXT(c, next);
		fail(c, e);
	}
	ca_advance_soon(ca);
}

void
ca_tell_skew(struct ca *ca, struct skew *skew)
{
	ca->skew = skew;
}

/* --- what every answer brings --------------------------------------------- */

static void
check_clock(struct ca *ca, int64_t date_ms)
{
	int64_t skew = loop_wall_ms() - date_ms, now = loop_now_ms();

	if (date_ms != 0 && ca->skew != NULL)
		skew_note(ca->skew, SKEW_CA, loop_now_ms(), date_ms);
	if (date_ms == 0 || (skew < SKEW_MS && skew > -SKEW_MS))
		return;
	if (ca->skew_logged != 0 && now - ca->skew_logged < SKEW_AGAIN_MS)
		return;
	ca->skew_logged = now;
	log_warn("clock=wrong: it is %" PRId64 " s %s the CA's; run an NTP "
		 "client",
	    (skew < 0 ? -skew : skew) / 1000, skew < 0 ? "behind" : "ahead of");
}

/* By the names that calls have; the rest are URLs of the CA's. */
static void
count(const char *resource, int status)
{
	static const char *const names[] = { "newNonce", "newAccount",
		"newOrder", "revokeCert", "keyChange", "renewalInfo" };
	unsigned int at = 0;

	while (at < METRIC_CA_OTHER && strcmp(names[at], resource) != 0)
		at++;
	metric_count(METRIC_CA_REQUESTS, at, metric_code(status));
}

void
ca_note(struct ca *ca, const char *method, const char *url,
    const struct http_res *res, int64_t sent_ms)
{
	log_debug("ca=%s method=%s url=%s status=%d ms=%" PRId64,
	    ca->at.directory, method, url, res->status,
	    loop_now_ms() - sent_ms);
	count(url, res->status);
	check_clock(ca, res->date_ms);
	if (acme_nonce_valid(res->replay_nonce))
		nonces_put(&ca->nonces, res->replay_nonce);
}

/* The body as JSON, when it says that it is; NULL otherwise. */
json_t *
ca_json(const struct http_res *res)
{
	if (strstr(res->content_type, "json") == NULL)
		return NULL;
	return json_loadb(res->body, res->len, JSON_REJECT_DUPLICATES, NULL);
}

/* Return 0 when the answer is a good one, else -1 with what the CA says. */
int
ca_judge(const struct http_res *res, json_t *body, bool account, struct err *e)
{
	struct acme_answer a = { .status = res->status,
		.body = body,
		.retry_ms = res->retry_ms,
		.account = account };

	return res->status >= 200 && res->status < 300 ? 0
	                                               : acme_problem(&a, e);
}

int
ca_check_url(struct ca *ca, const char *url, struct err *e)
{
	return acme_url_check(url, ca->at.directory, ca->at.allow_hosts,
	    ca->conf->acme.insecure_test, e);
}

/* The one way out to the CA. */
uint64_t
ca_send(struct ca *ca, const char *method, const char *url,
    const struct buf *body, http_fn *fn, void *arg)
{
	struct http_req req = {
		.method = method,
		.url = url,
		.timeout_ms = ca->conf->acme.request_timeout_ms,
		.body_max = BODY_MAX,
		.plain = ca->conf->acme.insecure_test,
	};

	if (body != NULL) {
		req.header[req.nheaders++] =
		    "Content-Type: application/jose+json";
		req.body = body->p;
		req.body_len = body->len;
	}
	return http_send(ca->http, &req, fn, arg);
}

/* --- signed requests ------------------------------------------------------ */

/* A call is over: it is freed first, its callback comes last. */
static void
finish(struct call *c, const struct reply *r, const struct err *e)
{
	struct ca *ca = c->ca;
	bool account = c == ca->account;
	ca_fn *fn = c->fn;
	void *arg = c->arg;

	call_free(c);
	if (account)
		ca_account_done(ca, r, e);
	else
		fn(arg, r, e);
}

static void
wait_again(struct call *c)
{
	TAILQ_INSERT_HEAD(&c->ca->waiting, c, next);
	ca_advance_soon(c->ca);
}

/* Some refusals are cured by asking once more in the right way. */
static bool
cured(struct call *c, const struct err *e)
{
	struct ca *ca = c->ca;

	if (strcmp(e->type, "badNonce") == 0 &&
	    c->nonce_tries++ < NONCE_TRIES) {
		wait_again(c);
		return true;
	}
	if (strcmp(e->type, "accountDoesNotExist") == 0 && c != ca->account &&
	    c->key == NULL && !c->registered_again) {
		c->registered_again = true;
		/* Unless another call has found out already. */
		if (c->kid == ca->kid_count) {
			log_warn("ca=%s account=%s: the CA does not know it "
				 "any more; it is made again",
			    ca->at.directory, ca->kid);
			ca_set_kid(ca, NULL);
		}
		wait_again(c);
		return true;
	}
	return false;
}

static void
on_answer(void *arg, const struct http_res *res, const struct err *e)
{
	struct call *c = arg;
	struct ca *ca = c->ca;
	struct reply r;
	json_t *body;
	struct err why;

	TAILQ_REMOVE(&ca->flying, c, next);
	c->http_id = 0;
	if (res == NULL) {
		count(c->url, 0);
		why = *e;
		err_prefix(&why, "CA");
		finish(c, NULL, &why);
		return;
	}
	ca_note(ca, c->below != NULL ? "GET" : "POST", c->url, res, c->sent_ms);
	body = ca_json(res);
	if (ca_judge(res, body, c == ca->account, &why) == -1) {
		ca->detail = json_string_value(json_object_get(body, "detail"));
		if (!cured(c, &why))
			finish(c, NULL, &why);
		ca->detail = NULL;
	} else {
		r = (struct reply){
			.status = res->status,
			.location = res->location,
			.link = res->link,
			.body = body,
			.text = res->body,
			.len = res->len,
			.retry_ms = res->retry_ms,
		};
		finish(c, &r, NULL);
	}
	json_decref(body);
}

/* Where a call goes, the caller's own; NULL when the CA does not offer it. */
static char *
call_url(const struct call *c)
{
	const char *url = acme_directory_url(&c->ca->directory, c->url);
	size_t len;

	if (url == NULL || c->below == NULL)
		return xstrdup(url);
	len = strlen(url);
	return xasprintf(
	    "%s%s%s", url, len > 0 && url[len - 1] == '/' ? "" : "/", c->below);
}

static void
sent(struct call *c, uint64_t http_id)
{
	TAILQ_REMOVE(&c->ca->waiting, c, next);
	TAILQ_INSERT_TAIL(&c->ca->flying, c, next);
	c->sent_ms = loop_now_ms();
	c->http_id = http_id;
}

/* What an order asks for by name; NULL: nothing. */
static const char *
profile_of(const struct call *c)
{
	if (strcmp(c->url, "newOrder") != 0)
		return NULL;
	return json_string_value(json_object_get(c->payload, "profile"));
}

/* Everything is there: sign and send.  nonce is NULL for what is not signed. */
static void
send_call(struct call *c, const char *nonce)
{
	struct ca *ca = c->ca;
	char *url = call_url(c);
	struct buf body;
	struct err e;
	int rc = -1;

	buf_init(&body, ACME_REQUEST_MAX);
	if (url == NULL)
		err_set(&e, ERR_CONFIG, "the CA does not offer %s", c->url);
	else if (ca_check_url(ca, url, &e) == 0 &&
		 acme_profile_check(&ca->directory, profile_of(c), &e) == 0)
		rc = nonce == NULL
		         ? 0
		         : acme_request(c->key != NULL ? c->key : ca->key, url,
			       c == ca->account || c->key != NULL ? NULL
								  : ca->kid,
			       nonce, c->payload, &body, &e);
	if (rc == 0) {
		c->kid = ca->kid_count;
		sent(c, ca_send(ca, nonce != NULL ? "POST" : "GET", url,
			    nonce != NULL ? &body : NULL, on_answer, c));
	} else if (c == ca->account) {
		ca_fail_all(ca, &e);
	} else {
		fail(c, &e);
	}
	free(url);
	buf_clear(&body);
}

/* Send what may go; return how many could go if there were nonces. */
static size_t
send_ready(struct ca *ca)
{
	struct call *c, *after;
	size_t wanted = 0;
	char *nonce;

	for (c = TAILQ_FIRST(&ca->waiting); c != NULL; c = after) {
		after = TAILQ_NEXT(c, next);
		if (c->below != NULL) {
			send_call(c, NULL);
			continue;
		}
		if (ca->kid == NULL && c != ca->account)
			continue;
		nonce = nonces_take(&ca->nonces);
		if (nonce == NULL) {
			wanted++;
			continue;
		}
		send_call(c, nonce);
		free(nonce);
		if (loop_now_ms() < ca->hold_until)
			return 0; /* all have failed: the list is another */
	}
	return wanted;
}

/* Call back one that failed; the callback may do anything, so it is last. */
static void
deliver_failed(struct ca *ca)
{
	struct call *c = TAILQ_FIRST(&ca->failed);
	struct err e;

	if (c == NULL)
		return;
	TAILQ_REMOVE(&ca->failed, c, next);
	if (!TAILQ_EMPTY(&ca->failed))
		ca_advance_soon(ca);
	e = c->err;
	finish(c, NULL, &e);
}

static void
advance(void *arg)
{
	struct ca *ca = arg;
	struct call *c;

	if (loop_now_ms() < ca->hold_until)
		while ((c = TAILQ_FIRST(&ca->waiting)) != NULL)
			fail(c, &ca->hold);
	if (!TAILQ_EMPTY(&ca->waiting) && !ca_need_directory(ca)) {
		if (ca->key != NULL)
			ca_need_account(ca);
		ca_need_nonces(ca, send_ready(ca));
	}
	deliver_failed(ca);
}

/* --- from outside --------------------------------------------------------- */

static void
drop_all(struct ca *ca, struct calls *calls)
{
	struct call *c;

	while ((c = TAILQ_FIRST(calls)) != NULL) {
		TAILQ_REMOVE(calls, c, next);
		if (c->http_id != 0)
			http_cancel(ca->http, c->http_id);
		call_free(c);
	}
}

void
ca_free(struct ca *ca)
{
	if (ca == NULL)
		return;
	ca_roll_cancel(ca);
	drop_all(ca, &ca->waiting);
	drop_all(ca, &ca->flying);
	drop_all(ca, &ca->failed);
	http_cancel(ca->http, ca->directory_fetch.http_id);
	for (int i = 0; i < CA_NONCE_REQUESTS_MAX; i++)
		http_cancel(ca->http, ca->nonce_fetch[i].http_id);
	loop_timer_free(&ca->timer);
	nonces_clear(&ca->nonces);
	acme_directory_clear(&ca->directory);
	jose_key_free(ca->key);
	free(ca->kid);
	free(ca);
}

int
ca_set_account(
    struct ca *ca, const char *key_pem, const char *url, struct err *e)
{
	struct jose_key *key = jose_key_new(key_pem, e);

	if (key == NULL)
		return -1;
	jose_key_free(ca->key);
	ca->key = key;
	ca_set_kid(ca, url);
	return 0;
}

const char *
ca_account(const struct ca *ca)
{
	return ca->kid != NULL ? ca->kid : "";
}

const char *
ca_thumbprint(const struct ca *ca)
{
	return ca->key != NULL ? jose_thumbprint(ca->key) : "";
}

uint64_t
ca_post(struct ca *ca, const char *url, json_t *stolen, ca_fn *fn, void *arg)
{
	struct call *c = ca_call_new(ca, url, stolen);
	struct err e;

	c->fn = fn;
	c->arg = arg;
	if (ca->key == NULL) {
		err_set(&e, ERR_BUG, "there is no account key yet");
		fail(c, &e);
	}
	ca_advance_soon(ca);
	return c->id;
}

const char *
ca_detail(const struct ca *ca)
{
	return ca->detail != NULL ? ca->detail : "";
}

static struct call *
find(struct calls *calls, uint64_t id)
{
	struct call *c;

	TAILQ_FOREACH (c, calls, next)
		if (c->id == id)
			return c;
	return NULL;
}

void
ca_cancel(struct ca *ca, uint64_t id)
{
	struct calls *lists[] = { &ca->waiting, &ca->flying, &ca->failed };
	struct call *c;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		c = find(lists[i], id);
		if (c == NULL || c == ca->account)
			continue;
		TAILQ_REMOVE(lists[i], c, next);
		if (c->http_id != 0)
			http_cancel(ca->http, c->http_id);
		call_free(c);
		return;
	}
}
