/*
 * The configuration: one file, certfleet.conf, for all three programs.
 *
 * Every setting has a type, a unit in its name, bounds and a default.  What is
 * unknown or out of bounds is an error that names file, line and what was
 * expected.  Secrets are never in the file: a setting that is one holds
 * "file:/path" (refused when group or others may read it) or "env:NAME".
 * The struct is const after load; strings are owned by it.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/log.h"

#define CONF_REDIS_SERVERS_MAX 16 /* in sentinels or cluster */
#define CONF_PATH "/etc/certfleet/certfleet.conf"

struct conf_list {
	char **item;
	size_t n;
};

/* What an operator says about a DNS provider; "" by default. */
struct conf_provider {
	char *base_url; /* instead of the provider's own */
	char *ca_file;  /* trust this for its HTTPS; "" system */
};
#define CONF_PROVIDERS 9

struct conf {
	char *node;      /* this node's id; default: the host's name */
	char *state_dir; /* /var/lib/certfleet */
	char *run_dir;   /* /run/certfleet */
	char *kek_file;  /* key ring; default: state_dir/kek */
	enum log_level log_level;
	char *platform_domain; /* names below are the platform's own; "" */
	char *platform_app;    /* whose DNS provider proves them, or "" */

	struct {
		char *url; /* "" (default): see conf_redis_url() */
		struct conf_list sentinels; /* "host:port" */
		char *master;               /* its name there, "mymaster" */
		struct conf_list cluster;   /* "host:port" */
		char *sentinel_user, *sentinel_password; /* secret */
		bool sentinel_tls;
		bool tls; /* false: servers not given by url speak TLS */
		char *user;
		char *password; /* secret */
		char *prefix;   /* "certfleet:" */
		int partitions; /* of a fleet that is new, 1 */
		int replicas;   /* that must have what is new; 0: one, if any */
		char *ca_file, *cert_file, *key_file, *server_name;
		int db;
		int connect_timeout_ms; /* 500 */
		int command_timeout_ms; /* 1000 */
		char *server; /* embedded: the program, redis-server */
	} redis;

	struct {
		struct conf_list listen; /* "127.0.0.1:9180", "unix:/path" */
		int max_connections;     /* 4096 */
		int max_frame_size;      /* 16380 */
		int max_waiting;         /* lookups in flight, 8192 */
		int redis_timeout_ms;    /* 50 */
		int negative_ttl_ms;     /* 1000 */
		int cache_max;           /* tokens in memory, 20000 */
		bool stateless_fallback; /* false */
		char *metrics;           /* "127.0.0.1:9181"; "": none */
	} agent;

	struct {
		char *directory;          /* Let's Encrypt production */
		struct conf_list contact; /* "mailto:ops@example.com" */
		char
		    *ca_file; /* trust this for the CA's own HTTPS; "" system */
		bool
		    insecure_test; /* allow http:// and private CAs; tests only */
		bool agree_tos;    /* the terms of service are agreed to */
		char *eab_kid;
		char *eab_hmac_key;           /* secret, base64url */
		struct conf_list allow_hosts; /* besides the directory's own */
		int request_timeout_ms;       /* 10000 */
		bool dns_persist;             /* false: TXT records that stay */
		int order_timeout_s;     /* 600: an order that takes longer */
		int max_in_flight;       /* orders, 100 */
		int max_requests;        /* HTTPS requests in flight, 32 */
		int retry_first_s;       /* 300 */
		int retry_max_s;         /* 86400 */
		int renew_percent;       /* of the lifetime, 67 */
		int renewals_per_minute; /* 120, unless they are urgent */
		int custom_days;    /* 10: before a custom certificate ends */
		bool ari;           /* true: renew when the CA says */
		int ari_poll_min_s; /* 3600 */
		int ari_poll_max_s; /* 86400 */
		char *key_type;     /* "ecdsa-p256" */
		char *profile;      /* of the CA; "": its default */
		char *preferred_chain; /* issuer of its topmost, or "" */
	} acme;

	struct {
		char *directory; /* "": there is no second CA */
		struct conf_list contact;
		char *ca_file;
		bool agree_tos;
		char *eab_kid;
		char *eab_hmac_key; /* secret, base64url */
		struct conf_list allow_hosts;
		char *profile;
		char *preferred_chain;
		struct conf_list caa_identities; /* none: CAA is not read */
	} acme_fallback;

	struct {
		/* 0: no limit; each within its window */
		int certificates_per_domain, domain_window_h; /* 50, 168 */
		int certificates_per_set, set_window_h;       /* 5, 168 */
		int orders_per_account, orders_window_h;      /* 300, 3 */
		int failures_per_name, failures_window_h;     /* 5, 1 */
		int hour_ms;          /* 3600000: of those windows */
		int headroom_percent; /* 0 */
		struct conf_list domain_overrides; /* "example.com=300" */
	} limits;

	struct {
		struct conf_list
		    resolvers;            /* "192.0.2.53[:53]"; empty: system */
		struct conf_list targets; /* addresses and names of the fleet */
		int check_interval_ms;    /* 60000 */
		int record_interval_ms;   /* 60000: TXT made by hand */
		int timeout_ms;           /* 5000 */
		int authoritative_port;   /* 53 */
		bool self_probe;          /* true: fetch through the name */
		int self_probe_port;      /* 80 */
		bool caa;                 /* true: check CAA before an order */
		struct conf_list caa_identities; /* "letsencrypt.org" */
	} dns;

	struct {
		struct conf_list
		    sockets;    /* runtime API, "/run/haproxy/admin.sock" */
		char *cert_dir; /* run_dir/certs */
		char *crt_list; /* cert_dir/crt-list.txt, as HAProxy names it */
		char *default_cert; /* operator's PEM; "": a placeholder */
		char *http_address; /* 127.0.0.1:80: challenge barrier */
		char *
		    https_address; /* 127.0.0.1:443: served-certificate proof */
		int bufsize;       /* HAProxy's tune.bufsize, 16384 */
		int poll_ms;       /* 1000: show info */
		int push_per_s; /* 50: pushes while traffic runs; 0: no limit */
		int command_timeout_ms; /* 5000 */
		int barrier_timeout_ms; /* 10000 */
		int patrol_ms;   /* 2000: one certificate looked at; 0: never */
		char *hot_table; /* certfleet_hot: HAProxy's stick table */
		int hot_ms;      /* 60000: a look at it; 0: never */
	} haproxy;

	struct {
		char *socket;            /* run_dir/admin.sock */
		char *socket_group;      /* "": only the owner may connect */
		int max_connections;     /* 64, of each listener */
		struct conf_list listen; /* "127.0.0.1:8405"; empty: none */
		char *url; /* as clients reach listen; "": as they say */
		struct conf_list hosts;  /* more of its names, for browsers */
		int requests_per_minute; /* 600 of a token; 0: no limit */
		int request_timeout_ms;  /* 30000 */
	} api;

	struct {
		bool candidate;   /* true: this node may become leader */
		int lease_ms;     /* 10000 */
		int renew_ms;     /* 3000 */
		int heartbeat_ms; /* 5000 */
		int node_ttl_ms;  /* 15000: without a beat a node is not live */
		int reconcile_ms; /* 30000 */
		char *rollout;    /* "all", or "canary": one node first */
		char *canary;     /* which; "": the first live one */
		int canary_limit_ms; /* 30000, then another node */
		int stalled_ms; /* 900000: a leader that comes no further; 0 */
	} fleet;

	struct {
		char *url;               /* "": nothing is told */
		char *secret;            /* secret, "whsec_..." or text */
		struct conf_list events; /* names, "*" at the end; empty: all */
		char *ca_file;      /* trust this for its HTTPS; "" system */
		bool allow_private; /* false: private addresses, http:// */
		int timeout_ms;     /* 10000 */
		int retry_first_s, retry_max_s; /* 1, 300 */
		int give_up_s; /* 86400: then an event is dropped */
	} webhook;

	struct conf_provider provider[CONF_PROVIDERS]; /* in order of names */

	char *embedded_url; /* no setting: where the embedded Redis listens */
};

/*
 * Read path.  Return NULL with the first error in err and every error printed
 * to standard error, one per line, as "file:line: what is; what should be".
 * A missing file is an error only when path is not CONF_PATH.
 */
struct conf *conf_load(const char *path, struct err *);

/*
 * The same for who may not read the secrets: they stay "", and what settings
 * owe each other is not checked.
 */
struct conf *conf_load_public(const char *path, struct err *);
void conf_free(struct conf *); /* secrets are wiped */

/* Does certfleet-sync run a Redis of its own? */
bool conf_redis_embedded(const struct conf *);

/* It is this machine's, embedded or reached by a socket in its file system. */
bool conf_redis_local(const struct conf *);

/*
 * Where Redis is: the configured URL, the embedded server's socket or, for
 * people, "sentinel" or "cluster".
 */
const char *conf_redis_url(const struct conf *);

/* The operator's settings for the DNS provider of that name; NULL: no such. */
const struct conf_provider *conf_provider(
    const struct conf *, const char *name);

/* A setting as it is in effect; one of text, number and list is not NULL. */
struct conf_shown {
	const char *section, *name; /* section "": the top level */
	const char *provider;       /* in its section, or NULL */
	const char *text;
	const int *number;
	const struct conf_list *list;
	bool is_switch, on; /* on: of a secret, that there is one */
	bool secret;        /* which is not told */
	bool initial;       /* as it is when nothing is set */
};
typedef void conf_show_fn(void *arg, const struct conf_shown *);

/* Tell all settings, in the order of the manual page. */
void conf_show(const struct conf *, conf_show_fn *, void *arg);

/*
 * What -c does after a successful load: print "Configuration file is valid",
 * return the exit status.
 */
int conf_check(const char *path);

#endif
