/* The settings: each has a type, bounds, a default and a line of help. */
#include "common/conf_table.h"

#define TEXT_MAX 1024
#define PATH_MAX_LEN 1024

/* clang-format off */
#define TOP(name, type, initial, help) \
	{ "", #name, offsetof(struct conf, name), type, initial, help }
#define SET(section, name, type, initial, help) \
	{ #section, #name, offsetof(struct conf, section.name), type, \
	  initial, help }

#define STRING(min, max) CONF_IS_STRING, min, max, ""
#define PATH(min, max) CONF_IS_PATH, min, max, ""
#define SECRET(min, max) CONF_IS_SECRET, min, max, ""
#define LIST(min, max) CONF_IS_LIST, min, max, ""
#define INT(min, max, unit) CONF_IS_INT, min, max, unit
#define BOOL CONF_IS_BOOL, 0, 0, ""
#define LEVEL CONF_IS_LEVEL, 0, 0, ""

const struct conf_setting conf_settings[] = {
	TOP(node, STRING(0, 63), NULL,
	    "this node's id in the fleet; default: the host's name"),
	TOP(state_dir, PATH(1, PATH_MAX_LEN), "/var/lib/certfleet",
	    "what must survive a restart: key ring, sealed "
	    "certificates, embedded Redis"),
	TOP(run_dir, PATH(1, PATH_MAX_LEN), "/run/certfleet",
	    "what must not: sockets, plain PEM files; best a tmpfs"),
	TOP(kek_file, PATH(0, PATH_MAX_LEN), NULL,
	    "key ring that seals private keys; default: kek in "
	    "state_dir"),
	TOP(log_level, LEVEL, "info",
	    "error, warn, info or debug"),
	TOP(platform_domain, STRING(0, 253), "",
	    "names below it are served by haproxy.default_cert, or by "
	    "platform_app's wildcard, without an order of their own"),
	TOP(platform_app, STRING(0, 63), "",
	    "app whose DNS provider proves platform_domain: a certificate for "
	    "it and all names below is ordered, and HAProxy's default"),
	SET(redis, url, STRING(0, TEXT_MAX), "",
	    "redis://host:port, rediss://host:port (TLS) or "
	    "unix:/path; default: certfleet-sync runs its own"),
	SET(redis, sentinels, LIST(3, 260), "",
	    "\"host:port\" of Sentinels, which tell where the master is"),
	SET(redis, master, STRING(1, 255), "mymaster",
	    "what Sentinels call the master"),
	SET(redis, sentinel_user, STRING(0, TEXT_MAX), "",
	    "ACL user at Sentinels; default: the default user"),
	SET(redis, sentinel_password, SECRET(0, TEXT_MAX), "",
	    "of Sentinels: \"file:/path\" or \"env:NAME\""),
	SET(redis, sentinel_tls, BOOL, "false",
	    "Sentinels speak TLS"),
	SET(redis, tls, BOOL, "false",
	    "servers of a Cluster, or behind Sentinels, speak TLS"),
	SET(redis, cluster, LIST(3, 260), "",
	    "\"host:port\" of servers of a Cluster; they tell of the rest"),
	SET(redis, user, STRING(0, TEXT_MAX), "",
	    "ACL user; default: the default user"),
	SET(redis, password, SECRET(0, TEXT_MAX), "",
	    "\"file:/path\" or \"env:NAME\""),
	SET(redis, prefix, STRING(1, 64), "certfleet:",
	    "begins every key and channel"),
	SET(redis, partitions, INT(1, 64, ""), "1",
	    "parts that the domains are kept in; of a fleet that is new"),
	SET(redis, replicas, INT(0, 64, ""), "0",
	    "replicas that must have a new certificate before the leader "
	    "forgets it; 0: one, where there are any"),
	SET(redis, ca_file, PATH(0, PATH_MAX_LEN), "",
	    "rediss: trust these instead of the system's "
	    "authorities"),
	SET(redis, cert_file, PATH(0, PATH_MAX_LEN), "",
	    "rediss: client certificate"),
	SET(redis, key_file, PATH(0, PATH_MAX_LEN), "",
	    "rediss: its key"),
	SET(redis, server_name, STRING(0, 253), "",
	    "rediss: name to verify; default: the host of the URL"),
	SET(redis, db, INT(0, 1023, ""), "0",
	    "number of the database"),
	SET(redis, connect_timeout_ms, INT(10, 60000, "ms"), "500",
	    "for connecting, TLS and login together"),
	SET(redis, command_timeout_ms, INT(10, 60000, "ms"), "1000",
	    "for a reply"),
	SET(redis, server, STRING(1, TEXT_MAX), "redis-server",
	    "program of the embedded Redis: a path, or looked for "
	    "in PATH"),
	SET(agent, listen, LIST(1, TEXT_MAX), "127.0.0.1:9180",
	    "where HAProxy reaches the agent: \"host:port\" or "
	    "\"unix:/path\""),
	SET(agent, max_connections, INT(1, 65535, ""), "4096",
	    "connections of HAProxy at the same time"),
	SET(agent, max_frame_size, INT(256, 262144, "bytes"), "16380",
	    "SPOP frame; HAProxy's tune.bufsize less 4"),
	SET(agent, max_waiting, INT(1, 1000000, ""), "8192",
	    "lookups that wait for Redis at the same time"),
	SET(agent, redis_timeout_ms, INT(1, 5000, "ms"), "50",
	    "a lookup waits for Redis that long"),
	SET(agent, negative_ttl_ms, INT(0, 60000, "ms"), "1000",
	    "an unknown token is remembered that long"),
	SET(agent, cache_max, INT(1, 10000000, ""), "20000",
	    "tokens in memory"),
	SET(agent, stateless_fallback, BOOL, "false",
	    "with Redis away, answer any token with the account's "
	    "thumbprint"),
	SET(agent, metrics, STRING(0, 64), "",
	    "\"127.0.0.1:9181\": GET /metrics for Prometheus; loopback "
	    "only"),
	SET(acme, directory, STRING(1, TEXT_MAX),
	    "https://acme-v02.api.letsencrypt.org/directory",
	    "the CA"),
	SET(acme, contact, LIST(1, TEXT_MAX), "",
	    "\"mailto:ops@example.com\": whom the CA may write to"),
	SET(acme, ca_file, PATH(0, PATH_MAX_LEN), "",
	    "trust these for the CA's own HTTPS; default: the "
	    "system's"),
	SET(acme, insecure_test, BOOL, "false",
	    "allow http:// and hosts other than the directory's; "
	    "for tests only"),
	SET(acme, agree_tos, BOOL, "false",
	    "you agree to the CA's terms of service; nothing is "
	    "ordered before"),
	SET(acme, eab_kid, STRING(0, TEXT_MAX), "",
	    "external account binding: the key's id"),
	SET(acme, eab_hmac_key, SECRET(0, TEXT_MAX), "",
	    "external account binding: the key, \"file:/path\" or "
	    "\"env:NAME\" (base64url)"),
	SET(acme, allow_hosts, LIST(1, 253), "",
	    "hosts of the CA besides the directory's own"),
	SET(acme, request_timeout_ms, INT(100, 300000, "ms"), "10000",
	    "for one HTTPS request"),
	SET(acme, dns_persist, BOOL, "false",
	    "TXT records that people make stay for good (dns-persist-01, a "
	    "draft), where the CA offers that"),
	SET(acme, order_timeout_s, INT(1, 86400, "s"), "600",
	    "an order that takes longer is given up"),
	SET(acme, max_in_flight, INT(1, 1000, ""), "100",
	    "orders at the same time"),
	SET(acme, max_requests, INT(1, 256, ""), "32",
	    "HTTPS requests at the same time"),
	SET(acme, retry_first_s, INT(1, 86400, "s"), "300",
	    "first wait after a failure; doubles each time"),
	SET(acme, retry_max_s, INT(1, 86400, "s"), "86400",
	    "longest wait: at least one attempt per day"),
	SET(acme, renew_percent, INT(1, 99, "%"), "67",
	    "renew when that much of the lifetime has passed"),
	SET(acme, renewals_per_minute, INT(1, 60000, ""), "120",
	    "pace of renewals that are not urgent, after an outage"),
	SET(acme, custom_days, INT(2, 90, "days"), "10",
	    "a certificate is made that long before a custom one ends"),
	SET(acme, ari, BOOL, "true",
	    "renew when the CA says (ACME Renewal Information), where "
	    "it does"),
	SET(acme, ari_poll_min_s, INT(1, 86400, "s"), "3600",
	    "the CA is not asked for it more often"),
	SET(acme, ari_poll_max_s, INT(1, 604800, "s"), "86400",
	    "and not less often"),
	SET(acme, key_type, STRING(1, 32), "ecdsa-p256",
	    "key of the certificates: ecdsa-p256, ecdsa-p384, rsa-2048, "
	    "rsa-3072, rsa-4096 or dual (two: ecdsa-p256 and rsa-2048)"),
	SET(acme, profile, STRING(0, 63), "",
	    "profile of the CA (\"shortlived\"); default: the CA's own"),
	SET(acme, preferred_chain, STRING(0, 128), "",
	    "of several chains take the one whose topmost certificate "
	    "has this issuer"),
	SET(acme_fallback, directory, STRING(0, TEXT_MAX), "",
	    "a second CA: used when the first cannot be reached and a "
	    "certificate is in the last tenth of its lifetime"),
	SET(acme_fallback, contact, LIST(1, TEXT_MAX), "",
	    "\"mailto:ops@example.com\": whom that CA may write to"),
	SET(acme_fallback, ca_file, PATH(0, PATH_MAX_LEN), "",
	    "trust these for that CA's own HTTPS; default: the system's"),
	SET(acme_fallback, agree_tos, BOOL, "false",
	    "you agree to that CA's terms of service"),
	SET(acme_fallback, eab_kid, STRING(0, TEXT_MAX), "",
	    "external account binding: the key's id"),
	SET(acme_fallback, eab_hmac_key, SECRET(0, TEXT_MAX), "",
	    "external account binding: the key, \"file:/path\" or "
	    "\"env:NAME\" (base64url)"),
	SET(acme_fallback, allow_hosts, LIST(1, 253), "",
	    "hosts of that CA besides the directory's own"),
	SET(acme_fallback, profile, STRING(0, 63), "",
	    "profile of that CA; default: its own"),
	SET(acme_fallback, preferred_chain, STRING(0, 128), "",
	    "as in acme"),
	SET(acme_fallback, caa_identities, LIST(1, 253), "",
	    "names of that CA in CAA records: a domain whose records "
	    "name none of them stays with the first CA; default: not "
	    "looked at"),
	SET(limits, certificates_per_domain, INT(0, 1000000, ""), "50",
	    "certificates per registered domain and domain_window_h; "
	    "0: no limit"),
	SET(limits, domain_window_h, INT(1, 8760, "h"), "168",
	    "of certificates_per_domain: any so many hours"),
	SET(limits, domain_overrides, LIST(3, 270), "",
	    "\"example.com=300\": certificates_per_domain of that one"),
	SET(limits, certificates_per_set, INT(0, 1000000, ""), "5",
	    "certificates for the very same names, renewals included; "
	    "0: no limit"),
	SET(limits, set_window_h, INT(1, 8760, "h"), "168",
	    "of certificates_per_set"),
	SET(limits, orders_per_account, INT(0, 10000000, ""), "300",
	    "orders of our account; 0: no limit"),
	SET(limits, orders_window_h, INT(1, 8760, "h"), "3",
	    "of orders_per_account"),
	SET(limits, failures_per_name, INT(0, 1000000, ""), "5",
	    "validations of a name that may fail; 0: no limit"),
	SET(limits, failures_window_h, INT(1, 8760, "h"), "1",
	    "of failures_per_name"),
	SET(limits, hour_ms, INT(10, 3600000, "ms"), "3600000",
	    "how long an hour of these windows is: shorter for tests only"),
	SET(limits, headroom_percent, INT(0, 90, "%"), "0",
	    "of every limit, left to others who use the same domains"),
	SET(dns, resolvers, LIST(2, 64), "",
	    "\"192.0.2.53\" or \"192.0.2.53:53\"; default: the system's"),
	SET(dns, targets, LIST(1, 253), "",
	    "addresses and names that a domain may point to"),
	SET(dns, check_interval_ms, INT(100, 86400000, "ms"), "60000",
	    "between two checks of a domain that does not point "
	    "here yet"),
	SET(dns, record_interval_ms, INT(100, 86400000, "ms"), "60000",
	    "between two looks for the TXT record of a wildcard that a "
	    "person has to make"),
	SET(dns, timeout_ms, INT(100, 60000, "ms"), "5000",
	    "for one question"),
	SET(dns, authoritative_port, INT(1, 65535, ""), "53",
	    "where a zone's own name servers are asked for TXT records"),
	SET(dns, self_probe, BOOL, "true",
	    "when DNS cannot tell, ask the domain by HTTP whether "
	    "it is us"),
	SET(dns, self_probe_port, INT(1, 65535, ""), "80",
	    "port of that question"),
	SET(dns, caa, BOOL, "true",
	    "check CAA records before an order"),
	SET(dns, caa_identities, LIST(1, 253), "letsencrypt.org",
	    "names of the CA in CAA records"),
	SET(haproxy, sockets, LIST(2, 107), "/run/haproxy/admin.sock",
	    "runtime API, \"level admin\", one for each HAProxy of "
	    "this node"),
	SET(haproxy, cert_dir, PATH(0, 256), NULL,
	    "PEM files for HAProxy; default: certs in run_dir"),
	SET(haproxy, crt_list, PATH(0, PATH_MAX_LEN), NULL,
	    "crt-list, as HAProxy names it; default: crt-list.txt "
	    "in cert_dir"),
	SET(haproxy, default_cert, PATH(0, PATH_MAX_LEN), "",
	    "PEM with chain and key: HAProxy's default certificate; "
	    "default: a placeholder"),
	SET(haproxy, http_address, STRING(0, TEXT_MAX), "127.0.0.1:80",
	    "where this node answers challenges; \"\": no barrier"),
	SET(haproxy, https_address, STRING(0, TEXT_MAX), "127.0.0.1:443",
	    "where this node serves certificates; \"\": not proven"),
	SET(haproxy, bufsize, INT(1024, 16777216, "bytes"), "16384",
	    "HAProxy's tune.bufsize"),
	SET(haproxy, poll_ms, INT(100, 60000, "ms"), "1000",
	    "between two looks at HAProxy's process"),
	SET(haproxy, push_per_s, INT(0, 10000, "per s"), "50",
	    "certificates pushed while traffic runs; 0: no limit"),
	SET(haproxy, command_timeout_ms, INT(100, 60000, "ms"), "5000",
	    "for an answer of the runtime API"),
	SET(haproxy, barrier_timeout_ms, INT(100, 120000, "ms"), "10000",
	    "how long all nodes have to answer a challenge"),
	SET(haproxy, patrol_ms, INT(0, 3600000, "ms"), "2000",
	    "between two looks, by handshake, at what is served; 0: none"),
	SET(haproxy, hot_table, STRING(0, 64), "certfleet_hot",
	    "stick table that counts requests by certificate; \"\": none"),
	SET(haproxy, hot_ms, INT(0, 3600000, "ms"), "60000",
	    "between two looks at it; 0: none"),
	SET(api, socket, PATH(0, 107), NULL,
	    "admin API; default: admin.sock in run_dir"),
	SET(api, socket_group, STRING(0, 64), "",
	    "group that may connect, too; default: only the owner"),
	SET(api, max_connections, INT(1, 10000, ""), "64",
	    "connections at the same time, to the socket and to each "
	    "address"),
	SET(api, listen, LIST(1, 64), "",
	    "\"127.0.0.1:8405\": also by TCP, with tokens; loopback only"),
	SET(api, url, STRING(0, TEXT_MAX), "",
	    "where clients reach it, as https://certs.example.com; default: "
	    "as they ask"),
	SET(api, hosts, LIST(1, 262), "",
	    "\"certs.example.com:8443\": more names that browsers may use "
	    "for it; default: url's, and loopback"),
	SET(api, requests_per_minute, INT(0, 1000000, ""), "600",
	    "of a token, on this node; 0: no limit"),
	SET(api, request_timeout_ms, INT(100, 600000, "ms"), "30000",
	    "for a client to send a request, and to take the answer"),
	SET(fleet, candidate, BOOL, "true",
	    "this node may become the leader"),
	SET(fleet, lease_ms, INT(500, 600000, "ms"), "10000",
	    "a leader that is silent that long has lost it"),
	SET(fleet, renew_ms, INT(100, 300000, "ms"), "3000",
	    "between two renewals of the lease"),
	SET(fleet, heartbeat_ms, INT(100, 300000, "ms"), "5000",
	    "between two signs of life"),
	SET(fleet, node_ttl_ms, INT(250, 3600000, "ms"), "15000",
	    "a node that is silent that long is not live"),
	SET(fleet, reconcile_ms, INT(100, 3600000, "ms"), "30000",
	    "between two full comparisons with Redis"),
	SET(fleet, rollout, STRING(1, 16), "all",
	    "who gets a new certificate first: all nodes, or a canary"),
	SET(fleet, canary, STRING(0, 63), "",
	    "the node that is it; default: the first live one by its id"),
	SET(fleet, canary_limit_ms, INT(500, 3600000, "ms"), "30000",
	    "for a canary to prove it, then another node is chosen"),
	SET(fleet, stalled_ms, INT(0, 86400000, "ms"), "900000",
	    "a leader that comes no further for so long hands over; 0: never"),
	SET(webhook, url, STRING(0, TEXT_MAX), "",
	    "https://host/path: where what happens is told; default: nowhere"),
	SET(webhook, secret, SECRET(0, TEXT_MAX), "",
	    "what that is signed with, whsec_ and base64 or text: "
	    "\"file:/path\" or \"env:NAME\""),
	SET(webhook, events, LIST(1, 95), "",
	    "names of events that are told, a \"*\" at the end is any text; "
	    "default: all"),
	SET(webhook, ca_file, PATH(0, PATH_MAX_LEN), "",
	    "trust these for its HTTPS; default: the system's"),
	SET(webhook, allow_private, BOOL, "false",
	    "it may be at a private address, and without TLS"),
	SET(webhook, timeout_ms, INT(100, 60000, "ms"), "10000",
	    "for its answer"),
	SET(webhook, retry_first_s, INT(1, 3600, "s"), "1",
	    "first wait after a failure; doubles each time"),
	SET(webhook, retry_max_s, INT(1, 86400, "s"), "300",
	    "longest wait"),
	SET(webhook, give_up_s, INT(1, 2592000, "s"), "86400",
	    "an event that is older is dropped when it fails again"),
};

const struct conf_setting conf_provider_settings[CONF_PROVIDER_SETTINGS] = {
	{ "provider", "base_url", offsetof(struct conf_provider, base_url),
	  STRING(0, TEXT_MAX), "",
	    "where its API is, instead of the provider's own" },
	{ "provider", "ca_file", offsetof(struct conf_provider, ca_file),
	  PATH(0, PATH_MAX_LEN), "",
	    "trust these for its HTTPS; default: the system's" },
};

const char *const conf_provider_names[CONF_PROVIDERS] = {
	"azure", "cloudflare", "dnsimple", "gandi", "gandiv5", "gcloud",
	"godaddy", "ovh", "route53"
};
/* clang-format on */

const size_t conf_nsettings = sizeof(conf_settings) / sizeof(conf_settings[0]);
