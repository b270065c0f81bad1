/* A real redis-server with TLS, and certificates made for the test. */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/library.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds.h"

#define PATIENCE_MS 10000

struct world {
	char dir[64];
	char *unix_url, *name_url, *address_url;
	char *ca, *other_ca, *cert, *key;
	pid_t server;
	struct event_base *base;
	struct event *deadline;
	/* what the last client said */
	bool up, down, done;
	struct err why;
	char *text;
	size_t len;
};

static void
run(const char *const argv[])
{
	pid_t pid = fork();
	int status, null;

	if (pid == 0) {
		null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		/* exec's type is older than const */
		execvp(argv[0], (char **)(uintptr_t)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* An authority, or a certificate by one for redis.test and 127.0.0.1. */
static void
make_cert(const char *cert, const char *key, const char *subject,
    const char *ca, const char *ca_key)
{
	const char *argv[32] = { "openssl", "req", "-x509", "-newkey", "ec",
		"-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
		"-subj", subject, "-out", cert, "-keyout", key };
	size_t n = 16;

	if (ca != NULL) {
		argv[n++] = "-CA";
		argv[n++] = ca;
		argv[n++] = "-CAkey";
		argv[n++] = ca_key;
		argv[n++] = "-addext";
		argv[n++] = "subjectAltName=DNS:redis.test,IP:127.0.0.1";
		argv[n++] = "-addext";
		argv[n++] = "basicConstraints=critical,CA:FALSE";
	}
	run(argv);
}

static int
free_port(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	getsockname(fd, (struct sockaddr *)&sin, &len);
	close(fd);
	return ntohs(sin.sin_port);
}

static void
start_server(struct world *w, int port)
{
	char number[8];

	snprintf(number, sizeof(number), "%d", port);
	w->server = fork();
	if (w->server == 0) {
		dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
		execlp("redis-server", "redis-server", "--port", "0",
		    "--unixsocket", w->unix_url + strlen("unix:"), "--tls-port",
		    number, "--bind", "127.0.0.1", "--tls-cert-file", w->cert,
		    "--tls-key-file", w->key, "--tls-ca-cert-file", w->ca,
		    "--tls-auth-clients", "no", "--save", "", "--dir", w->dir,
		    (char *)NULL);
		_exit(127);
	}
}

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	int port = free_port();
	char *ca_key, *other_key;

	log_open("test", LOG_LEVEL_ERROR);
	memcpy(w->dir, "/tmp/certfleet-test-XXXXXX",
	    sizeof("/tmp/certfleet-test-XXXXXX"));
	assert_non_null(mkdtemp(w->dir));
	w->unix_url = xasprintf("unix:%s/s", w->dir);
	w->address_url = xasprintf("rediss://127.0.0.1:%d", port);
	w->name_url = xasprintf("rediss://localhost:%d", port);
	w->ca = xasprintf("%s/ca.pem", w->dir);
	w->other_ca = xasprintf("%s/other.pem", w->dir);
	w->cert = xasprintf("%s/cert.pem", w->dir);
	w->key = xasprintf("%s/key.pem", w->dir);
	ca_key = xasprintf("%s/ca.key", w->dir);
	other_key = xasprintf("%s/other.key", w->dir);
	make_cert(w->ca, ca_key, "/CN=CA", NULL, NULL);
	make_cert(w->other_ca, other_key, "/CN=Other CA", NULL, NULL);
	make_cert(w->cert, w->key, "/CN=redis", w->ca, ca_key);
	start_server(w, port);
	w->base = loop_new();
	free(ca_key);
	free(other_key);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	kill(w->server, SIGTERM);
	waitpid(w->server, NULL, 0);
	run((const char *const[]){ "rm", "-rf", w->dir, NULL });
	loop_timer_free(&w->deadline);
	event_base_free(w->base);
	free(w->unix_url);
	free(w->address_url);
	free(w->name_url);
	free(w->ca);
	free(w->other_ca);
	free(w->cert);
	free(w->key);
	free(w->text);
	free(w);
	return 0;
}

static void
on_deadline(void *arg)
{
	(void)arg;
	fail_msg("nothing happened in time");
}

static void
wait_for(struct world *w, const bool *flag)
{
	loop_after(w->base, &w->deadline, PATIENCE_MS, on_deadline, w);
	while (!*flag)
		event_base_loop(w->base, EVLOOP_ONCE);
	loop_cancel(w->deadline);
}

static void
on_state(void *arg, bool up, const struct err *why)
{
	struct world *w = arg;

	/* The server may still be starting. */
	if (up)
		w->up = true;
	else if (strstr(why->text, "no connection") == NULL) {
		w->down = true;
		w->why = *why;
	}
}

static void
on_reply(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct world *w = arg;

	free(w->text);
	w->text = e != NULL        ? xstrdup(e->text)
	          : r->str != NULL ? xmemdup0(r->str, r->len)
	                           : NULL;
	w->len = r != NULL ? r->len : 0;
	w->done = true;
}

static struct rds_conf
conf_for(const struct world *w, const char *url)
{
	return (struct rds_conf){
		.url = url,
		.ca_file = w->ca,
		.connect_timeout_ms = 1000,
		.command_timeout_ms = 2000,
	};
}

static struct rds *
client(struct world *w, const struct rds_conf *conf)
{
	w->up = w->down = false;
	return rds_new(w->base, conf, on_state, w);
}

static const char *
ask(struct world *w, struct rds *r, const struct rds_cmd *c)
{
	w->done = false;
	rds_send(r, c, 0, on_reply, w);
	wait_for(w, &w->done);
	return w->text;
}

static void
words(struct rds_cmd *c, const char *const *word)
{
	rds_cmd(c, *word);
	while (*++word != NULL)
		rds_arg(c, *word);
}

#define ASK(w, r, ...)                                            \
	(words(&cmd, (const char *const[]){ __VA_ARGS__, NULL }), \
	    ask(w, r, &cmd))

/* Set something on the server, by its unix socket. */
static void
set(struct world *w, const char *setting, const char *value)
{
	const struct rds_conf conf = conf_for(w, w->unix_url);
	struct rds *r = client(w, &conf);
	struct rds_cmd cmd;

	wait_for(w, &w->up);
	assert_string_equal(ASK(w, r, "CONFIG", "SET", setting, value), "OK");
	rds_free(r);
}

static void
fails(struct world *w, const struct rds_conf *conf, const char *text)
{
	struct rds *r = client(w, conf);

	wait_for(w, &w->down);
	assert_false(w->up);
	if (strstr(w->why.text, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, w->why.text);
	rds_free(r);
}

static void
refused(struct world *w, const struct rds_conf *conf, const char *text)
{
	fails(w, conf, text);
	assert_int_equal(w->why.kind, ERR_CONFIG);
}

static void
a_server_that_proves_its_name_or_address_is_used(void **state)
{
	struct world *w = *state;
	struct rds_conf conf = conf_for(w, w->address_url);
	struct rds_cmd cmd;
	struct rds *r;

	for (int i = 0; i < 2; i++) {
		r = client(w, &conf);
		wait_for(w, &w->up);
		assert_string_equal(ASK(w, r, "PING"), "PONG");
		rds_free(r);
		conf.url = w->name_url;
		conf.server_name = "redis.test";
	}
}

static void
a_server_with_another_name_is_refused(void **state)
{
	struct world *w = *state;
	struct rds_conf conf = conf_for(w, w->name_url);

	refused(w, &conf, "not good for localhost: hostname mismatch");
	conf.server_name = "redis.example";
	refused(w, &conf, "not good for redis.example: hostname mismatch");
	conf.server_name = "127.0.0.2";
	refused(w, &conf, "not good for 127.0.0.2: IP address mismatch");
}

static void
a_server_that_another_authority_vouches_for_is_refused(void **state)
{
	struct world *w = *state;
	struct rds_conf conf = conf_for(w, w->address_url);

	conf.ca_file = w->other_ca;
	refused(w, &conf, "not good for 127.0.0.1: self-signed certificate");
	conf.ca_file = NULL; /* the system's */
	refused(w, &conf, "not good for 127.0.0.1");
	conf.ca_file = "/nowhere/ca.pem";
	refused(w, &conf, "redis ca_file /nowhere/ca.pem cannot be used");
}

static void
a_client_certificate_is_shown_when_there_is_one(void **state)
{
	struct world *w = *state;
	struct rds_conf conf = conf_for(w, w->address_url);
	struct rds_cmd cmd;
	struct rds *r;

	set(w, "tls-auth-clients", "yes");
	/* The server's alert is lost when it hangs up first. */
	fails(w, &conf, "certificate");
	conf.cert_file = w->cert;
	conf.key_file = w->ca;
	refused(w, &conf, "redis key_file");
	conf.key_file = w->key;
	r = client(w, &conf);
	wait_for(w, &w->up);
	assert_string_equal(ASK(w, r, "PING"), "PONG");
	rds_free(r);
	set(w, "tls-auth-clients", "no");
}

static void
a_large_value_goes_there_and_back(void **state)
{
	struct world *w = *state;
	const char *const urls[] = { w->address_url, w->unix_url };
	const size_t len = (size_t)8 << 20;
	char *value = xcalloc(1, len);
	struct rds_cmd cmd;

	for (size_t i = 0; i < len; i++)
		value[i] = (char)(i * i >> 3);
	for (size_t i = 0; i < 2; i++) {
		struct rds_conf conf = conf_for(w, urls[i]);
		struct rds *r = client(w, &conf);

		rds_cmd(&cmd, "SET");
		rds_arg(&cmd, "large");
		rds_arg_mem(&cmd, value, len);
		assert_string_equal(ask(w, r, &cmd), "OK");
		ASK(w, r, "GET", "large");
		assert_int_equal(w->len, len);
		assert_memory_equal(w->text, value, len);
		rds_free(r);
	}
	free(value);
}

static void
speaking_plainly_to_tls_is_told(void **state)
{
	struct world *w = *state;
	struct rds_conf conf = conf_for(w, NULL);
	char *url = xasprintf("redis%s", strchr(w->address_url, ':'));
	struct rds *r;

	conf.url = url;
	r = client(w, &conf);
	wait_for(w, &w->down);
	assert_false(w->up);
	rds_free(r);
	free(url);
}

static void
an_acl_user_logs_in_and_the_library_is_loaded_once(void **state)
{
	struct world *w = *state;
	struct rds_conf conf = conf_for(w, w->address_url);
	struct rds_cmd cmd;
	struct rds *r = client(w, &conf);

	wait_for(w, &w->up);
	assert_string_equal(
	    ASK(w, r, "ACL", "SETUSER", "agent", "on", ">pw", "-@all", "+hello",
		"+client|setname", "+role", "+get", "%R~certfleet:challenge:*"),
	    "OK");
	rds_free(r);
	conf.user = "agent";
	conf.password = "wrong";
	refused(w, &conf, "refuses logging in");
	conf.password = "pw";
	conf.name = "certfleet-agent";
	r = client(w, &conf);
	assert_null(ASK(w, r, "GET", "certfleet:challenge:x"));
	rds_free(r);
	conf.load_library = true;
	refused(w, &conf, "refuses asking for the library");
	conf.user = conf.password = NULL;
	r = client(w, &conf);
	assert_non_null(strstr(
	    ASK(w, r, "FUNCTION", "LOAD", library_lua), "already exists"));
	rds_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_server_that_proves_its_name_or_address_is_used),
		cmocka_unit_test(a_server_with_another_name_is_refused),
		cmocka_unit_test(
		    a_server_that_another_authority_vouches_for_is_refused),
		cmocka_unit_test(
		    a_client_certificate_is_shown_when_there_is_one),
		cmocka_unit_test(a_large_value_goes_there_and_back),
		cmocka_unit_test(speaking_plainly_to_tls_is_told),
		cmocka_unit_test(
		    an_acl_user_logs_in_and_the_library_is_loaded_once),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
