#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

#include "common/b64.h"
#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/http.h"

#define ANSWERS_MAX 16

/* One answer of the scripted CA to a POST that is not newAccount. */
struct answer {
	int status;
	const char *type; /* of the problem, without its urn */
	const char *location, *retry_after;
};

/* The scripted CA, in the same loop. */
static struct {
	struct evhttp *server;
	int port, ndirectory, nnonce, naccount, npost, nonces_given;
	bool broken_directory, wants_eab, far_order;
	struct answer answer[ANSWERS_MAX];
	char nonce_used[64][32];
	char kid_used[128];
	int nused;
} peer;

static struct event_base *base;
static struct http *http;
static struct ca *ca;
static struct conf conf;
static char *key_pem;

/* What came back. */
static struct {
	int n, wanted;
	int status[64];
	struct err err[64];
	char account[128];
	int naccount;
} got;

static void
header(struct evhttp_request *r, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(r), name, value);
}

static void
put_directory(struct evbuffer *out)
{
	if (peer.broken_directory) {
		evbuffer_add_printf(out, "{\"hello\":\"world\"}");
		return;
	}
	evbuffer_add_printf(out,
	    "{\"newNonce\":\"http://127.0.0.1:%d/nonce\","
	    "\"newAccount\":\"http://127.0.0.1:%d/account\","
	    "\"newOrder\":\"%s://127.0.0.1:%d/order\",\"meta\":{"
	    "\"termsOfService\":\"https://ca.test/terms\","
	    "\"externalAccountRequired\":%s}}",
	    peer.port, peer.port, peer.far_order ? "ftp" : "http", peer.port,
	    peer.wants_eab ? "true" : "false");
}

/* Remember which nonce and account signed the request. */
static void
read_request(struct evhttp_request *r)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(r);
	size_t len = evbuffer_get_length(in);
	json_t *jws, *head;
	const char *text;
	uint8_t bytes[4096];
	ptrdiff_t n;

	jws = json_loadb((char *)evbuffer_pullup(in, -1), len, 0, NULL);
	assert_non_null(jws);
	text = json_string_value(json_object_get(jws, "protected"));
	n = b64url_decode(bytes, text, strlen(text));
	head = json_loadb((char *)bytes, (size_t)n, 0, NULL);
	snprintf(peer.nonce_used[peer.nused++], 32, "%s",
	    json_string_value(json_object_get(head, "nonce")));
	text = json_string_value(json_object_get(head, "kid"));
	snprintf(peer.kid_used, sizeof(peer.kid_used), "%s",
	    text != NULL ? text : "");
	json_decref(head);
	json_decref(jws);
}

static int
play(struct evhttp_request *r, struct evbuffer *out)
{
	const struct answer *a = &peer.answer[peer.npost++];

	if (a->location != NULL)
		header(r, "Location", a->location);
	if (a->retry_after != NULL)
		header(r, "Retry-After", a->retry_after);
	if (a->type != NULL) {
		header(r, "Content-Type", "application/problem+json");
		evbuffer_add_printf(out,
		    "{\"type\":\"urn:ietf:params:acme:error:%s\","
		    "\"detail\":\"because\"}",
		    a->type);
	}
	return a->status != 0 ? a->status : 200;
}

static void
on_request(struct evhttp_request *r, void *arg)
{
	const char *path = evhttp_request_get_uri(r);
	struct evbuffer *out = evbuffer_new();
	char text[64];
	int status = 200;

	(void)arg;
	snprintf(text, sizeof(text), "nonce-%d", ++peer.nonces_given);
	header(r, "Replay-Nonce", text);
	if (strcmp(path, "/dir") == 0) {
		peer.ndirectory++;
		header(r, "Content-Type", "application/json");
		evhttp_remove_header(
		    evhttp_request_get_output_headers(r), "Replay-Nonce");
		put_directory(out);
	} else if (strcmp(path, "/nonce") == 0) {
		peer.nnonce++;
	} else if (strcmp(path, "/account") == 0) {
		read_request(r);
		assert_string_equal(peer.kid_used, "");
		snprintf(text, sizeof(text), "http://127.0.0.1:%d/a/%d",
		    peer.port, ++peer.naccount);
		header(r, "Location", text);
		header(r, "Content-Type", "application/json");
		evbuffer_add_printf(out, "{\"status\":\"valid\"}");
		status = 201;
	} else {
		read_request(r);
		status = play(r, out);
	}
	evhttp_send_reply(r, status, "so", out);
	evbuffer_free(out);
}

static void
on_account(void *arg, const char *url)
{
	(void)arg;
	got.naccount++;
	snprintf(got.account, sizeof(got.account), "%s", url);
}

static void
on_reply(void *arg, const struct reply *r, const struct err *e)
{
	(void)arg;
	if (e != NULL)
		got.err[got.n] = *e;
	else
		got.status[got.n] = r->status;
	if (++got.n == got.wanted)
		event_base_loopbreak(base);
}

static void
too_long(void *arg)
{
	(void)arg;
	event_base_loopbreak(base);
}

static void
await(int n)
{
	struct event *timer = NULL;

	got.wanted = n;
	loop_after(base, &timer, 3000, too_long, NULL);
	if (got.n < n)
		event_base_dispatch(base);
	loop_timer_free(&timer);
	assert_int_equal(got.n, n);
}

static int
set_up(void **state)
{
	struct http_conf hc = { .max_in_flight = 8, .timeout_ms = 2000 };
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	struct evhttp_bound_socket *s;
	struct err e;

	(void)state;
	memset(&peer, 0, sizeof(peer));
	memset(&got, 0, sizeof(got));
	memset(&conf, 0, sizeof(conf));
	base = loop_new();
	peer.server = evhttp_new(base);
	evhttp_set_gencb(peer.server, on_request, NULL);
	s = evhttp_bind_socket_with_handle(peer.server, "127.0.0.1", 0);
	getsockname(
	    evhttp_bound_socket_get_fd(s), (struct sockaddr *)&sin, &len);
	peer.port = ntohs(sin.sin_port);
	conf.acme.directory = xasprintf("http://127.0.0.1:%d/dir", peer.port);
	conf.acme.insecure_test = true;
	conf.acme.agree_tos = true;
	conf.acme.request_timeout_ms = 2000;
	conf.acme.retry_first_s = 300;
	http = http_new(base, &hc);
	ca = ca_new(base, http, &conf, on_account, NULL);
	key_pem = cert_key_new();
	assert_string_equal(ca_thumbprint(ca), "");
	return ca_set_account(ca, key_pem, "", &e);
}

/* The settings are others: so is the client. */
static void
another_ca(void)
{
	struct err e;

	ca_free(ca);
	ca = ca_new(base, http, &conf, on_account, NULL);
	assert_int_equal(ca_set_account(ca, key_pem, "", &e), 0);
}

static int
tear_down(void **state)
{
	(void)state;
	ca_free(ca);
	http_free(http);
	evhttp_free(peer.server);
	event_base_free(base);
	free(conf.acme.directory);
	mem_wipe_free(key_pem);
	return 0;
}

static uint64_t
post(const char *url)
{
	return ca_post(ca, url, json_object(), on_reply, NULL);
}

static void
directory_and_account_are_fetched_once_for_all(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		post("newOrder");
	assert_int_equal(got.n, 0);
	await(10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(got.status[i], 200);
	assert_int_equal(peer.ndirectory, 1);
	assert_int_equal(peer.naccount, 1);
	assert_int_equal(got.naccount, 1);
	assert_string_equal(peer.kid_used, got.account);
	assert_int_equal(strlen(ca_thumbprint(ca)), 43);
}

static void
nonces_come_from_replies_and_are_used_once(void **state)
{
	(void)state;
	post("newOrder");
	await(1);
	assert_int_equal(peer.nnonce, 1);
	for (int i = 2; i < 6; i++) {
		post("newOrder");
		await(i);
	}
	assert_int_equal(peer.nnonce, 1);
	for (int i = 0; i < peer.nused; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
			    peer.nonce_used[i], peer.nonce_used[j]);
}

static void
a_bad_nonce_is_cured_with_the_errors_own(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		peer.answer[i] = (struct answer){ 400, "badNonce", NULL, NULL };
	post("newOrder");
	await(1);
	assert_int_equal(got.status[0], 200);
	assert_int_equal(peer.npost, 11);
	assert_int_equal(peer.nnonce, 1);
}

static void
bad_nonces_without_end_are_an_error(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++)
		peer.answer[i] = (struct answer){ 400, "badNonce", NULL, NULL };
	post("newOrder");
	await(1);
	assert_int_equal(got.err[0].kind, ERR_AGAIN);
	assert_string_equal(got.err[0].type, "badNonce");
	assert_int_equal(peer.npost, 11);
}

static void
a_forgotten_account_is_made_again_once(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(
	    ca_set_account(ca, key_pem, "http://127.0.0.1/a/old", &e), 0);
	peer.answer[0] =
	    (struct answer){ 400, "accountDoesNotExist", NULL, NULL };
	peer.answer[1] =
	    (struct answer){ 400, "accountDoesNotExist", NULL, NULL };
	post("newOrder");
	post("newOrder");
	await(2);
	assert_int_equal(got.status[0], 200);
	assert_int_equal(got.status[1], 200);
	assert_int_equal(peer.naccount, 1);
	assert_string_equal(peer.kid_used, got.account);

	peer.npost = 0;
	peer.answer[1] = peer.answer[2] = peer.answer[0];
	post("newOrder");
	await(3);
	assert_int_equal(got.err[2].kind, ERR_CONFIG);
	assert_int_equal(peer.naccount, 2);
}

static void
a_rate_limit_says_until_when(void **state)
{
	(void)state;
	peer.answer[0] = (struct answer){ 429, "rateLimited", NULL, "77" };
	post("newOrder");
	await(1);
	assert_int_equal(got.err[0].kind, ERR_LIMITED);
	assert_int_equal(got.err[0].retry_ms, 77000);
	assert_string_equal(got.err[0].type, "rateLimited");
	assert_string_equal(got.err[0].text, "CA says: because");
}

static void
a_redirect_is_an_error(void **state)
{
	(void)state;
	peer.answer[0] =
	    (struct answer){ 307, NULL, "http://evil.test/", NULL };
	post("newOrder");
	await(1);
	assert_int_equal(got.err[0].kind, ERR_BUG);
	assert_int_equal(peer.npost, 1);
}

static void
urls_of_no_web_address_are_not_sent_to(void **state)
{
	(void)state;
	peer.far_order = true;
	post("newOrder");
	post("file:///etc/passwd");
	await(2);
	assert_int_equal(got.err[0].kind, ERR_BUG);
	assert_int_equal(got.err[1].kind, ERR_BUG);
	assert_int_equal(peer.npost, 0);
}

static void
what_the_ca_does_not_offer_is_said(void **state)
{
	(void)state;
	post("revokeCert");
	await(1);
	assert_int_equal(got.err[0].kind, ERR_CONFIG);
	assert_string_equal(
	    got.err[0].text, "the CA does not offer revokeCert");
}

static void
terms_must_be_agreed_to(void **state)
{
	(void)state;
	conf.acme.agree_tos = false;
	another_ca();
	post("newOrder");
	await(1);
	assert_int_equal(got.err[0].kind, ERR_CONFIG);
	assert_non_null(strstr(got.err[0].text, "https://ca.test/terms"));
	assert_int_equal(peer.naccount, 0);
}

static void
an_external_account_is_asked_for(void **state)
{
	(void)state;
	peer.wants_eab = true;
	post("newOrder");
	await(1);
	assert_int_equal(got.err[0].kind, ERR_CONFIG);
	assert_non_null(strstr(got.err[0].text, "eab_kid"));
}

/* Ten orders that fail must not be ten requests more, nor a hot loop. */
static void
a_failure_of_the_directory_fails_all_that_wait(void **state)
{
	(void)state;
	peer.broken_directory = true;
	for (int i = 0; i < 5; i++)
		post("newOrder");
	await(5);
	for (int i = 0; i < 5; i++) {
		post("newOrder");
		await(6 + i);
	}
	assert_int_equal(peer.ndirectory, 1);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(got.err[i].kind, ERR_CONFIG);
		assert_string_equal(got.err[i].text,
		    "directory of the CA: this is not an ACME directory: no "
		    "newNonce in it");
	}
}

static void
a_ca_that_is_away_is_nobodys_fault(void **state)
{
	(void)state;
	free(conf.acme.directory);
	conf.acme.directory = xstrdup("http://127.0.0.1:1/dir");
	another_ca();
	post("newOrder");
	await(1);
	assert_int_equal(got.err[0].kind, ERR_AGAIN);
	assert_non_null(strstr(got.err[0].text, "cannot reach 127.0.0.1:1"));
}

static void
plain_http_is_refused_unless_for_tests(void **state)
{
	(void)state;
	conf.acme.insecure_test = false;
	post("newOrder");
	await(1);
	assert_int_equal(got.err[0].kind, ERR_CONFIG);
	assert_int_equal(peer.ndirectory, 0);
}

static void
without_a_key_there_is_no_request(void **state)
{
	(void)state;
	ca_free(ca);
	ca = ca_new(base, http, &conf, on_account, NULL);
	post("newOrder");
	assert_int_equal(got.n, 0);
	await(1);
	assert_int_equal(got.err[0].kind, ERR_BUG);
}

static void
free_within(void *arg, const struct reply *r, const struct err *e)
{
	(void)arg, (void)r, (void)e;
	got.n++;
	ca_free(ca);
	ca = NULL;
	event_base_loopbreak(base);
}

static void
cancelled_and_freed_calls_are_not_called_back(void **state)
{
	uint64_t id;

	(void)state;
	id = post("newOrder");
	ca_cancel(ca, id);
	ca_cancel(ca, id);
	post("newOrder");
	await(1);
	id = post("newOrder"); /* in flight by the time the next is sent */
	post("newOrder");
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	ca_cancel(ca, id);
	await(2);
	ca_post(ca, "newOrder", NULL, free_within, NULL);
	ca_post(ca, "newOrder", NULL, free_within, NULL);
	await(3);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(got.n, 3);
}

#define with_ca(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_ca(directory_and_account_are_fetched_once_for_all),
		with_ca(nonces_come_from_replies_and_are_used_once),
		with_ca(a_bad_nonce_is_cured_with_the_errors_own),
		with_ca(bad_nonces_without_end_are_an_error),
		with_ca(a_forgotten_account_is_made_again_once),
		with_ca(a_rate_limit_says_until_when),
		with_ca(a_redirect_is_an_error),
		with_ca(urls_of_no_web_address_are_not_sent_to),
		with_ca(what_the_ca_does_not_offer_is_said),
		with_ca(terms_must_be_agreed_to),
		with_ca(an_external_account_is_asked_for),
		with_ca(a_failure_of_the_directory_fails_all_that_wait),
		with_ca(a_ca_that_is_away_is_nobodys_fault),
		with_ca(plain_http_is_refused_unless_for_tests),
		with_ca(without_a_key_there_is_no_request),
		with_ca(cancelled_and_freed_calls_are_not_called_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
