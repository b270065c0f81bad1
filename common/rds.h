/*
 * A client of one Redis: hiredis as codec over our own libevent transport.
 *
 * Unix socket, TCP or TLS with the host name verified; AUTH with an ACL user;
 * a deadline on the connect and on every command; commands are pipelined; a
 * broken connection is made again after a jittered pause that doubles.  After
 * each connect the server must be Redis >= 7.0 (or Valkey >= 7.2) and ROLE
 * must say master; with load_library the library of Redis Functions
 * (common/library.lua) is loaded when it is missing or older than ours.
 *
 * Where Redis is may change: a place (rds_sentinel_new(), rds_cluster_new())
 * tells, and all clients with it in their conf go along.
 */
#ifndef COMMON_RDS_H
#define COMMON_RDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct event_base;
struct rds_place;

/* What a server must be to be used. */
enum rds_want {
	RDS_MASTER = 0,
	RDS_SENTINEL,
	RDS_MEMBER, /* of a Cluster, master or not */
};

/* Where and how to connect.  Strings are borrowed and outlive the client. */
struct rds_conf {
	const char *url;  /* unix:/path | redis://host[:port] | rediss://... */
	const char *user; /* "" or NULL: the default user */
	const char *password;  /* "" or NULL: no AUTH */
	const char *name;      /* CLIENT SETNAME */
	const char *ca_file;   /* rediss: trust this instead of the system */
	const char *cert_file; /* rediss: client certificate, or "" */
	const char *key_file;
	const char *server_name; /* rediss: name to verify; "": the host */
	int db;
	int connect_timeout_ms;
	int command_timeout_ms; /* when rds_send() is given 0 */
	bool load_library;
	enum rds_want want;
	bool cluster;            /* its servers are meant, and no others */
	struct rds_place *place; /* tells where Redis is; NULL: at url */
	const char *key;         /* a Cluster: at who has this; NULL: anybody */
};

enum rds_type {
	RDS_NIL = 0,
	RDS_STRING, /* bulk string, and status such as "OK" */
	RDS_ERROR,  /* only inside arrays: elsewhere it is a struct err */
	RDS_INTEGER,
	RDS_ARRAY,
};

/* A reply: lives until the callback that receives it returns. */
struct rds_reply {
	enum rds_type type;
	int64_t integer;
	const char *str; /* NUL-terminated; may hold NULs of its own */
	size_t len;
	struct rds_reply *item;
	size_t nitems;
};

/*
 * Where Redis is, told by Sentinels.  conf is how to speak to these: user,
 * password, files, time-outs; its url is not used.  Everything given is
 * borrowed.  They are asked one after the other until one knows the master
 * called name, listened to for +switch-master, and asked again every 10 s and
 * whenever the master cannot be reached.  Clients with it in their conf go with
 * the master; it is freed after them.
 */
struct rds_sentinels {
	const char *const *address; /* "host:port" */
	size_t n;
	const char *name;
	bool tls, master_tls;
};
struct rds_place *rds_sentinel_new(
    struct event_base *, const struct rds_conf *, const struct rds_sentinels *);
void rds_place_free(struct rds_place *);

/*
 * The same, told by the servers of a Cluster, n of them at "host:port": a client
 * sends each command to who has its key's slot and follows MOVED and ASK.
 */
struct rds_place *rds_cluster_new(struct event_base *, const struct rds_conf *,
    const char *const *address, size_t n, bool tls);

struct rds;

/* state is called after each change; up: commands go through. */
typedef void rds_state_fn(void *arg, bool up, const struct err *why);

/*
 * A client that starts to connect at once; never fails: a URL that cannot be
 * understood is reported by rds_url_check(), everything else by state().
 */
struct rds *rds_new(struct event_base *, const struct rds_conf *,
    rds_state_fn *state, void *arg);
void rds_free(struct rds *); /* pending commands are dropped, not called */
bool rds_up(const struct rds *);

/* Fails with ERR_CONFIG and a sentence that says what a URL looks like. */
int rds_url_check(const char *url, struct err *);

/*
 * A command under construction.  Text given by pointer is borrowed until
 * rds_send() returns; numbers are copied.  Too many arguments abort: the
 * callers' numbers are fixed or capped.
 */
#define RDS_ARGS_MAX 128
struct rds_cmd {
	size_t argc;
	const char
	    *at; /* a Cluster: to who has this key; NULL: the command's */
	const char *argv[RDS_ARGS_MAX];
	size_t len[RDS_ARGS_MAX];
	char number[RDS_ARGS_MAX][24];
};
void rds_cmd(struct rds_cmd *, const char *command);
void rds_arg(struct rds_cmd *, const char *text);
void rds_arg_mem(struct rds_cmd *, const void *, size_t len);
void rds_arg_int(struct rds_cmd *, int64_t);

/*
 * Exactly one of reply and e is not NULL.  An error reply is an err whose type
 * is its first word ("FENCED", "READONLY") and whose text is the rest; its kind
 * is ERR_AGAIN for what passes ("LOADING"), ERR_CONFIG for what an operator must
 * change ("NOPERM", "OOM"), else ERR_BUG.  A deadline that passes, a connection
 * that breaks: ERR_AGAIN without a type.
 */
typedef void rds_fn(void *arg, const struct rds_reply *, const struct err *e);

/*
 * Send.  While the first connection is being made commands wait for it, up to
 * their deadline; while it is known to be broken they fail, in the next turn
 * of the loop; so they do while 20000 of them, or 16 MiB, wait for Redis.  A
 * reply that comes after its deadline is thrown away: the connection lives on,
 * unless nothing at all comes for twice command_timeout_ms.  Returns an id for rds_cancel(), which makes sure that
 * fn (never NULL) is not called; an id that is gone is accepted.
 */
uint64_t rds_send(
    struct rds *, const struct rds_cmd *, int timeout_ms, rds_fn *, void *arg);
void rds_cancel(struct rds *, uint64_t id);

/*
 * A subscription to channels on a connection of its own, for as long as it
 * lives: SUBSCRIBE is sent again after each reconnect, and state(up) says that
 * what was published before may have been missed.
 */
struct rds_sub;
typedef void rds_message_fn(
    void *arg, const char *channel, const char *text, size_t len);
struct rds_sub *rds_sub_new(struct event_base *, const struct rds_conf *,
    const char *const *channels, size_t nchannels, rds_message_fn *,
    rds_state_fn *state, void *arg);
void rds_sub_free(struct rds_sub *);

/*
 * A reader of one stream (XREAD BLOCK) on a connection of its own.  last_id is
 * where to go on, "$" for what is new; entry() gets each entry's id and its
 * fields as an array reply field, value, field, value...
 */
struct rds_stream;
typedef void rds_entry_fn(
    void *arg, const char *id, const struct rds_reply *fields);
struct rds_stream *rds_stream_new(struct event_base *, const struct rds_conf *,
    const char *key, const char *last_id, rds_entry_fn *, rds_state_fn *state,
    void *arg);
void rds_stream_free(struct rds_stream *);

/* Value of a field in a field, value... array, or NULL. */
const char *rds_field(const struct rds_reply *fields, const char *name);

#endif
