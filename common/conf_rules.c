/* What settings owe each other: derived defaults and cross checks. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/b64.h"
#include "common/conf_table.h"
#include "common/domain.h"
#include "common/mem.h"
#include "common/rds.h"
#include "common/secret.h"
#include "common/str.h"

#define NAME_CHARS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-."
#define ID_CHARS NAME_CHARS "_"
#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)
#define SHOWN_MAX 64

struct check {
	const struct conf *c;
	conf_fault_fn *fault;
	void *arg;
};

static void wrong(const struct check *, const void *member, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

static void
wrong(const struct check *k, const void *member, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->fault(k->arg, member, text);
}

/* A value that is not what a setting wants, made safe for a terminal. */
static void
expect(const struct check *k, const void *member, const char *name,
    const char *expected, const char *value)
{
	char shown[SHOWN_MAX];

	str_printable(shown, sizeof(shown), value, strlen(value));
	wrong(k, member, "%s must be %s, not \"%s\"", name, expected, shown);
}

/* --- addresses --------------------------------------------------------------- */

static bool
is_ip(const char *s, size_t len)
{
	char text[INET6_ADDRSTRLEN + 1];
	uint8_t address[sizeof(struct in6_addr)];

	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, address) == 1 ||
	       inet_pton(AF_INET6, text, address) == 1;
}

static bool
is_port(const char *s)
{
	int64_t port;

	return str_int(s, 1, 65535, &port) == 0;
}

static bool
is_host(const char *s, size_t len)
{
	return len <= 253 && str_only(s, len, NAME_CHARS) && s[0] != '-' &&
	       s[0] != '.';
}

/* "[::1]:80": an address of version 6 and a port, which may be left out. */
static bool
is_bracketed(const char *s, bool need_port)
{
	const char *end = strchr(s, ']');

	if (s[0] != '[' || end == NULL ||
	    memchr(s, ':', (size_t)(end - s)) == NULL ||
	    !is_ip(s + 1, (size_t)(end - s) - 1))
		return false;
	if (end[1] == '\0')
		return !need_port;
	return end[1] == ':' && is_port(end + 2);
}

static bool
is_host_port(const char *s)
{
	const char *colon = strrchr(s, ':');

	if (s[0] == '[')
		return is_bracketed(s, true);
	return colon != NULL && is_host(s, (size_t)(colon - s)) &&
	       is_port(colon + 1);
}

static bool
is_unix(const char *s)
{
	return str_has_prefix(s, "unix:/") &&
	       strlen(s + strlen("unix:")) <= SOCKET_PATH_MAX;
}

/* "192.0.2.53", "192.0.2.53:53", "::1", "[::1]:53" */
static bool
is_resolver(const char *s)
{
	const char *colon = strchr(s, ':');

	if (is_ip(s, strlen(s)) || is_bracketed(s, false))
		return true;
	return colon != NULL && is_ip(s, (size_t)(colon - s)) &&
	       is_port(colon + 1);
}

/* --- the rules, section by section ------------------------------------------- */

/* What all items of a list must be. */
static void
each(const struct check *k, const struct conf_list *list, const char *name,
    bool (*good)(const char *), const char *expected)
{
	for (size_t i = 0; i < list->n; i++)
		if (!good(list->item[i]))
			expect(k, list, name, expected, list->item[i]);
}

static bool
is_name(const char *s)
{
	return is_host(s, strlen(s));
}

static bool
is_target(const char *s)
{
	return is_ip(s, strlen(s)) || is_name(s);
}

static bool
is_listener(const char *s)
{
	return is_unix(s) || is_host_port(s);
}

static bool
is_allowed_host(const char *s)
{
	return is_name(s) || is_host_port(s) || is_bracketed(s, false);
}

static bool
is_contact(const char *s)
{
	return str_has_prefix(s, "mailto:") && strchr(s, '@') != NULL;
}

static bool
is_path(const char *s)
{
	return s[0] == '/';
}

static void
check_node(const struct check *k)
{
	const struct conf *c = k->c;

	if (!str_only(c->node, strlen(c->node), ID_CHARS))
		expect(k, &c->node, "node",
		    "letters, digits, \"-\", \"_\" and \".\"", c->node);
	if (strlen(c->run_dir) + strlen("/redis.sock") > SOCKET_PATH_MAX)
		wrong(k, &c->run_dir,
		    "run_dir must be at most %zu characters long, for the "
		    "sockets in it, not %zu",
		    SOCKET_PATH_MAX - strlen("/redis.sock"),
		    strlen(c->run_dir));
}

static void
check_cluster(const struct check *k)
{
	const struct conf *c = k->c;
	const struct conf_list *list = &c->redis.cluster;

	each(k, list, "cluster", is_host_port, "\"host:port\"");
	if (list->n > CONF_REDIS_SERVERS_MAX)
		wrong(k, list, "cluster can name %d servers, not %zu",
		    CONF_REDIS_SERVERS_MAX, list->n);
	if (list->n > 0 &&
	    (c->redis.url[0] != '\0' || c->redis.sentinels.n > 0))
		wrong(k, list, "url, sentinels and cluster exclude each other");
	if (list->n > 0 && c->redis.db != 0)
		wrong(k, &c->redis.db, "a Cluster has only db 0, not %d",
		    c->redis.db);
}

static void
check_sentinels(const struct check *k)
{
	const struct conf *c = k->c;
	const struct conf_list *list = &c->redis.sentinels;

	each(k, list, "sentinels", is_host_port, "\"host:port\"");
	if (list->n > CONF_REDIS_SERVERS_MAX)
		wrong(k, list, "sentinels can be %d, not %zu",
		    CONF_REDIS_SERVERS_MAX, list->n);
	if (list->n > 0 && c->redis.url[0] != '\0')
		wrong(k, &c->redis.url,
		    "url and sentinels exclude each other: Sentinels tell "
		    "where the master is");
	if (!str_only(c->redis.master, strlen(c->redis.master), ID_CHARS ":"))
		expect(k, &c->redis.master, "master",
		    "a name of letters, digits and any of \"-_.:\"",
		    c->redis.master);
}

static void
check_redis(const struct check *k)
{
	const struct conf *c = k->c;

	struct err e;

	if (c->redis.url[0] != '\0' && rds_url_check(c->redis.url, &e) == -1)
		wrong(k, &c->redis.url, "%s", e.text);
	check_sentinels(k);
	check_cluster(k);
	/* A brace would change which slot of a cluster a key is in. */
	if (!str_only(c->redis.prefix, strlen(c->redis.prefix), ID_CHARS ":"))
		expect(k, &c->redis.prefix, "prefix",
		    "letters, digits and any of \"-_.:\"", c->redis.prefix);
	if ((c->redis.cert_file[0] == '\0') != (c->redis.key_file[0] == '\0'))
		wrong(k, &c->redis.cert_file,
		    "cert_file and key_file must be given together");
}

/* "127.0.0.1:8405", "[::1]:8405" */
static bool
is_loopback_port(const char *s)
{
	const char *colon = strrchr(s, ':');

	if (str_has_prefix(s, "[::1]:"))
		return is_port(s + strlen("[::1]:"));
	return str_has_prefix(s, "127.") && colon != NULL &&
	       is_ip(s, (size_t)(colon - s)) && is_port(colon + 1);
}

static void
check_agent(const struct check *k)
{
	const struct conf_list *listen = &k->c->agent.listen;
	const char *metrics = k->c->agent.metrics;

	if (listen->n == 0)
		wrong(k, listen,
		    "listen must have an address: HAProxy needs one to ask");
	each(k, listen, "listen", is_listener,
	    "\"host:port\" or \"unix:/path\"");
	if (metrics[0] != '\0' && !is_loopback_port(metrics))
		expect(k, &k->c->agent.metrics, "metrics",
		    "a loopback address and a port", metrics);
}

/* What a CA is reached by and known by, in either section. */
static void
check_ca(const struct check *k, char *const *directory,
    const struct conf_list *contact, const struct conf_list *hosts,
    char *const *eab_kid, char *const *eab_key)
{
	uint8_t raw[1024];

	if (!str_has_prefix(*directory, "https://") &&
	    !(k->c->acme.insecure_test &&
		str_has_prefix(*directory, "http://")))
		expect(k, directory, "directory",
		    "a URL that begins with https://", *directory);
	each(k, contact, "contact", is_contact, "\"mailto:\" and an address");
	each(k, hosts, "allow_hosts", is_allowed_host, "names of hosts");
	if ((**eab_kid == '\0') != (**eab_key == '\0'))
		wrong(k, eab_kid,
		    "eab_kid and eab_hmac_key must be given together");
	if (strlen(*eab_key) > sizeof(raw) ||
	    b64url_decode(raw, *eab_key, strlen(*eab_key)) == -1)
		wrong(
		    k, eab_key, "eab_hmac_key must be base64url without \"=\"");
	mem_wipe(raw, sizeof(raw));
}

static void
check_key_type(const struct check *k)
{
	static const char *const types[] = { "ecdsa-p256", "ecdsa-p384",
		"rsa-2048", "rsa-3072", "rsa-4096", "dual" };
	const char *wanted = k->c->acme.key_type;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], wanted) == 0)
			return;
	expect(k, &k->c->acme.key_type, "key_type",
	    "ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096 or dual",
	    wanted);
}

static void
check_acme(const struct check *k)
{
	const struct conf *c = k->c;

	check_ca(k, &c->acme.directory, &c->acme.contact, &c->acme.allow_hosts,
	    &c->acme.eab_kid, &c->acme.eab_hmac_key);
	check_key_type(k);
	if (c->acme.retry_first_s > c->acme.retry_max_s)
		wrong(k, &c->acme.retry_first_s,
		    "retry_first_s (%d) must not be more than retry_max_s "
		    "(%d)",
		    c->acme.retry_first_s, c->acme.retry_max_s);
	if (c->acme.ari_poll_min_s > c->acme.ari_poll_max_s)
		wrong(k, &c->acme.ari_poll_min_s,
		    "ari_poll_min_s (%d) must not be more than "
		    "ari_poll_max_s (%d)",
		    c->acme.ari_poll_min_s, c->acme.ari_poll_max_s);
}

static void
check_acme_fallback(const struct check *k)
{
	const struct conf *c = k->c;

	if (c->acme_fallback.directory[0] == '\0')
		return;
	check_ca(k, &c->acme_fallback.directory, &c->acme_fallback.contact,
	    &c->acme_fallback.allow_hosts, &c->acme_fallback.eab_kid,
	    &c->acme_fallback.eab_hmac_key);
	if (strcmp(c->acme_fallback.directory, c->acme.directory) == 0)
		wrong(k, &c->acme_fallback.directory,
		    "directory must be another CA's than the one in acme");
	each(k, &c->acme_fallback.caa_identities, "caa_identities", is_name,
	    "names such as letsencrypt.org");
}

/* "example.com=300" */
static bool
is_override(const char *s)
{
	const char *equal = strchr(s, '=');
	int64_t limit;

	return equal != NULL && equal != s && is_host(s, (size_t)(equal - s)) &&
	       memchr(s, '.', (size_t)(equal - s)) != NULL &&
	       str_int(equal + 1, 0, 1000000, &limit) == 0;
}

static void
check_limits(const struct check *k)
{
	each(k, &k->c->limits.domain_overrides, "domain_overrides", is_override,
	    "a registered domain and its limit, as in example.com=300");
}

static void
check_dns(const struct check *k)
{
	const struct conf *c = k->c;

	each(k, &c->dns.resolvers, "resolvers", is_resolver,
	    "IP addresses, with \":port\" or without");
	each(
	    k, &c->dns.targets, "targets", is_target, "IP addresses and names");
	each(k, &c->dns.caa_identities, "caa_identities", is_name,
	    "names such as letsencrypt.org");
}

static void
check_haproxy(const struct check *k)
{
	const struct conf *c = k->c;
	const char *http = c->haproxy.http_address;
	const char *https = c->haproxy.https_address;
	const char *table = c->haproxy.hot_table;

	each(k, &c->haproxy.sockets, "sockets", is_path,
	    "paths that begin with \"/\"");
	if (http[0] != '\0' && !is_host_port(http))
		expect(k, &c->haproxy.http_address, "http_address",
		    "\"host:port\"", http);
	if (https[0] != '\0' && !is_host_port(https))
		expect(k, &c->haproxy.https_address, "https_address",
		    "\"host:port\"", https);
	if (table[0] != '\0' && !str_only(table, strlen(table), ID_CHARS))
		expect(k, &c->haproxy.hot_table, "hot_table",
		    "letters, digits, \"-\", \"_\" and \".\"", table);
}

static bool
is_api_url(const char *s)
{
	const char *host = strstr(s, "://");

	return (str_has_prefix(s, "http://") ||
		   str_has_prefix(s, "https://")) &&
	       str_only(host + 3, strlen(host + 3), NAME_CHARS ":[]/") &&
	       !str_has_suffix(s, "/");
}

static void
check_api(const struct check *k)
{
	const struct conf *c = k->c;
	const char *group = c->api.socket_group;

	each(k, &c->api.listen, "listen", is_loopback_port,
	    "a loopback address and a port (HAProxy in front gives it TLS)");
	if (c->api.url[0] != '\0' && !is_api_url(c->api.url))
		expect(k, &c->api.url, "url",
		    "http:// or https:// and a host, without a slash at the "
		    "end",
		    c->api.url);

	if (group[0] != '\0' && !str_only(group, strlen(group), ID_CHARS))
		expect(k, &c->api.socket_group, "socket_group",
		    "the name of a group", group);
	if (strlen(c->api.socket) > SOCKET_PATH_MAX)
		wrong(k, &c->api.socket,
		    "socket must be at most %zu characters long, not %zu",
		    SOCKET_PATH_MAX, strlen(c->api.socket));
}

/* A beat or a renewal that is late once must not be the end. */
static void
check_fleet(const struct check *k)
{
	const struct conf *c = k->c;

	if (c->fleet.lease_ms <= 2 * c->fleet.renew_ms)
		wrong(k, &c->fleet.lease_ms,
		    "lease_ms (%d) must be more than twice renew_ms (%d)",
		    c->fleet.lease_ms, c->fleet.renew_ms);
	if (c->fleet.node_ttl_ms <= 2 * c->fleet.heartbeat_ms)
		wrong(k, &c->fleet.node_ttl_ms,
		    "node_ttl_ms (%d) must be more than twice heartbeat_ms "
		    "(%d)",
		    c->fleet.node_ttl_ms, c->fleet.heartbeat_ms);
	if (strcmp(c->fleet.rollout, "all") != 0 &&
	    strcmp(c->fleet.rollout, "canary") != 0)
		wrong(k, &c->fleet.rollout,
		    "rollout (\"%s\") must be \"all\" or \"canary\"",
		    c->fleet.rollout);
}

/* A name or address with or without a port; nothing before or after it. */
static bool
is_loopback(const char *host, size_t len)
{
	static const char *const names[] = { "127.0.0.1", "localhost",
		"[::1]" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(host, names[i], strlen(names[i])) == 0 &&
		    (len == strlen(names[i]) || host[strlen(names[i])] == ':'))
			return true;
	return false;
}

/* Credentials go there: encrypted, unless it is a test's. */
static bool
is_base_url(const char *url, bool test)
{
	const char *host = strstr(url, "://");
	size_t len;

	if (host == NULL || strpbrk(url, "?#@\\ ") != NULL)
		return false;
	host += 3;
	len = strcspn(host, "/");
	if (len == 0)
		return false;
	return str_has_prefix(url, "https://") ||
	       (test && str_has_prefix(url, "http://") &&
		   is_loopback(host, len));
}

static void
check_providers(const struct check *k)
{
	const struct conf *c = k->c;

	for (size_t i = 0; i < CONF_PROVIDERS; i++) {
		char *const *url = &c->provider[i].base_url;

		if (**url != '\0' && !is_base_url(*url, c->acme.insecure_test))
			expect(k, url, "base_url",
			    "a URL that begins with https://", *url);
	}
}

static bool
is_url(const char *url, bool plain)
{
	const char *host = strstr(url, "://");

	if (host == NULL || strpbrk(url, "#@\\ \t") != NULL ||
	    strchr("/?:", host[3]) != NULL)
		return false;
	return str_has_prefix(url, "https://") ||
	       (plain && str_has_prefix(url, "http://"));
}

/* Names and times of domains go there, signed but for anybody to read. */
static void
check_webhook(const struct check *k)
{
	const struct conf *c = k->c;

	if (c->webhook.url[0] == '\0')
		return;
	if (!is_url(c->webhook.url, c->webhook.allow_private))
		expect(k, &c->webhook.url, "url",
		    "a URL that begins with https://, or http:// with "
		    "allow_private",
		    c->webhook.url);
	else if (strlen(c->webhook.secret) < 16)
		wrong(k, &c->webhook.secret,
		    "webhook needs a secret of 16 characters or more");
	if (c->webhook.retry_max_s < c->webhook.retry_first_s)
		wrong(k, &c->webhook.retry_max_s,
		    "retry_max_s (%d) must not be less than retry_first_s "
		    "(%d)",
		    c->webhook.retry_max_s, c->webhook.retry_first_s);
}

static void
check_platform(const struct check *k)
{
	const struct conf *c = k->c;
	char name[DOMAIN_NAME_MAX];
	struct err e;

	if (c->platform_app[0] != '\0' &&
	    domain_app_check(c->platform_app, &e) == -1)
		wrong(k, &c->platform_app, "platform_app: %s", e.text);
	if (c->platform_app[0] != '\0' && c->platform_domain[0] == '\0')
		wrong(
		    k, &c->platform_app, "platform_app needs platform_domain");
	if (c->platform_app[0] != '\0' && c->haproxy.default_cert[0] != '\0')
		wrong(k, &c->platform_app,
		    "platform_app orders what haproxy.default_cert would be: "
		    "set one of them");
	if (c->platform_domain[0] == '\0')
		return;
	if (domain_normalise(c->platform_domain, name, &e) == -1)
		wrong(k, &c->platform_domain, "platform_domain: %s", e.text);
	else if (strcmp(name, c->platform_domain) != 0)
		wrong(k, &c->platform_domain,
		    "platform_domain must be written \"%s\"", name);
	if (c->haproxy.default_cert[0] == '\0' && c->platform_app[0] == '\0')
		wrong(k, &c->platform_domain,
		    "platform_domain needs haproxy.default_cert or "
		    "platform_app");
}

void
conf_rules(const struct conf *c, conf_fault_fn *fault, void *arg)
{
	const struct check k = { c, fault, arg };

	check_node(&k);
	check_platform(&k);
	check_redis(&k);
	check_agent(&k);
	check_acme(&k);
	check_acme_fallback(&k);
	check_limits(&k);
	check_dns(&k);
	check_providers(&k);
	check_haproxy(&k);
	check_api(&k);
	check_fleet(&k);
	check_webhook(&k);
}

/* --- derived defaults --------------------------------------------------------- */

static void
derive_path(char **member, const char *dir, const char *file)
{
	if (**member != '\0')
		return;
	free(*member);
	*member = xasprintf("%s/%s", dir, file);
}

void
conf_derive(struct conf *c)
{
	char host[64], *given;

	if (c->kek_file[0] == '\0' &&
	    (given = secret_given("certfleet.kek")) != NULL) {
		free(c->kek_file);
		c->kek_file = given;
	}
	derive_path(&c->kek_file, c->state_dir, "kek");
	derive_path(&c->haproxy.cert_dir, c->run_dir, "certs");
	derive_path(&c->haproxy.crt_list, c->haproxy.cert_dir, "crt-list.txt");
	derive_path(&c->api.socket, c->run_dir, "admin.sock");
	free(c->embedded_url);
	c->embedded_url = xasprintf("unix:%s/redis.sock", c->run_dir);
	if (c->node[0] == '\0' && gethostname(host, sizeof(host)) == 0) {
		host[sizeof(host) - 1] = '\0';
		free(c->node);
		c->node = xstrdup(host);
	}
}
