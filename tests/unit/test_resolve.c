/*
 * The resolver against pebble-challtestsrv, and against a scripted server in
 * the same loop for what a real one does not do on demand.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/conf.h"
#include "common/loop.h"
#include "sync/resolve.h"

extern char **environ;

#define PATIENT_MS 5000 /* nothing ends by it, however slow the machine */
#define SHORT_MS 600

/* What one lookup came to. */
struct result {
	int calls;
	struct resolve_answer answer;
};

/* One test's world: a loop and a resolver that asks one port of loopback. */
struct world {
	struct event_base *base;
	struct resolve *r;
	struct conf conf;
	char server[32];
	char *servers[1];
};

static void
world_init(struct world *w, int port, int timeout_ms)
{
	struct err e = { 0 };

	memset(w, 0, sizeof(*w));
	snprintf(w->server, sizeof(w->server), "127.0.0.1:%d", port);
	w->servers[0] = w->server;
	w->conf.dns.resolvers.item = w->servers;
	w->conf.dns.resolvers.n = 1;
	w->conf.dns.timeout_ms = timeout_ms;
	w->base = loop_new();
	w->r = resolve_new(w->base, &w->conf, &e);
	assert_string_equal(e.text, "");
	assert_non_null(w->r);
}

static void
world_clear(struct world *w)
{
	resolve_free(w->r);
	event_base_free(w->base);
}

static void
on_answer(void *arg, const struct resolve_answer *a)
{
	struct result *result = arg;

	result->calls++;
	result->answer = *a;
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
run_until(struct world *w, const int *calls, int wanted)
{
	struct event *guard = NULL;
	int64_t end = loop_now_ms() + 20000;

	while (*calls < wanted && loop_now_ms() < end) {
		loop_after(w->base, &guard, 100, stop, w->base);
		event_base_loop(w->base, EVLOOP_ONCE);
	}
	loop_timer_free(&guard);
	assert_int_equal(*calls, wanted);
}

static struct resolve_answer
ask(struct world *w, const char *name, int caa)
{
	struct result result = { 0 };

	resolve_name(w->r, name, caa, on_answer, &result);
	assert_int_equal(result.calls, 0); /* never from within */
	run_until(w, &result.calls, 1);
	return result.answer;
}

/* A socket on a port of loopback; -1 when it is taken, 0 takes a free one. */
static int
bound_socket(int type, int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
bound_port(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

/* Both protocols on one port, which is returned. */
static int
bound_pair(int *udp, int *tcp)
{
	for (int i = 0; i < 100; i++) {
		*tcp = bound_socket(SOCK_STREAM, 0);
		assert_int_not_equal(*tcp, -1);
		*udp = bound_socket(SOCK_DGRAM, bound_port(*tcp));
		if (*udp != -1)
			return bound_port(*tcp);
		close(*tcp);
	}
	fail_msg("no free port");
	return -1;
}

/* A real server: pebble-challtestsrv. */
static struct {
	pid_t pid;
	int dns_port, http_port;
} real;

static int
http_connect(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)real.http_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
post(const char *path, const char *json)
{
	char text[1024];
	int fd = http_connect();

	assert_int_not_equal(fd, -1);
	snprintf(text, sizeof(text),
	    "POST /%s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", path,
	    strlen(json), json);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	memset(text, 0, sizeof(text));
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, " 200 OK"));
	close(fd);
}

/* The flag for the address to answer on has changed its name in 2.10. */
static int
real_spawn(const char *flag)
{
	char dns[32], http[32];
	const char *argv[] = { "pebble-challtestsrv", flag, dns, "-management",
		http, "-http01=", "-https01=", "-tlsalpn01=", "-defaultIPv4=",
		"-defaultIPv6=", NULL };
	posix_spawn_file_actions_t files;
	int fd, udp, tcp, status;

	real.dns_port = bound_pair(&udp, &tcp);
	fd = bound_socket(SOCK_STREAM, 0);
	real.http_port = bound_port(fd);
	close(fd);
	close(udp);
	close(tcp);
	snprintf(dns, sizeof(dns), "127.0.0.1:%d", real.dns_port);
	snprintf(http, sizeof(http), "127.0.0.1:%d", real.http_port);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", 1, 0);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	status = posix_spawnp(&real.pid, argv[0], &files, NULL,
	    (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (status != 0)
		return -1;
	for (int i = 0; i < 200; i++) {
		if (waitpid(real.pid, &status, WNOHANG) == real.pid)
			return -1;
		fd = http_connect();
		if (fd != -1) {
			close(fd);
			return 0;
		}
		usleep(20 * 1000);
	}
	return -1;
}

static int
real_start(void **state)
{
	(void)state;
	if (real_spawn("-dns01") == -1 && real_spawn("-dnsserver") == -1)
		return -1;
	post("add-a", "{\"host\":\"edge.example.\","
		      "\"addresses\":[\"198.51.100.7\",\"198.51.100.8\"]}");
	post("add-aaaa",
	    "{\"host\":\"edge.example.\",\"addresses\":[\"2001:db8::7\"]}");
	post("set-cname",
	    "{\"host\":\"cdn.example.\",\"target\":\"edge.example.\"}");
	post("set-cname",
	    "{\"host\":\"www.shop.example.\",\"target\":\"cdn.example.\"}");
	post("set-cname",
	    "{\"host\":\"gone.example.\",\"target\":\"nowhere.example.\"}");
	post("set-cname",
	    "{\"host\":\"l1.example.\",\"target\":\"l2.example.\"}");
	post("set-cname",
	    "{\"host\":\"l2.example.\",\"target\":\"l1.example.\"}");
	post("add-caa", "{\"host\":\"shop.example.\",\"policies\":["
			"{\"tag\":\"issue\",\"value\":\"digicert.com\"},"
			"{\"tag\":\"issuewild\",\"value\":\";\"}]}");
	post("add-a",
	    "{\"host\":\"a.bad.example.\",\"addresses\":[\"198.51.100.7\"]}");
	post("set-servfail", "{\"host\":\"bad.example.\"}");
	return 0;
}

static int
real_stop(void **state)
{
	(void)state;
	if (real.pid > 0) {
		kill(real.pid, SIGTERM);
		waitpid(real.pid, NULL, 0);
	}
	return 0;
}

static void
addresses_of_both_families_are_found(void **state)
{
	struct world w;
	struct resolve_answer a;

	(void)state;
	world_init(&w, real.dns_port, PATIENT_MS);
	a = ask(&w, "edge.example", 0);
	assert_int_equal(a.a, RESOLVE_OK);
	assert_int_equal(a.aaaa, RESOLVE_OK);
	assert_int_equal(a.caa, RESOLVE_NONE);
	assert_int_equal(a.naddresses, 3);
	assert_string_equal(a.address[0], "198.51.100.7");
	assert_string_equal(a.address[1], "198.51.100.8");
	assert_string_equal(a.address[2], "2001:db8::7");
	assert_int_equal(a.ncnames, 0);
	a = ask(&w, "*.edge.example.", 0);
	assert_int_equal(a.naddresses, 3);
	world_clear(&w);
}

static void
cnames_are_followed_to_their_end(void **state)
{
	struct world w;
	struct resolve_answer a;

	(void)state;
	world_init(&w, real.dns_port, PATIENT_MS);
	/* The server follows one step only. */
	a = ask(&w, "www.shop.example", 0);
	assert_int_equal(a.a, RESOLVE_OK);
	assert_int_equal(a.naddresses, 3);
	assert_int_equal(a.ncnames, 2);
	assert_string_equal(a.cname[0], "cdn.example");
	assert_string_equal(a.cname[1], "edge.example");
	a = ask(&w, "gone.example", 0);
	assert_int_equal(a.a, RESOLVE_NONE);
	assert_int_equal(a.aaaa, RESOLVE_NONE);
	assert_int_equal(a.ncnames, 1);
	assert_string_equal(a.cname[0], "nowhere.example");
	a = ask(&w, "l1.example", 0);
	assert_int_equal(a.a, RESOLVE_FAIL);
	assert_int_equal(a.naddresses, 0);
	assert_string_equal(
	    a.error, "A of l1.example: its CNAMEs run in a loop");
	world_clear(&w);
}

static void
no_record_and_no_answer_are_told_apart(void **state)
{
	struct world w;
	struct resolve_answer a;

	(void)state;
	world_init(&w, real.dns_port, PATIENT_MS);
	a = ask(&w, "nothing.example", 1);
	assert_int_equal(a.a, RESOLVE_NONE);
	assert_int_equal(a.aaaa, RESOLVE_NONE);
	assert_int_equal(a.caa, RESOLVE_NONE);
	assert_string_equal(a.error, "");
	a = ask(&w, "bad.example", 1);
	assert_int_equal(a.a, RESOLVE_FAIL);
	assert_int_equal(a.aaaa, RESOLVE_FAIL);
	assert_int_equal(a.caa, RESOLVE_FAIL);
	assert_string_equal(
	    a.error, "A of bad.example: every server fails or refuses");
	world_clear(&w);
}

static void
caa_climbs_to_the_closest_set(void **state)
{
	struct world w;
	struct resolve_answer a;

	(void)state;
	world_init(&w, real.dns_port, PATIENT_MS);
	a = ask(&w, "*.a.b.shop.example", 1);
	assert_int_equal(a.caa, RESOLVE_OK);
	assert_string_equal(a.caa_name, "shop.example");
	assert_int_equal(a.ncaas, 2);
	assert_int_equal(a.caas[0].critical, 0);
	assert_string_equal(a.caas[0].tag, "issue");
	assert_string_equal(a.caas[0].value, "digicert.com");
	assert_string_equal(a.caas[1].tag, "issuewild");
	assert_string_equal(a.caas[1].value, ";");
	/* A CNAME's target is asked for, its parents are not. */
	a = ask(&w, "www.shop.example", 1);
	assert_int_equal(a.caa, RESOLVE_OK);
	assert_string_equal(a.caa_name, "shop.example");
	/* No answer on the way is no answer. */
	a = ask(&w, "a.bad.example", 1);
	assert_int_equal(a.a, RESOLVE_OK);
	assert_int_equal(a.caa, RESOLVE_FAIL);
	assert_string_equal(
	    a.error, "CAA of bad.example: every server fails or refuses");
	world_clear(&w);
}

static void
count_answer(void *arg, const struct resolve_answer *a)
{
	int *n = arg;

	assert_int_equal(a->a, RESOLVE_OK);
	++*n;
}

static void
more_lookups_than_run_at_once_are_all_answered(void **state)
{
	struct world w;
	int n = 0, cancelled = 0;
	uint64_t id = 0;

	(void)state;
	world_init(&w, real.dns_port, PATIENT_MS);
	for (int i = 0; i < 600; i++)
		resolve_name(w.r, "edge.example", 0, count_answer, &n);
	for (int i = 0; i < 10; i++) {
		id = resolve_name(
		    w.r, "edge.example", 0, count_answer, &cancelled);
		resolve_cancel(w.r, id);
	}
	run_until(&w, &n, 600);
	resolve_cancel(w.r, id); /* gone is accepted */
	assert_int_equal(cancelled, 0);
	world_clear(&w);
}

/* The scripted server: reply() writes what follows the question. */
struct stub {
	int udp, tcp, port;
	struct event *event, *tcp_event;
	int asked, asked_tcp;
	size_t (*reply)(
	    struct stub *, uint8_t *header, const char *name, uint8_t *tail);
};

/* A question's name with dots; its type is the last but three byte after. */
static size_t
read_question(const uint8_t *q, char *name)
{
	size_t at = 12, used = 0;

	while (q[at] != 0) {
		memcpy(name + used, q + at + 1, q[at]);
		used += q[at];
		name[used++] = '.';
		at += q[at] + 1u;
	}
	name[used > 0 ? used - 1 : 0] = '\0';
	return at + 5;
}

static size_t
stub_answer(struct stub *s, uint8_t *m)
{
	char name[256];
	size_t len = read_question(m, name);

	m[2] |= 0x80;
	m[6] = m[7] = m[8] = m[9] = m[10] = m[11] = 0;
	return len + s->reply(s, m, name, m + len);
}

static void
on_stub(evutil_socket_t fd, short what, void *arg)
{
	struct stub *s = arg;
	uint8_t m[2048];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n;
	size_t len;

	(void)what;
	n = recvfrom(fd, m, 512, 0, (struct sockaddr *)&from, &from_len);
	assert_true(n > 12);
	s->asked++;
	if (s->reply == NULL)
		return;
	len = stub_answer(s, m);
	sendto(fd, m, len, 0, (struct sockaddr *)&from, from_len);
}

static void
on_stub_client(evutil_socket_t fd, short what, void *arg)
{
	struct stub *s = arg;
	uint8_t m[2048];
	size_t len, want;

	(void)what;
	assert_int_equal(recv(fd, m, 2, MSG_WAITALL), 2);
	want = (size_t)(m[0] << 8 | m[1]);
	assert_int_equal(recv(fd, m + 2, want, MSG_WAITALL), want);
	s->asked_tcp++;
	len = stub_answer(s, m + 2);
	m[0] = (uint8_t)(len >> 8);
	m[1] = (uint8_t)len;
	assert_int_equal(write(fd, m, len + 2), len + 2);
	close(fd);
}

static void
on_stub_tcp(evutil_socket_t fd, short what, void *arg)
{
	struct stub *s = arg;

	(void)what;
	event_base_once(event_get_base(s->event), accept(fd, NULL, NULL),
	    EV_READ, on_stub_client, s, NULL);
}

static void
stub_init(struct stub *s, struct world *w, int timeout_ms,
    size_t (*reply)(struct stub *, uint8_t *, const char *, uint8_t *))
{
	memset(s, 0, sizeof(*s));
	s->reply = reply;
	s->port = bound_pair(&s->udp, &s->tcp);
	assert_int_equal(listen(s->tcp, 8), 0);
	world_init(w, s->port, timeout_ms);
	s->event = event_new(w->base, s->udp, EV_READ | EV_PERSIST, on_stub, s);
	s->tcp_event =
	    event_new(w->base, s->tcp, EV_READ | EV_PERSIST, on_stub_tcp, s);
	event_add(s->event, NULL);
	event_add(s->tcp_event, NULL);
}

static void
stub_clear(struct stub *s, struct world *w)
{
	event_free(s->event);
	event_free(s->tcp_event);
	close(s->udp);
	close(s->tcp);
	world_clear(w);
}

/* An answer record for the name that was asked for. */
static size_t
put_record(
    uint8_t *header, uint8_t *out, uint8_t type, const void *data, uint8_t len)
{
	const uint8_t head[] = { 0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, len };

	header[7]++;
	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), data, len);
	return sizeof(head) + len;
}

static bool
asks_a(const uint8_t *tail)
{
	return tail[-3] == 1;
}

static void
silence_ends_in_time(void **state)
{
	struct world w;
	struct stub s;
	struct resolve_answer a;
	int64_t began, took;

	(void)state;
	stub_init(&s, &w, SHORT_MS, NULL);
	began = loop_now_ms();
	a = ask(&w, "www.shop.example", 1);
	took = loop_now_ms() - began;
	assert_int_equal(a.a, RESOLVE_FAIL);
	assert_int_equal(a.aaaa, RESOLVE_FAIL);
	assert_int_equal(a.caa, RESOLVE_FAIL);
	assert_int_equal(strncmp(a.error, "A of www.shop.example: ", 23), 0);
	assert_in_range(took, SHORT_MS / 2, SHORT_MS + 1000);
	assert_int_equal(s.asked, 6); /* each question twice */
	stub_clear(&s, &w);
}

static void
a_cancelled_lookup_is_not_heard_of_again(void **state)
{
	struct world w;
	struct stub s;
	struct result gone = { 0 }, other = { 0 };

	(void)state;
	stub_init(&s, &w, SHORT_MS, NULL);
	resolve_cancel(
	    w.r, resolve_name(w.r, "a.example", 1, on_answer, &gone));
	resolve_name(w.r, "b.example", 1, on_answer, &other);
	run_until(&w, &other.calls, 1);
	/* And what is in flight when the resolver goes is not either. */
	resolve_name(w.r, "c.example", 1, on_answer, &gone);
	event_base_loop(w.base, EVLOOP_NONBLOCK);
	stub_clear(&s, &w);
	assert_int_equal(gone.calls, 0);
	assert_int_equal(other.calls, 1);
}

static size_t
reply_noise(struct stub *s, uint8_t *header, const char *name, uint8_t *tail)
{
	(void)s, (void)name;
	header[7] = 3; /* three answers that are none */
	memset(tail, 0xff, 100);
	return 100;
}

static void
garbage_is_no_answer(void **state)
{
	struct world w;
	struct stub s;
	struct resolve_answer a;

	(void)state;
	stub_init(&s, &w, PATIENT_MS, reply_noise);
	a = ask(&w, "www.shop.example", 1);
	assert_int_equal(a.a, RESOLVE_FAIL);
	assert_int_equal(a.aaaa, RESOLVE_FAIL);
	assert_int_equal(a.caa, RESOLVE_FAIL);
	assert_string_equal(
	    a.error, "A of www.shop.example: the reply is malformed");
	stub_clear(&s, &w);
}

static size_t
reply_cut(struct stub *s, uint8_t *header, const char *name, uint8_t *tail)
{
	(void)name;
	if (s->asked_tcp > 0 && asks_a(tail))
		return put_record(header, tail, 1, "\xc6\x33\x64\x07", 4);
	if (asks_a(tail))
		header[2] |= 0x02; /* truncated: come by TCP */
	return 0;
}

static void
a_truncated_reply_is_asked_for_by_tcp(void **state)
{
	struct world w;
	struct stub s;
	struct resolve_answer a;

	(void)state;
	stub_init(&s, &w, PATIENT_MS, reply_cut);
	a = ask(&w, "www.shop.example", 0);
	assert_int_equal(a.a, RESOLVE_OK);
	assert_string_equal(a.address[0], "198.51.100.7");
	assert_int_equal(a.aaaa, RESOLVE_NONE);
	assert_int_equal(s.asked_tcp, 1);
	stub_clear(&s, &w);
}

/* n07.example -> n08.example -> ..., without an end and without an address. */
static size_t
reply_chain(struct stub *s, uint8_t *header, const char *name, uint8_t *tail)
{
	uint8_t target[] = "\3n00\7example";
	int i = (name[1] - '0') * 10 + name[2] - '0';

	(void)s;
	target[2] = (uint8_t)('0' + (i + 1) / 10);
	target[3] = (uint8_t)('0' + (i + 1) % 10);
	return put_record(header, tail, 5, target, sizeof(target));
}

static void
a_chain_without_end_is_given_up(void **state)
{
	struct world w;
	struct stub s;
	struct resolve_answer a;

	(void)state;
	stub_init(&s, &w, PATIENT_MS, reply_chain);
	a = ask(&w, "n00.example", 0);
	assert_int_equal(a.a, RESOLVE_FAIL);
	assert_string_equal(a.error, "A of n00.example: more than 8 CNAMEs");
	assert_int_equal(a.ncnames, RESOLVE_CNAMES_MAX);
	assert_int_equal(s.asked, 2 * (RESOLVE_CNAMES_MAX + 1));
	stub_clear(&s, &w);
}

static void
a_resolver_that_is_no_address_is_refused(void **state)
{
	char texts[][24] = { "dns.example", "192.0.2.53:0x35",
		"192.0.2.53:99999", "[2001:db8::1", "" };
	char good[][24] = { "192.0.2.53", "192.0.2.53:8053", "[2001:db8::1]:53",
		"2001:db8::1" };
	char *text, *all[] = { good[0], good[1], good[2], good[3] };
	struct event_base *base = loop_new();
	struct conf conf = { .dns.timeout_ms = 100 };
	struct resolve *r;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		text = texts[i];
		conf.dns.resolvers = (struct conf_list){ &text, 1 };
		memset(&e, 0, sizeof(e));
		assert_null(resolve_new(base, &conf, &e));
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_non_null(strstr(e.text, "is not an address; expected"));
	}
	conf.dns.resolvers = (struct conf_list){ all, 4 };
	r = resolve_new(base, &conf, &e);
	assert_non_null(r);
	resolve_free(r);
	conf.dns.resolvers.n = 0; /* the system's */
	r = resolve_new(base, &conf, &e);
	assert_non_null(r);
	resolve_free(r);
	resolve_free(NULL);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_both_families_are_found),
		cmocka_unit_test(cnames_are_followed_to_their_end),
		cmocka_unit_test(no_record_and_no_answer_are_told_apart),
		cmocka_unit_test(caa_climbs_to_the_closest_set),
		cmocka_unit_test(
		    more_lookups_than_run_at_once_are_all_answered),
		cmocka_unit_test(silence_ends_in_time),
		cmocka_unit_test(a_cancelled_lookup_is_not_heard_of_again),
		cmocka_unit_test(garbage_is_no_answer),
		cmocka_unit_test(a_truncated_reply_is_asked_for_by_tcp),
		cmocka_unit_test(a_chain_without_end_is_given_up),
		cmocka_unit_test(a_resolver_that_is_no_address_is_refused),
	};

	return cmocka_run_group_tests(tests, real_start, real_stop);
}
