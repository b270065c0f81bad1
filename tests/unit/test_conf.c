#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conf.h"
#include "common/conf_table.h"
#include "common/mem.h"
#include "common/str.h"
#include "providers/provider.h"

#define EXAMPLE "haproxy/conf/certfleet.conf"

/* Messages go to standard error: caught here, so that tests can read them. */
static char printed[8192];
static FILE *capture;
static int real_stderr;

static void
catch_stderr(void)
{
	capture = tmpfile();
	real_stderr = dup(STDERR_FILENO);
	assert_non_null(capture);
	fflush(stderr);
	dup2(fileno(capture), STDERR_FILENO);
}

static void
release_stderr(void)
{
	size_t n;

	fflush(stderr);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	rewind(capture);
	n = fread(printed, 1, sizeof(printed) - 1, capture);
	printed[n] = '\0';
	fclose(capture);
}

static struct conf *
parse(const char *text, struct err *e)
{
	char *copy = xasprintf("%s\n", text);
	struct conf *c;

	memset(e, 0, sizeof(*e));
	catch_stderr();
	c = conf_parse("certfleet.conf", copy, true, e);
	release_stderr();
	free(copy);
	return c;
}

static void
refused(const char *text, const char *message)
{
	struct err e;
	struct conf *c = parse(text, &e);

	if (c != NULL)
		fail_msg("accepted: %s", text);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_string_equal(e.text, message);
}

static char *
slurp(const char *path)
{
	char *text = xcalloc(1, 65536);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_true(fread(text, 1, 65535, f) > 0);
	fclose(f);
	return text;
}

static void
an_empty_file_gives_the_defaults(void **state)
{
	struct err e;
	struct conf *c = parse("", &e);

	(void)state;
	assert_non_null(c);
	assert_string_equal(c->state_dir, "/var/lib/certfleet");
	assert_string_equal(c->kek_file, "/var/lib/certfleet/kek");
	assert_int_equal(c->log_level, LOG_LEVEL_INFO);
	assert_string_equal(c->redis.url, "");
	assert_string_equal(
	    conf_redis_url(c), "unix:/run/certfleet/redis.sock");
	assert_int_equal(c->agent.listen.n, 1);
	assert_string_equal(c->agent.listen.item[0], "127.0.0.1:9180");
	assert_int_equal(c->dns.targets.n, 0);
	assert_true(c->dns.caa);
	assert_string_equal(
	    c->haproxy.crt_list, "/run/certfleet/certs/crt-list.txt");
	assert_string_equal(c->api.socket, "/run/certfleet/admin.sock");
	assert_true(c->node[0] != '\0');
	conf_free(c);
}

static void
paths_follow_the_directories(void **state)
{
	struct err e;
	struct conf *c = parse("state_dir = /s\nrun_dir = /r\n"
			       "haproxy { crt_list = /etc/list }",
	    &e);

	(void)state;
	assert_non_null(c);
	assert_string_equal(c->kek_file, "/s/kek");
	assert_string_equal(c->haproxy.cert_dir, "/r/certs");
	assert_string_equal(c->haproxy.crt_list, "/etc/list");
	assert_string_equal(conf_redis_url(c), "unix:/r/redis.sock");
	conf_free(c);
}

static void
lists_may_span_lines_and_be_empty(void **state)
{
	struct err e;
	struct conf *c = parse("haproxy { sockets = { } }\n"
			       "dns { targets = { \"192.0.2.1\", # one\n"
			       "  \"2001:db8::1\", // two\n"
			       "  /* three */ edge.example.net } }\n"
			       "acme { directory = https://ca.example/d }",
	    &e);

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->haproxy.sockets.n, 0);
	assert_int_equal(c->dns.targets.n, 3);
	assert_string_equal(c->dns.targets.item[1], "2001:db8::1");
	assert_string_equal(c->dns.targets.item[2], "edge.example.net");
	assert_string_equal(c->acme.directory, "https://ca.example/d");
	conf_free(c);
}

static const struct {
	const char *text, *message;
} faults[] = {
	{ "haproxy {\n poll_ms = 5s\n}",
	    "certfleet.conf:2: poll_ms must be between 100 and 60000, not "
	    "\"5s\"" },
	{ "# c\n\n/* c\n */\nhaproxy { poll_ms = 99 }",
	    "certfleet.conf:5: poll_ms must be between 100 and 60000, not "
	    "\"99\"" },
	{ "haproxy { poll_ms = { 100, 200 } }",
	    "certfleet.conf:1: poll_ms takes one value, not 2" },
	{ "log_level = loud",
	    "certfleet.conf:1: log_level must be error, warn, info or debug, "
	    "not \"loud\"" },
	{ "dns { caa = maybe }",
	    "certfleet.conf:1: caa must be true or false, not \"maybe\"" },
	{ "state_dir = var",
	    "certfleet.conf:1: state_dir must be a path that begins with "
	    "\"/\", not \"var\"" },
	{ "state_dir = \"\"", "certfleet.conf:1: state_dir must not be empty" },
	{ "state_dir = \"/a\\nb\"",
	    "certfleet.conf:1: state_dir must not have control characters" },
	{ "haproxy { poll_m = 100 }",
	    "certfleet.conf:1: unknown setting \"poll_m\"; did you mean "
	    "\"poll_ms\" (between two looks at HAProxy's process)?" },
	{ "poll_ms = 100",
	    "certfleet.conf:1: \"poll_ms\" must stand in \"haproxy { }\"" },
	{ "redis { node = x }",
	    "certfleet.conf:1: \"node\" must stand outside of the sections" },
	{ "haproxi { poll_ms = 1 }",
	    "certfleet.conf:1: unknown section \"haproxi\"; did you mean "
	    "\"haproxy\"?" },
	{ "\nredis {\n db = 1\n", "certfleet.conf:2: a { is not closed" },
	{ "node = \"a\n", "certfleet.conf:1: a quote is not closed" },
	{ "node = a\n/* b", "certfleet.conf:2: a comment is not closed" },
	{ "node = \"a b\"",
	    "certfleet.conf:1: node must be letters, digits, \"-\", \"_\" and "
	    "\".\", not \"a b\"" },
	{ "haproxy { hot_table = \"a table\" }",
	    "certfleet.conf:1: hot_table must be letters, digits, \"-\", \"_\" "
	    "and \".\", not \"a table\"" },
	{ "fleet { renew_ms = 5000 }",
	    "certfleet.conf: lease_ms (10000) must be more than twice "
	    "renew_ms (5000)" },
	{ "fleet { node_ttl_ms = 10000 }",
	    "certfleet.conf:1: node_ttl_ms (10000) must be more than twice "
	    "heartbeat_ms (5000)" },
	{ "webhook { url = \"https://h.example/x\" }",
	    "certfleet.conf: webhook needs a secret of 16 characters or "
	    "more" },
	{ "webhook { url = \"http://h.example/x?a=b\" }",
	    "certfleet.conf:1: url must be a URL that begins with https://, "
	    "or http:// with allow_private, not \"http://h.example/x?a=b\"" },
	{ "webhook { url = \"https:///x\" allow_private = true }",
	    "certfleet.conf:1: url must be a URL that begins with https://, "
	    "or http:// with allow_private, not \"https:///x\"" },
	{ "acme { directory = http://ca.example/d }",
	    "certfleet.conf:1: directory must be a URL that begins with "
	    "https://, not \"http://ca.example/d\"" },
	{ "acme { eab_kid = k }",
	    "certfleet.conf:1: eab_kid and eab_hmac_key must be given "
	    "together" },
	{ "acme { contact = ops@example.com }",
	    "certfleet.conf:1: contact must be \"mailto:\" and an address, "
	    "not \"ops@example.com\"" },
	{ "acme { retry_max_s = 60 }",
	    "certfleet.conf: retry_first_s (300) must not be more than "
	    "retry_max_s (60)" },
	{ "redis { url = \"http://h\" }",
	    "certfleet.conf:1: Redis URL begins with none of the known forms; "
	    "it should be unix:/path, redis://host[:port] or "
	    "rediss://host[:port]" },
	{ "redis { sentinels = { \"10.0.0.1\" } }",
	    "certfleet.conf:1: sentinels must be \"host:port\", not "
	    "\"10.0.0.1\"" },
	{ "redis { url = \"redis://h\" sentinels = { \"h:1\" } }",
	    "certfleet.conf:1: url and sentinels exclude each other: "
	    "Sentinels tell where the master is" },
	{ "redis { cluster = { \"h:1\" } sentinels = { \"h:1\" } }",
	    "certfleet.conf:1: url, sentinels and cluster exclude each "
	    "other" },
	{ "redis { cluster = { \"h:1\" } db = 3 }",
	    "certfleet.conf:1: a Cluster has only db 0, not 3" },
	{ "redis { master = \"a b\" }",
	    "certfleet.conf:1: master must be a name of letters, digits and "
	    "any of \"-_.:\", not \"a b\"" },
	{ "redis { prefix = \"a{b\" }",
	    "certfleet.conf:1: prefix must be letters, digits and any of "
	    "\"-_.:\", not \"a{b\"" },
	{ "redis { password = hunter2 }",
	    "certfleet.conf:1: password: a secret must be given as "
	    "\"file:/path\" or \"env:NAME\", never as itself" },
	{ "redis { password = env:CERTFLEET_TEST_NOT_SET }",
	    "certfleet.conf:1: password: the environment has no variable "
	    "CERTFLEET_TEST_NOT_SET" },
	{ "platform_domain = \"platform.example\"",
	    "certfleet.conf:1: platform_domain needs haproxy.default_cert or "
	    "platform_app" },
	{ "platform_app = ops", "certfleet.conf:1: platform_app needs "
				"platform_domain" },
	{ "platform_domain = \"platform.example\"\nplatform_app = ops\n"
	  "haproxy { default_cert = \"/etc/passwd\" }",
	    "certfleet.conf:2: platform_app orders what haproxy.default_cert "
	    "would be: set one of them" },
	{ "agent { listen = { } }",
	    "certfleet.conf: listen must have an address: HAProxy needs one "
	    "to ask" },
};

static void
faults_say_where_what_and_what_is_expected(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		refused(faults[i].text, faults[i].message);
}

static void
all_faults_are_printed_in_the_order_of_lines(void **state)
{
	(void)state;
	refused("log_level = x\n"
		"redis { urls = a }\n"
		"extra { a = 1\n b = 2 }\n"
		"dns { caa = 7 }\n",
	    "certfleet.conf:1: log_level must be error, warn, info or debug, "
	    "not \"x\"");
	assert_string_equal(printed,
	    "certfleet.conf:1: log_level must be error, warn, info or debug, "
	    "not \"x\"\n"
	    "certfleet.conf:2: unknown setting \"urls\"; did you mean \"url\" "
	    "(redis://host:port, rediss://host:port (TLS) or unix:/path; "
	    "default: certfleet-sync runs its own)?\n"
	    "certfleet.conf:3: unknown section \"extra\"\n"
	    "certfleet.conf:5: caa must be true or false, not \"7\"\n");
}

static void
a_secret_is_never_printed(void **state)
{
	struct err e;

	(void)state;
	assert_null(parse("redis { password = hunter2 }\nlog_level = x", &e));
	assert_null(strstr(printed, "hunter2"));
}

static void
addresses_have_a_host_and_a_port(void **state)
{
	static const char *const good[] = { "127.0.0.1:80", "[::1]:80",
		"localhost:9", "unix:/run/x.sock" };
	static const char *const bad[] = { "127.0.0.1", "[::1]", "::1:80x",
		"host:0", "host:65536", "host:", ":80", "[1.2.3.4]:80",
		"unix:x", "a b:80", "[::1]x:80" };
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *text = xasprintf("agent { listen = \"%s\" }", good[i]);
		struct conf *c = parse(text, &e);

		if (c == NULL)
			fail_msg("%s", e.text);
		conf_free(c);
		free(text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text = xasprintf("agent { listen = \"%s\" }", bad[i]);

		if (parse(text, &e) != NULL)
			fail_msg("accepted %s", bad[i]);
		free(text);
	}
}

/* Tokens in plain HTTP go no farther than this machine. */
static void
the_api_listens_on_loopback_only(void **state)
{
	static const char *const good[] = { "127.0.0.1:8405", "127.9.9.9:1",
		"[::1]:8405" };
	static const char *const bad[] = { "0.0.0.0:8405", "[::]:8405",
		"127.0.0.1", "127.example.com:80", "192.0.2.1:8405",
		"localhost:8405", "::1:8405", "[::1]", "127.0.0.1:0" };
	struct err e;
	struct conf *c;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *text = xasprintf("api { listen = \"%s\" }", good[i]);

		c = parse(text, &e);
		if (c == NULL)
			fail_msg("%s", e.text);
		conf_free(c);
		free(text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *text = xasprintf("api { listen = \"%s\" }", bad[i]);

		if (parse(text, &e) != NULL)
			fail_msg("accepted %s", bad[i]);
		free(text);
	}
	assert_null(parse("agent { metrics = \"0.0.0.0:9181\" }", &e));
	c = parse("api { url = \"https://certs.example.com:8443\" }", &e);
	assert_non_null(c);
	conf_free(c);
	assert_null(parse("api { url = \"https://certs.example.com/\" }", &e));
	assert_null(parse("api { url = \"ftp://certs.example.com\" }", &e));
	assert_null(parse("api { url = \"certs.example.com\" }", &e));
}

static void
resolvers_may_leave_the_port_out(void **state)
{
	struct err e;
	struct conf *c = parse("dns { resolvers = { 192.0.2.53, "
			       "192.0.2.53:5353, \"::1\", \"[::1]:53\" } }",
	    &e);

	(void)state;
	assert_non_null(c);
	conf_free(c);
	assert_null(parse("dns { resolvers = dns.example }", &e));
	assert_null(parse("dns { resolvers = 192.0.2.53:0 }", &e));
}

static void
redis_is_here_when_it_is_embedded_or_has_a_path(void **state)
{
	static const struct {
		const char *text;
		bool local;
	} cases[] = {
		{ "", true },
		{ "redis { url = \"unix:/run/redis.sock\" }", true },
		/* What listens there may only lead to another machine. */
		{ "redis { url = \"redis://127.0.0.1\" }", false },
		{ "redis { sentinels = { \"h:1\" } master = m }", false },
		{ "redis { cluster = { \"h:1\" } }", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e;
		struct conf *c = parse(cases[i].text, &e);

		assert_non_null(c);
		assert_int_equal(conf_redis_local(c), cases[i].local);
		conf_free(c);
	}
}

static void
a_test_ca_may_be_plain(void **state)
{
	struct err e;
	struct conf *c = parse("acme { insecure_test = yes\n"
			       "directory = http://127.0.0.1:14000/dir }",
	    &e);

	(void)state;
	assert_non_null(c);
	assert_true(c->acme.insecure_test);
	conf_free(c);
}

/* A secret in a file: without its last newline, only when it is private. */
static void
secrets_come_from_private_files_and_the_environment(void **state)
{
	char path[] = "/tmp/certfleet-test-XXXXXX";
	int fd = mkstemp(path);
	char *text = xasprintf("redis { password = \"file:%s\" }", path);
	struct err e;
	struct conf *c;

	(void)state;
	assert_int_equal(write(fd, "s3cret\n", 7), 7);
	c = parse(text, &e);
	assert_non_null(c);
	assert_string_equal(c->redis.password, "s3cret");
	conf_free(c);
	fchmod(fd, 0640);
	assert_null(parse(text, &e));
	assert_non_null(strstr(e.text, "chmod 0600"));
	close(fd);
	unlink(path);
	free(text);

	setenv("CERTFLEET_TEST_SECRET", "from env", 1);
	c = parse("redis { password = env:CERTFLEET_TEST_SECRET }", &e);
	assert_non_null(c);
	assert_string_equal(c->redis.password, "from env");
	conf_free(c);
}

/*
 * systemd's own files are root's, with an ACL that the mode shows as its group's;
 * others must not read them either.
 */
static void
the_key_ring_may_be_a_credential(void **state)
{
	char dir[] = "/tmp/certfleet-test-XXXXXX", *path, *text;
	struct err e;
	struct conf *c;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	c = parse("", &e);
	assert_string_equal(c->kek_file, "/var/lib/certfleet/kek");
	conf_free(c);

	path = xasprintf("%s/certfleet.kek", dir);
	f = fopen(path, "w");
	fputs("s3cret", f);
	fclose(f);
	c = parse("", &e);
	assert_string_equal(c->kek_file, path);
	conf_free(c);
	c = parse("kek_file = /elsewhere", &e);
	assert_string_equal(c->kek_file, "/elsewhere");
	conf_free(c);

	text = xasprintf("redis { password = \"file:%s\" }", path);
	chmod(path, 0440);
	c = parse(text, &e);
	assert_non_null(c);
	conf_free(c);
	chmod(path, 0444);
	assert_null(parse(text, &e));
	unsetenv("CREDENTIALS_DIRECTORY");
	chmod(path, 0440);
	assert_null(parse(text, &e));
	unlink(path);
	rmdir(dir);
	free(path);
	free(text);
}

static void
a_file_that_is_named_must_exist(void **state)
{
	struct err e;
	struct conf *c;

	(void)state;
	catch_stderr();
	c = conf_load("/nonexistent/certfleet.conf", &e);
	release_stderr();
	assert_null(c);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_string_equal(printed,
	    "/nonexistent/certfleet.conf: No such file or directory\n");
}

/* The command line runs as whoever may use the socket. */
static void
what_is_public_is_read_without_the_secrets(void **state)
{
	char path[] = "/tmp/certfleet-test-XXXXXX";
	int fd = mkstemp(path);
	struct err e;
	struct conf *c;

	(void)state;
	dprintf(fd, "redis { password = file:/nonexistent }\n"
		    "acme { eab_kid = k  eab_hmac_key = env:NOT_SET }\n"
		    "api { socket = /x.sock }\n");
	c = conf_load_public(path, &e);
	assert_non_null(c);
	assert_string_equal(c->api.socket, "/x.sock");
	assert_string_equal(c->redis.password, "");
	conf_free(c);
	close(fd);
	unlink(path);
}

static void
checking_says_valid_or_ends_with_100(void **state)
{
	char path[] = "/tmp/certfleet-test-XXXXXX";
	int fd = mkstemp(path), rc;

	(void)state;
	assert_int_equal(conf_check(EXAMPLE), 0);
	assert_int_equal(write(fd, "node = { }", 10), 10);
	catch_stderr();
	rc = conf_check(path);
	release_stderr();
	assert_int_equal(rc, 100);
	assert_non_null(strstr(printed, "node takes one value, not 0\n"));
	assert_int_equal(pwrite(fd, "\0", 1, 3), 1);
	catch_stderr();
	rc = conf_check(path);
	release_stderr();
	assert_int_equal(rc, 100);
	assert_non_null(strstr(printed, "has a NUL byte in it\n"));
	close(fd);
	unlink(path);
}

/* --- providers --------------------------------------------------------------- */

static void
a_provider_has_a_section_with_its_name(void **state)
{
	struct err e;
	struct conf *c =
	    parse("provider \"ovh\" { base_url = \"https://a.test/1.0\" }\n"
		  "provider gcloud {\n ca_file = /ca.pem\n}",
		&e);

	(void)state;
	assert_non_null(c);
	assert_string_equal(
	    conf_provider(c, "ovh")->base_url, "https://a.test/1.0");
	assert_string_equal(conf_provider(c, "ovh")->ca_file, "");
	assert_string_equal(conf_provider(c, "gcloud")->ca_file, "/ca.pem");
	assert_string_equal(conf_provider(c, "azure")->base_url, "");
	assert_null(conf_provider(c, "gandipat"));
	conf_free(c);
}

static void
what_is_wrong_with_a_provider_is_said_with_its_line(void **state)
{
	(void)state;
	refused("provider ovh {\n base_url = \"http://a.test\" }",
	    "certfleet.conf:2: base_url must be a URL that begins with "
	    "https://, not \"http://a.test\"");
	refused("provider ovh {\n base_url = \"https://u@a.test\" }",
	    "certfleet.conf:2: base_url must be a URL that begins with "
	    "https://, not \"https://u@a.test\"");
	refused("acme { insecure_test = true }\n"
		"provider ovh { base_url = \"http://127.0.0.1.a.test/\" }",
	    "certfleet.conf:2: base_url must be a URL that begins with "
	    "https://, not \"http://127.0.0.1.a.test/\"");
	refused("provider ovh {\n ca_file = ca.pem }",
	    "certfleet.conf:2: ca_file must be a path that begins with "
	    "\"/\", not \"ca.pem\"");
	refused("provider ovhh { ca_file = /ca.pem }",
	    "certfleet.conf:1: there is no DNS provider \"ovhh\"; it can be "
	    "azure, cloudflare, dnsimple, gandi, gandiv5, gcloud, godaddy, "
	    "ovh, route53");
	refused("provider ovh {\n bas_url = \"https://a.test\" }",
	    "certfleet.conf:2: unknown setting \"bas_url\"");
}

static void
plain_http_is_for_tests_on_this_machine(void **state)
{
	struct err e;
	struct conf *c =
	    parse("acme { insecure_test = true }\n"
		  "provider ovh { base_url = \"http://127.0.0.1:99/1.0\" }",
		&e);

	(void)state;
	assert_non_null(c);
	conf_free(c);
}

static void
the_sections_are_those_of_the_providers_there_are(void **state)
{
	size_t n = 0;

	(void)state;
	for (; provider_at(n) != NULL; n++)
		assert_int_equal(
		    conf_provider_index(provider_at(n)->name), (int)n);
	assert_int_equal(n, CONF_PROVIDERS);
}

/* --- the example for operators ------------------------------------------------ */

/* Every "#name = value" becomes a setting. */
static char *
uncomment(const char *text)
{
	char *out = xstrdup(text);

	for (char *p = out; p != NULL; p = strchr(p, '\n')) {
		size_t n;

		p += strspn(p, "\n\t");
		n = strspn(p + (*p == '#'), "abcdefghijklmnopqrstuvwxyz_");
		if (*p == '#' && n > 0 && str_has_prefix(p + 1 + n, " = "))
			*p = ' ';
	}
	return out;
}

static bool
same(struct conf *a, struct conf *b, const struct conf_setting *s)
{
	void *x = conf_member(a, s), *y = conf_member(b, s);
	struct conf_list *p = x, *q = y;

	switch (s->type) {
	case CONF_IS_STRING:
	case CONF_IS_PATH:
	case CONF_IS_SECRET:
		return strcmp(*(char **)x, *(char **)y) == 0;
	case CONF_IS_INT:
		return *(int *)x == *(int *)y;
	case CONF_IS_BOOL:
		return *(bool *)x == *(bool *)y;
	case CONF_IS_LEVEL:
		return *(enum log_level *)x == *(enum log_level *)y;
	case CONF_IS_LIST:
		return p->n == q->n &&
		       (p->n == 0 || strcmp(p->item[0], q->item[0]) == 0);
	}
	return false;
}

static void
the_example_is_valid_and_shows_the_defaults(void **state)
{
	char *shipped = slurp(EXAMPLE), *all = uncomment(shipped);
	struct err e;
	struct conf *initial = parse("", &e), *c = parse(shipped, &e);

	(void)state;
	if (c == NULL)
		fail_msg("as shipped: %s", e.text);
	for (size_t i = 0; i < conf_nsettings; i++)
		if (!same(c, initial, &conf_settings[i]))
			fail_msg("shipped: %s", conf_settings[i].name);
	conf_free(c);
	c = parse(all, &e);
	if (c == NULL)
		fail_msg("uncommented: %s", e.text);
	assert_string_equal(c->node, "edge-1");
	for (size_t i = 1; i < conf_nsettings; i++)
		if (!same(c, initial, &conf_settings[i]))
			fail_msg("default of %s", conf_settings[i].name);
	conf_free(c);
	conf_free(initial);
	free(all);
	free(shipped);
}

/* Each setting once, in its section, with its bounds above it. */
static void
the_example_has_every_setting_and_its_bounds(void **state)
{
	char *text = slurp(EXAMPLE);

	(void)state;
	for (size_t i = 0; i < conf_nsettings; i++) {
		const struct conf_setting *s = &conf_settings[i];
		char *section = xasprintf("\n%s {\n", s->section);
		char *line = xasprintf("\t#%s = ", s->name);
		char *bounds = xasprintf("%s%s%lld to %lld)", s->unit,
		    s->unit[0] != '\0' ? ", " : "", (long long)s->min,
		    (long long)s->max);
		const char *from =
		    s->section[0] != '\0' ? strstr(text, section) : text;
		const char *at, *found;

		assert_non_null(from);
		at = strstr(from, s->section[0] != '\0' ? line : line + 1);
		if (at == NULL ||
		    (s->section[0] != '\0' && strstr(from, "\n}") < at))
			fail_msg("%s.%s is missing", s->section, s->name);
		found = strstr(from, bounds);
		if (s->type == CONF_IS_INT && (found == NULL || found > at))
			fail_msg("%s.%s: no %s", s->section, s->name, bounds);
		free(section);
		free(line);
		free(bounds);
	}
	free(text);
}

/* What conf_show() has told of the settings of interest. */
struct shown {
	size_t n, secrets;
	bool kek_is_initial, targets_are_initial, password_is_set;
	int in_flight;
	char state_dir[64];
};

static void
note_shown(void *arg, const struct conf_shown *v)
{
	struct shown *s = arg;

	s->n++;
	s->secrets += v->secret;
	if (v->secret && (v->text != NULL || v->list != NULL))
		fail_msg("%s is told", v->name);
	if (strcmp(v->name, "kek_file") == 0)
		s->kek_is_initial = v->initial;
	else if (strcmp(v->name, "targets") == 0)
		s->targets_are_initial = v->initial;
	else if (strcmp(v->name, "password") == 0)
		s->password_is_set = v->on;
	else if (strcmp(v->name, "max_in_flight") == 0)
		s->in_flight = *v->number;
	else if (strcmp(v->name, "state_dir") == 0 && !v->initial)
		snprintf(s->state_dir, sizeof(s->state_dir), "%s", v->text);
}

static void
all_settings_are_shown_and_no_secret(void **state)
{
	struct shown s = { 0 };
	struct err e;
	struct conf *c;

	(void)state;
	setenv("CERTFLEET_TEST_WORD", "not-to-be-seen", 1);
	c = parse("state_dir = \"/srv/state\"\n"
		  "redis { url = \"redis://h:1\" "
		  "password = \"env:CERTFLEET_TEST_WORD\" }\n"
		  "dns { targets = { \"192.0.2.1\" } }",
	    &e);
	unsetenv("CERTFLEET_TEST_WORD");
	assert_non_null(c);
	conf_show(c, note_shown, &s);
	conf_free(c);
	assert_int_equal(s.n,
	    conf_nsettings + (size_t)CONF_PROVIDERS * CONF_PROVIDER_SETTINGS);
	assert_true(s.secrets >= 4);
	assert_true(s.password_is_set);
	assert_int_equal(s.in_flight, 100);
	assert_string_equal(s.state_dir, "/srv/state");
	/* It lies where it does because state_dir does. */
	assert_true(s.kek_is_initial);
	assert_false(s.targets_are_initial);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(a_provider_has_a_section_with_its_name),
		cmocka_unit_test(
		    what_is_wrong_with_a_provider_is_said_with_its_line),
		cmocka_unit_test(plain_http_is_for_tests_on_this_machine),
		cmocka_unit_test(
		    the_sections_are_those_of_the_providers_there_are),
		cmocka_unit_test(paths_follow_the_directories),
		cmocka_unit_test(lists_may_span_lines_and_be_empty),
		cmocka_unit_test(faults_say_where_what_and_what_is_expected),
		cmocka_unit_test(all_faults_are_printed_in_the_order_of_lines),
		cmocka_unit_test(a_secret_is_never_printed),
		cmocka_unit_test(addresses_have_a_host_and_a_port),
		cmocka_unit_test(the_api_listens_on_loopback_only),
		cmocka_unit_test(resolvers_may_leave_the_port_out),
		cmocka_unit_test(
		    redis_is_here_when_it_is_embedded_or_has_a_path),
		cmocka_unit_test(a_test_ca_may_be_plain),
		cmocka_unit_test(
		    secrets_come_from_private_files_and_the_environment),
		cmocka_unit_test(the_example_is_valid_and_shows_the_defaults),
		cmocka_unit_test(the_example_has_every_setting_and_its_bounds),
		cmocka_unit_test(a_file_that_is_named_must_exist),
		cmocka_unit_test(the_key_ring_may_be_a_credential),
		cmocka_unit_test(what_is_public_is_read_without_the_secrets),
		cmocka_unit_test(all_settings_are_shown_and_no_secret),
		cmocka_unit_test(checking_says_valid_or_ends_with_100),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
