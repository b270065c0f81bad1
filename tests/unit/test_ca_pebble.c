/*
 * The CA client and the order's dialogue against a real Pebble, which validates
 * nothing here: that part has its own end-to-end tests.  Half of all nonces are
 * rejected.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ca.h"
#include "sync/cert.h"
#include "sync/http.h"

#define NORDERS 5
#define NAGAIN 20 /* times that one order may meet with bad luck */

extern char **environ;

static struct {
	char dir[64];
	char *config, *cert;
	int port;
	pid_t pid;
} pebble;

static struct event_base *base;
static struct http *http;
static struct ca *ca;
static struct conf conf;
static char account_url[256];
static int naccounts;
static char *account_key;

/* One order being driven. */
struct run {
	struct order o;
	char name[64];
	char *key;
	struct event *timer;
	struct ask ask;
	int nagain, nreplies, stop_after; /* 0: go on to the end */
	bool stopped;
	struct err err;
};

static int nrunning;

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* A port that was free a moment ago. */
static int
free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

/* Pebble's own HTTPS: a certificate that trusts itself. */
static void
make_server_cert(const char *cert_path, const char *key_path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_EXTENSION *san = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
	FILE *f;

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)"pebble", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	X509_add_ext(x, san, -1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_non_null(f = fopen(cert_path, "w"));
	PEM_write_X509(f, x);
	fclose(f);
	assert_non_null(f = fopen(key_path, "w"));
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	X509_EXTENSION_free(san);
	X509_free(x);
	EVP_PKEY_free(key);
}

static bool
answers(int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rc = connect(fd, (struct sockaddr *)&sin, sizeof(sin));
	close(fd);
	return rc == 0;
}

static void
start_pebble(void)
{
	char *argv[] = { xstrdup("pebble"), xstrdup("-config"),
		xstrdup(pebble.config), NULL };
	posix_spawn_file_actions_t actions;
	char log[128];

	snprintf(log, sizeof(log), "%s/pebble.log", pebble.dir);
	posix_spawn_file_actions_init(&actions);
	for (int fd = 1; fd <= 2; fd++)
		posix_spawn_file_actions_addopen(
		    &actions, fd, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_int_equal(
	    posix_spawnp(&pebble.pid, "pebble", &actions, NULL, argv, environ),
	    0);
	posix_spawn_file_actions_destroy(&actions);
	for (int i = 0; i < 3; i++)
		free(argv[i]);
	for (int i = 0; i < 200 && !answers(pebble.port); i++)
		usleep(50000);
	assert_true(answers(pebble.port));
}

static void
stop_pebble(void)
{
	kill(pebble.pid, SIGTERM);
	waitpid(pebble.pid, NULL, 0);
}

static void
on_account(void *arg, const char *url)
{
	(void)arg;
	naccounts++;
	snprintf(account_url, sizeof(account_url), "%s", url);
}

static int
set_up(void **state)
{
	struct http_conf hc = { .max_in_flight = 8, .timeout_ms = 5000 };
	char *key, *text;
	struct err e;

	(void)state;
	setenv("PEBBLE_VA_ALWAYS_VALID", "1", 1);
	setenv("PEBBLE_VA_NOSLEEP", "1", 1);
	setenv("PEBBLE_WFE_NONCEREJECT", "50", 1);
	snprintf(pebble.dir, sizeof(pebble.dir), "/tmp/test_pebble.XXXXXX");
	assert_non_null(mkdtemp(pebble.dir));
	pebble.config = xasprintf("%s/config.json", pebble.dir);
	pebble.cert = xasprintf("%s/cert.pem", pebble.dir);
	key = xasprintf("%s/key.pem", pebble.dir);
	make_server_cert(pebble.cert, key);
	pebble.port = free_port();
	text = xasprintf("{\"pebble\":{\"listenAddress\":\"127.0.0.1:%d\","
			 "\"certificate\":\"%s\",\"privateKey\":\"%s\","
			 "\"httpPort\":5002,\"tlsPort\":5001}}",
	    pebble.port, pebble.cert, key);
	write_file(pebble.config, text);
	free(text);
	free(key);
	start_pebble();

	conf.acme.directory =
	    xasprintf("https://127.0.0.1:%d/dir", pebble.port);
	conf.acme.agree_tos = true;
	conf.acme.request_timeout_ms = 5000;
	hc.ca_file = pebble.cert;
	base = loop_new();
	http = http_new(base, &hc);
	ca = ca_new(base, http, &conf, on_account, NULL);
	account_key = cert_key_new();
	return ca_set_account(ca, account_key, "", &e);
}

static int
tear_down(void **state)
{
	static const char *const files[] = { "config.json", "cert.pem",
		"key.pem", "pebble.log" };
	char path[128];

	(void)state;
	stop_pebble();
	ca_free(ca);
	http_free(http);
	event_base_free(base);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", pebble.dir, files[i]);
		unlink(path);
	}
	rmdir(pebble.dir);
	free(pebble.config);
	free(pebble.cert);
	free(conf.acme.directory);
	mem_wipe_free(account_key);
	return 0;
}

static void step(void *arg);

static void
over(struct run *r)
{
	loop_timer_free(&r->timer);
	if (--nrunning == 0)
		event_base_loopbreak(base);
}

static void
on_reply(void *arg, const struct reply *reply, const struct err *e)
{
	struct run *r = arg;

	if (e != NULL && e->kind == ERR_AGAIN && r->nagain++ < NAGAIN) {
		loop_after(base, &r->timer, 100, step, r);
		return;
	}
	if (e != NULL)
		r->err = *e;
	if (e != NULL || order_got(&r->o, reply, &r->err) == -1) {
		over(r);
		return;
	}
	if (++r->nreplies == r->stop_after) {
		r->stopped = true;
		over(r);
		return;
	}
	loop_after(base, &r->timer, 0, step, r);
}

static void
post(void *arg)
{
	struct run *r = arg;
	json_t *payload = r->ask.payload;

	r->ask.payload = NULL;
	ca_post(ca, r->ask.url, payload, on_reply, r);
}

static void
step(void *arg)
{
	struct run *r = arg;
	const char *names[] = { r->name };

	if (order_ask(&r->o, &r->ask, &r->err) == -1) {
		over(r);
		return;
	}
	switch (r->ask.what) {
	case ASK_NOTHING:
		over(r);
		return;
	case ASK_POST:
		loop_after(base, &r->timer, r->ask.delay_ms, post, r);
		return;
	case ASK_CSR:
		r->key = cert_key_new();
		assert_int_equal(
		    cert_csr(r->key, names, 1, &r->o.csr, &r->err), 0);
		break;
	case ASK_PUBLISH:
		break;
	}
	assert_int_equal(order_got(&r->o, NULL, &r->err), 0);
	loop_after(base, &r->timer, 0, step, r);
}

static void
start(struct run *r, const char *name)
{
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->o.names[0] = r->name;
	r->o.nnames = 1;
	nrunning++;
	loop_after(base, &r->timer, 0, step, r);
}

static void
too_long(void *arg)
{
	(void)arg;
	event_base_loopbreak(base);
}

static void
await_all(void)
{
	struct event *timer = NULL;

	loop_after(base, &timer, 60000, too_long, NULL);
	event_base_dispatch(base);
	loop_timer_free(&timer);
	assert_int_equal(nrunning, 0);
}

/* The order is done, and its certificate may be served. */
static void
assert_issued(struct run *r)
{
	struct cert c;
	struct err e = { 0 };

	assert_string_equal(r->err.text, "");
	assert_int_equal(r->o.state, ORDER_DONE);
	assert_int_equal(cert_parse(&c, r->o.chain, strlen(r->o.chain), &e), 0);
	cert_check(&c, r->key, r->name, loop_wall_ms(), &e);
	assert_string_equal(e.text, "");
	assert_true(c.length >= 2);
	cert_clear(&c);
	order_clear(&r->o);
	mem_wipe_free(r->key);
}

static void
five_names_get_their_certificates(void **state)
{
	static struct run runs[NORDERS];
	char name[64];

	(void)state;
	for (int i = 0; i < NORDERS; i++) {
		snprintf(name, sizeof(name), "www.shop%d.example", i);
		start(&runs[i], name);
	}
	await_all();
	for (int i = 0; i < NORDERS; i++)
		assert_issued(&runs[i]);
	assert_int_equal(naccounts, 1);
}

/* Left lying after so many answers, taken up by its URL alone. */
static void
an_order_left_at_any_step_is_finished_by_another(void **state)
{
	int left = 0;

	(void)state;
	for (int after = 1; after < 10; after++) {
		struct run first = { .stop_after = after }, second = { 0 };
		char name[64];

		snprintf(name, sizeof(name), "step%d.example", after);
		start(&first, name);
		await_all();
		assert_string_equal(first.err.text, "");
		left += first.stopped;
		second.o.url = xstrdup(first.o.url);
		/* What the journal has: the key, if it was made. */
		second.o.csr = xstrdup(first.o.csr);
		second.key = xstrdup(first.key);
		order_clear(&first.o);
		mem_wipe_free(first.key);
		order_resume(&second.o);
		start(&second, name);
		await_all();
		assert_issued(&second);
	}
	assert_true(left >= 6);
}

/* Pebble keeps everything in memory: after a start it knows no account. */
static void
a_ca_that_lost_our_account_gets_it_again(void **state)
{
	static struct run runs[2];
	char before[256];

	(void)state;
	memcpy(before, account_url, sizeof(before));
	naccounts = 0;
	stop_pebble();
	start_pebble();
	start(&runs[0], "again0.example");
	start(&runs[1], "again1.example");
	await_all();
	assert_issued(&runs[0]);
	assert_issued(&runs[1]);
	assert_int_equal(naccounts, 1);
	assert_string_not_equal(account_url, before);
}

/* Connections that are kept, HTTP/2 among them, must not keep us busy. */
static void
an_idle_client_uses_no_processor(void **state)
{
	struct event *timer = NULL;
	struct rusage before, after;

	(void)state;
	getrusage(RUSAGE_SELF, &before);
	loop_after(base, &timer, 1000, too_long, NULL);
	event_base_dispatch(base);
	loop_timer_free(&timer);
	getrusage(RUSAGE_SELF, &after);
	assert_true((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
			after.ru_utime.tv_usec - before.ru_utime.tv_usec <
		    20000);
	assert_true(after.ru_nvcsw - before.ru_nvcsw < 20);
}

static void
a_name_that_the_ca_rejects_is_the_owners_to_cure(void **state)
{
	static struct run r;

	(void)state;
	start(&r, "under_score.example");
	await_all();
	assert_true(r.err.kind == ERR_REFUSED || r.err.kind == ERR_BUG);
	assert_non_null(strstr(r.err.text, "CA says: "));
	order_clear(&r.o);
}

static void
a_ca_that_we_do_not_trust_is_not_talked_to(void **state)
{
	struct http_conf hc = { .max_in_flight = 8, .timeout_ms = 5000 };
	struct http *strict = http_new(base, &hc);
	struct ca *other = ca_new(base, strict, &conf, on_account, NULL);
	struct run r = { .nagain = NAGAIN };
	struct ca *ours = ca;
	struct err e;

	(void)state;
	assert_int_equal(ca_set_account(other, account_key, "", &e), 0);
	ca = other;
	start(&r, "www.shop.example");
	await_all();
	assert_int_equal(r.err.kind, ERR_AGAIN);
	assert_non_null(strstr(r.err.text, "cannot reach 127.0.0.1"));
	order_clear(&r.o);
	ca = ours;
	ca_free(other);
	http_free(strict);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(five_names_get_their_certificates),
		cmocka_unit_test(
		    an_order_left_at_any_step_is_finished_by_another),
		cmocka_unit_test(an_idle_client_uses_no_processor),
		cmocka_unit_test(a_ca_that_lost_our_account_gets_it_again),
		cmocka_unit_test(
		    a_name_that_the_ca_rejects_is_the_owners_to_cure),
		cmocka_unit_test(a_ca_that_we_do_not_trust_is_not_talked_to),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
