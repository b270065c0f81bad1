#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "common/loop.h"
#include "common/mem.h"
#include "sync/http.h"

#define REPLIES_MAX 64

/* A server in the same loop, and what came back from it. */
static struct event_base *base;
static struct evhttp *server;
static int port, nrequests, nconnections;
static struct evhttp_request *held[REPLIES_MAX];
static int nheld;

static struct {
	int n, wanted;
	int status[REPLIES_MAX];
	char text[REPLIES_MAX][256]; /* body, or the error's sentence */
	enum err_kind kind[REPLIES_MAX];
	void *arg[REPLIES_MAX];
	int64_t retry_ms, date_ms;
	char location[64], nonce[64], link[128], type[64];
} got;

static void
header(struct evhttp_request *r, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(r), name, value);
}

static void
on_request(struct evhttp_request *r, void *arg)
{
	const char *path = evhttp_request_get_uri(r);
	struct evbuffer *out = evbuffer_new();
	int status = 200;

	(void)arg;
	nrequests++;
	if (strstr(path, "/hold") != NULL) {
		evhttp_request_own(r);
		held[nheld++] = r;
		evbuffer_free(out);
		return;
	}
	if (strcmp(path, "/redirect") == 0) {
		header(r, "Location", "/elsewhere");
		status = 302;
	} else if (strcmp(path, "/big") == 0) {
		for (int i = 0; i < 2000; i++)
			evbuffer_add_printf(out, "0123456789");
	} else if (strcmp(path, "/headers") == 0) {
		header(r, "Replay-Nonce", "n-1");
		header(r, "Retry-After", "120");
		header(r, "Link", "<https://ca/d>;rel=\"index\"");
		header(r, "link", "<https://ca/t>;rel=\"help\"");
		header(r, "Content-Type", "application/problem+json");
		status = 503;
	} else if (strcmp(path, "/echo") == 0) {
		evbuffer_add_printf(out, "%d %s %s ",
		    (int)evhttp_request_get_command(r),
		    evhttp_find_header(
			evhttp_request_get_input_headers(r), "User-Agent"),
		    evhttp_find_header(
			evhttp_request_get_input_headers(r), "X-One"));
		evbuffer_add_buffer(out, evhttp_request_get_input_buffer(r));
	} else {
		evbuffer_add_printf(out, "%s", path);
	}
	evhttp_send_reply(r, status, "so", out);
	evbuffer_free(out);
}

static struct bufferevent *
on_connection(struct event_base *b, void *arg)
{
	(void)b, (void)arg;
	nconnections++;
	return NULL;
}

static void
on_reply(void *arg, const struct http_res *res, const struct err *e)
{
	int i = got.n++;

	got.arg[i] = arg;
	if (e != NULL) {
		assert_null(res);
		got.kind[i] = e->kind;
		snprintf(got.text[i], sizeof(got.text[i]), "%s", e->text);
	} else {
		got.status[i] = res->status;
		got.retry_ms = res->retry_ms;
		got.date_ms = res->date_ms;
		snprintf(got.text[i], sizeof(got.text[i]), "%s", res->body);
		snprintf(
		    got.location, sizeof(got.location), "%s", res->location);
		snprintf(got.nonce, sizeof(got.nonce), "%s", res->replay_nonce);
		snprintf(got.link, sizeof(got.link), "%s", res->link);
		snprintf(got.type, sizeof(got.type), "%s", res->content_type);
		assert_int_equal(res->body[res->len], '\0');
	}
	if (got.n == got.wanted)
		event_base_loopbreak(base);
}

static void
too_long(void *arg)
{
	(void)arg;
	event_base_loopbreak(base);
}

/* Run until n replies came in, or ms have passed. */
static void
await(int n, int64_t ms)
{
	struct event *timer = NULL;

	got.wanted = n;
	loop_after(base, &timer, ms, too_long, NULL);
	if (got.n < n)
		event_base_dispatch(base);
	loop_timer_free(&timer);
}

static int
set_up(void **state)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	struct evhttp_bound_socket *s;

	(void)state;
	base = loop_new();
	server = evhttp_new(base);
	evhttp_set_gencb(server, on_request, NULL);
	evhttp_set_bevcb(server, on_connection, NULL);
	s = evhttp_bind_socket_with_handle(server, "127.0.0.1", 0);
	assert_non_null(s);
	getsockname(
	    evhttp_bound_socket_get_fd(s), (struct sockaddr *)&sin, &len);
	port = ntohs(sin.sin_port);
	nrequests = nconnections = nheld = 0;
	memset(&got, 0, sizeof(got));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	/* One whose client has gone is freed by being answered. */
	for (int i = 0; i < nheld; i++)
		evhttp_send_error(held[i], 503, NULL);
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	evhttp_free(server);
	event_base_free(base);
	return 0;
}

static struct http *
new_http(int max_in_flight)
{
	struct http_conf conf = { .max_in_flight = max_in_flight,
		.timeout_ms = 2000 };

	return http_new(base, &conf);
}

/* The URL of a path on our server; another name makes another host of it. */
static const char *
url_of(const char *host, const char *path)
{
	static char url[8][256];
	static int i;

	i = (i + 1) % 8;
	snprintf(url[i], sizeof(url[i]), "http://%s:%d%s", host, port, path);
	return url[i];
}

static uint64_t
get(struct http *h, const char *path)
{
	struct http_req req = {
		.method = "GET", .url = url_of("127.0.0.1", path), .plain = true
	};

	return http_send(h, &req, on_reply, NULL);
}

static void
a_reply_comes_with_its_headers(void **state)
{
	struct http *h = new_http(4);

	(void)state;
	get(h, "/headers");
	assert_int_equal(got.n, 0); /* never from within */
	await(1, 3000);
	assert_int_equal(got.status[0], 503);
	assert_int_equal(got.retry_ms, 120000);
	assert_string_equal(got.nonce, "n-1");
	assert_string_equal(got.location, "");
	assert_string_equal(got.type, "application/problem+json");
	assert_string_equal(got.link,
	    "<https://ca/d>;rel=\"index\", <https://ca/t>;rel=\"help\"");
	assert_true(
	    got.date_ms > 0 && llabs(got.date_ms - loop_wall_ms()) < 5000);
	http_free(h);
}

static void
method_headers_and_body_arrive(void **state)
{
	struct http *h = new_http(4);
	struct http_req req = { .method = "POST",
		.url = url_of("127.0.0.1", "/echo"),
		.header = { "X-One: 1" },
		.nheaders = 1,
		.body = "hello",
		.body_len = 5,
		.plain = true };
	char expected[128];

	(void)state;
	snprintf(expected, sizeof(expected), "%d certfleet/%s 1 hello",
	    EVHTTP_REQ_POST, CERTFLEET_VERSION);
	http_send(h, &req, on_reply, NULL);
	await(1, 3000);
	assert_string_equal(got.text[0], expected);
	http_free(h);
}

static void
a_redirect_is_not_followed(void **state)
{
	struct http *h = new_http(4);

	(void)state;
	get(h, "/redirect");
	await(1, 3000);
	assert_int_equal(got.status[0], 302);
	assert_string_equal(got.location, "/elsewhere");
	assert_int_equal(nrequests, 1);
	http_free(h);
}

static void
plain_http_and_other_protocols_are_refused(void **state)
{
	static const char *const urls[] = { "http://127.0.0.1:1/",
		"file:///etc/passwd", "ftp://127.0.0.1:1/", "gopher://x:1/",
		"nonsense", "http://a b/", "https://x/\r\nHost: y" };
	struct http *h = new_http(4);
	struct http_req req = { .method = "GET" };

	(void)state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		req.url = urls[i];
		http_send(h, &req, on_reply, NULL);
	}
	req.url = "file:///etc/passwd";
	req.plain = true;
	http_send(h, &req, on_reply, NULL);
	await(8, 3000);
	assert_int_equal(got.n, 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(got.kind[i], ERR_BUG);
	http_free(h);
}

static void
a_body_over_its_cap_is_an_error(void **state)
{
	struct http *h = new_http(4);
	struct http_req req = { .method = "GET",
		.url = url_of("127.0.0.1", "/big"),
		.body_max = 19999,
		.plain = true };

	(void)state;
	http_send(h, &req, on_reply, NULL);
	await(1, 3000);
	assert_int_equal(got.kind[0], ERR_BUG);
	assert_non_null(strstr(got.text[0], "more than 19999 bytes"));
	req.body_max = 20000;
	http_send(h, &req, on_reply, NULL);
	await(2, 3000);
	assert_int_equal(got.status[1], 200);
	http_free(h);
}

static void
silence_ends_with_the_time_out(void **state)
{
	struct http *h = new_http(4);
	struct http_req req = { .method = "GET",
		.url = url_of("127.0.0.1", "/hold"),
		.timeout_ms = 200,
		.plain = true };
	int64_t start = loop_now_ms();

	(void)state;
	http_send(h, &req, on_reply, NULL);
	await(1, 3000);
	assert_int_equal(got.kind[0], ERR_AGAIN);
	assert_non_null(strstr(got.text[0], "no answer from 127.0.0.1"));
	assert_true(loop_now_ms() - start < 1000);
	http_free(h);
}

static void
nobody_there_is_said_with_the_hosts_name(void **state)
{
	struct http *h = new_http(4);
	struct http_req req = { .method = "GET",
		.url = "http://127.0.0.1:1/path?secret",
		.plain = true };

	(void)state;
	http_send(h, &req, on_reply, NULL);
	await(1, 3000);
	assert_int_equal(got.kind[0], ERR_AGAIN);
	assert_non_null(strstr(got.text[0], "cannot reach 127.0.0.1:1: "));
	assert_null(strstr(got.text[0], "secret"));
	http_free(h);
}

/* A domain's owner must not make us knock at what is behind our firewall. */
static void
private_addresses_are_refused_when_asked(void **state)
{
	struct http *h = new_http(4);
	struct http_req req = { .method = "GET",
		.url = url_of("localhost", "/"),
		.public_only = true,
		.plain = true };
	char to[32];

	(void)state;
	/* A connection that is there already must not be used either. */
	get(h, "/");
	await(1, 3000);
	http_send(h, &req, on_reply, NULL);
	req.url = url_of("127.0.0.1", "/");
	http_send(h, &req, on_reply, NULL);
	/* Nor does it matter that we name the address ourselves. */
	snprintf(to, sizeof(to), "127.0.0.1:%d", port);
	req.url = "http://www.example.com/";
	req.connect_to = to;
	http_send(h, &req, on_reply, NULL);
	await(4, 3000);
	assert_int_equal(got.kind[1], ERR_REFUSED);
	assert_int_equal(got.kind[2], ERR_REFUSED);
	assert_int_equal(got.kind[3], ERR_REFUSED);
	assert_non_null(strstr(got.text[1], "private address"));
	assert_int_equal(nrequests, 1);
	http_free(h);
}

static void
connect_to_decides_where_but_not_whom(void **state)
{
	struct http *h = new_http(4);
	char to[32];
	struct http_req req = { .method = "GET",
		.url = "http://www.shop.test/x",
		.connect_to = to,
		.plain = true };

	(void)state;
	snprintf(to, sizeof(to), "127.0.0.1:%d", port);
	http_send(h, &req, on_reply, NULL);
	await(1, 3000);
	assert_int_equal(got.status[0], 200);
	assert_string_equal(got.text[0], "/x");
	http_free(h);
}

static void
the_environments_proxy_is_not_used(void **state)
{
	struct http *h = new_http(4);

	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	get(h, "/");
	await(1, 3000);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	assert_int_equal(got.status[0], 200);
	http_free(h);
}

static void
connections_are_kept_and_no_more_than_allowed_are_used(void **state)
{
	struct http *h = new_http(3);

	(void)state;
	for (int i = 0; i < 60; i++)
		get(h, "/");
	await(60, 5000);
	assert_int_equal(got.n, 60);
	assert_int_equal(nrequests, 60);
	assert_true(nconnections <= 3);
	http_free(h);
}

/* A host that says nothing may not hold all places. */
static void
a_slow_host_does_not_starve_another(void **state)
{
	struct http *h = new_http(4);
	struct http_req slow = { .method = "GET",
		.url = url_of("localhost", "/hold"),
		.plain = true };

	(void)state;
	for (int i = 0; i < 10; i++)
		http_send(h, &slow, on_reply, NULL);
	for (int i = 0; i < 10; i++)
		get(h, "/");
	await(10, 1500);
	assert_int_equal(got.n, 10);
	for (int i = 0; i < 10; i++)
		assert_int_equal(got.status[i], 200);
	assert_true(nheld <= 3);
	http_free(h);
}

static void
what_is_cancelled_is_not_called_back(void **state)
{
	struct http *h = new_http(1);
	struct http_req bad = { .method = "GET", .url = "nonsense" };
	uint64_t in_flight, waiting, failed;

	(void)state;
	in_flight = get(h, "/hold");
	await(1, 100);
	waiting = get(h, "/waiting");
	failed = http_send(h, &bad, on_reply, NULL);
	http_cancel(h, in_flight);
	http_cancel(h, waiting);
	http_cancel(h, failed);
	http_cancel(h, failed);
	http_cancel(h, 12345);
	get(h, "/after");
	await(1, 3000);
	assert_int_equal(got.n, 1);
	assert_string_equal(got.text[0], "/after");
	http_free(h);
}

static void
free_within(void *arg, const struct http_res *res, const struct err *e)
{
	(void)res, (void)e;
	got.n++;
	http_free(arg);
	event_base_loopbreak(base);
}

static void
freeing_within_a_callback_ends_everything(void **state)
{
	struct http *h = new_http(4);
	struct http_req req = {
		.method = "GET", .url = "nonsense", .plain = true
	};

	(void)state;
	http_send(h, &req, free_within, h);
	http_send(h, &req, free_within, h);
	get(h, "/hold");
	await(1, 1000);
	await(2, 100);
	assert_int_equal(got.n, 1);
}

static void
idle_uses_no_processor(void **state)
{
	struct http *h = new_http(4);
	struct rusage before, after;
	int64_t used;

	(void)state;
	get(h, "/");
	await(1, 3000);
	getrusage(RUSAGE_SELF, &before);
	await(2, 500);
	getrusage(RUSAGE_SELF, &after);
	used = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
	       after.ru_utime.tv_usec - before.ru_utime.tv_usec;
	assert_true(used < 20000);
	assert_true(after.ru_nvcsw - before.ru_nvcsw < 20);
	http_free(h);
}

static void
retry_after_is_seconds_or_a_date(void **state)
{
	/* RFC 9110's own example: the three forms of one moment. */
	static const int64_t at = (int64_t)784111777 * 1000;
	static const struct {
		const char *value;
		int64_t now, expected;
	} cases[] = {
		{ "120", 0, 120000 },
		{ "0", 0, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", at - 5000, 5000 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", at - 5000, 5000 },
		{ "Sun Nov  6 08:49:37 1994", at - 5000, 5000 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", at, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT", at + 9, 0 },
		{ "-1", 0, 0 },
		{ "1.5", 0, 0 },
		{ "99999999999999999999", 0, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 CET", 0, 0 },
		{ "soon", 0, 0 },
		{ "", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(http_retry_after(cases[i].value, cases[i].now),
		    cases[i].expected);
}

#define on_server(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		on_server(a_reply_comes_with_its_headers),
		on_server(method_headers_and_body_arrive),
		on_server(a_redirect_is_not_followed),
		on_server(plain_http_and_other_protocols_are_refused),
		on_server(a_body_over_its_cap_is_an_error),
		on_server(silence_ends_with_the_time_out),
		on_server(nobody_there_is_said_with_the_hosts_name),
		on_server(private_addresses_are_refused_when_asked),
		on_server(connect_to_decides_where_but_not_whom),
		on_server(the_environments_proxy_is_not_used),
		on_server(
		    connections_are_kept_and_no_more_than_allowed_are_used),
		on_server(a_slow_host_does_not_starve_another),
		on_server(what_is_cancelled_is_not_called_back),
		on_server(freeing_within_a_callback_ends_everything),
		on_server(idle_uses_no_processor),
		cmocka_unit_test(retry_after_is_seconds_or_a_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
