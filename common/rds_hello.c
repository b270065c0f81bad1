#include "common/rds_hello.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/library.h"
#include "common/log.h"
#include "common/rds_codec.h"

/* Redis Functions are there since these. */
#define REDIS_MIN "7.0"
#define VALKEY_MIN "7.2"

static void
ask_hello(const struct rds_conf *conf, struct rds_cmd *c)
{
	bool user = conf->user != NULL && conf->user[0] != '\0';

	rds_cmd(c, "HELLO");
	rds_arg(c, "2");
	if (conf->password != NULL && conf->password[0] != '\0') {
		rds_arg(c, "AUTH");
		rds_arg(c, user ? conf->user : "default");
		rds_arg(c, conf->password);
	}
	if (conf->name != NULL && conf->name[0] != '\0') {
		rds_arg(c, "SETNAME");
		rds_arg(c, conf->name);
	}
}

static void
ask_select(const struct rds_conf *conf, struct rds_cmd *c)
{
	rds_cmd(c, "SELECT");
	rds_arg_int(c, conf->db);
}

static void
ask_role(const struct rds_conf *conf, struct rds_cmd *c)
{
	(void)conf;
	rds_cmd(c, "ROLE");
}

static void
ask_library(const struct rds_conf *conf, struct rds_cmd *c)
{
	(void)conf;
	rds_cmd(c, "FCALL");
	rds_arg(c, "certfleet_version");
	rds_arg(c, "0");
}

static void
ask_load(const struct rds_conf *conf, struct rds_cmd *c)
{
	(void)conf;
	rds_cmd(c, "FUNCTION");
	rds_arg(c, "LOAD");
	rds_arg(c, "REPLACE");
	rds_arg_mem(c, library_lua, library_lua_size());
}

/* Is version ("7.2.4") at least minimum ("7.0")? */
static bool
at_least(const char *version, const char *minimum)
{
	long major, minor, want_major, want_minor;
	char *end;

	major = strtol(version, &end, 10);
	minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
	want_major = strtol(minimum, &end, 10);
	want_minor = strtol(end + 1, NULL, 10);
	return major != want_major ? major > want_major : minor >= want_minor;
}

static enum rds_hello_step
after_hello(const struct rds_hello *h)
{
	return h->conf->db != 0 ? RDS_HELLO_SELECT : RDS_HELLO_ROLE;
}

/* A server of a Cluster has only some of the keys. */
static int
check_mode(const struct rds_conf *conf, const char *mode, struct err *e)
{
	bool cluster = mode != NULL && strcmp(mode, "cluster") == 0;

	if (cluster && !conf->cluster)
		return err_set(e, ERR_CONFIG,
		    "the Redis at %s is part of a Cluster; name its servers in "
		    "redis { cluster }",
		    conf->url);
	if (!cluster && mode != NULL && conf->cluster)
		return err_set(e, ERR_CONFIG,
		    "the Redis at %s is no part of a Cluster; name it in "
		    "redis { url }",
		    conf->url);
	return 0;
}

static int
got_hello(struct rds_hello *h, const struct rds_reply *r, struct err *e)
{
	const char *server = rds_field(r, "server");
	const char *version = rds_field(r, "version");
	bool valkey = server != NULL && strcmp(server, "valkey") == 0;
	const char *minimum = valkey ? VALKEY_MIN : REDIS_MIN;

	if (version == NULL)
		return err_set(e, ERR_CONFIG,
		    "the server does not tell its version; Redis >= " REDIS_MIN
		    " or Valkey >= " VALKEY_MIN " is needed");
	if (!at_least(version, minimum))
		return err_set(e, ERR_CONFIG,
		    "the server is %s %s; %s or "
		    "newer is needed",
		    valkey ? "Valkey" : "Redis", version, minimum);
	if (check_mode(h->conf, rds_field(r, "mode"), e) == -1)
		return -1;
	h->step = after_hello(h);
	return 0;
}

static int
got_select(struct rds_hello *h, const struct rds_reply *r, struct err *e)
{
	(void)r, (void)e;
	h->step = RDS_HELLO_ROLE;
	return 0;
}

static int
got_sentinel(struct rds_hello *h, const char *role, struct err *e)
{
	if (strcmp(role, "sentinel") != 0)
		return err_set(e, ERR_CONFIG,
		    "the server at %s is no Sentinel but a %s", h->conf->url,
		    strcmp(role, "slave") == 0 ? "replica" : role);
	h->step = RDS_HELLO_DONE;
	return 0;
}

static int
got_role(struct rds_hello *h, const struct rds_reply *r, struct err *e)
{
	const char *role = NULL;

	if (r->type == RDS_ARRAY && r->nitems > 0 &&
	    r->item[0].type == RDS_STRING)
		role = r->item[0].str;
	if (role == NULL)
		return err_set(e, ERR_BUG, "the server does not tell its role");
	if (h->conf->want == RDS_SENTINEL)
		return got_sentinel(h, role, e);
	if (h->conf->want == RDS_MEMBER) {
		h->step = RDS_HELLO_DONE;
		return 0;
	}
	if (strcmp(role, "slave") == 0)
		return err_set(e, ERR_AGAIN,
		    "Redis at %s is a replica; the master is needed",
		    h->conf->url);
	if (strcmp(role, "master") != 0)
		return err_set(e, ERR_CONFIG,
		    "the server at %s is a %s; a Redis master is needed%s",
		    h->conf->url, role,
		    strcmp(role, "sentinel") == 0
			? " (Sentinels belong into redis { sentinels })"
			: "");
	h->step = h->conf->load_library ? RDS_HELLO_LIBRARY : RDS_HELLO_DONE;
	return 0;
}

static int
got_library(struct rds_hello *h, const struct rds_reply *r, struct err *e)
{
	if (r->type != RDS_INTEGER)
		return err_set(e, ERR_BUG,
		    "certfleet_version of the server's library is no number");
	h->found = r->integer;
	h->step =
	    r->integer < LIBRARY_VERSION ? RDS_HELLO_LOAD : RDS_HELLO_DONE;
	return 0;
}

static int
got_load(struct rds_hello *h, const struct rds_reply *r, struct err *e)
{
	(void)r, (void)e;
	log_info("redis=%s library=%d loaded", h->conf->url, LIBRARY_VERSION);
	h->step = RDS_HELLO_DONE;
	return 0;
}

/*
 * Who may not load ours works with an older one, as a node that was upgraded
 * before the leaders.
 */
static int
refused_load(struct rds_hello *h, const struct err *e)
{
	if (strcmp(e->type, "NOPERM") != 0 || h->found == 0)
		return -1;
	log_warn("redis=%s library=%lld is older than ours and this user may "
		 "not load it: upgrade who may",
	    h->conf->url, (long long)h->found);
	h->step = RDS_HELLO_DONE;
	return 0;
}

/* A library that is missing is no failure. */
static int
refused_library(struct rds_hello *h, const struct err *e)
{
	if (strstr(e->text, "Function not found") == NULL)
		return -1;
	h->step = RDS_HELLO_LOAD;
	return 0;
}

static const struct {
	void (*ask)(const struct rds_conf *, struct rds_cmd *);
	int (*got)(struct rds_hello *, const struct rds_reply *, struct err *);
	const char *doing;
} steps[RDS_HELLO_STEPS] = {
	/* clang-format off */
	[RDS_HELLO_HELLO]   = { ask_hello,   got_hello,   "logging in" },
	[RDS_HELLO_SELECT]  = { ask_select,  got_select,  "choosing the database" },
	[RDS_HELLO_ROLE]    = { ask_role,    got_role,    "asking for the role" },
	[RDS_HELLO_LIBRARY] = { ask_library, got_library, "asking for the library" },
	[RDS_HELLO_LOAD]    = { ask_load,    got_load,    "loading the library" },
	[RDS_HELLO_DONE]    = { NULL,        NULL,        NULL },
	/* clang-format on */
};

void
rds_hello_init(struct rds_hello *h, const struct rds_conf *conf)
{
	*h = (struct rds_hello){ .conf = conf };
}

void
rds_hello_ask(const struct rds_hello *h, struct rds_cmd *c)
{
	steps[h->step].ask(h->conf, c);
}

/*
 * What a step was refused with.  "ERR" is how servers before 6.0 refuse HELLO,
 * and how all refuse a password, a name or a database that cannot be.
 */
static int
refused(struct rds_hello *h, const struct rds_reply *r, struct err *e)
{
	rds_reply_err(r, e);
	if (h->step == RDS_HELLO_LIBRARY && refused_library(h, e) == 0)
		return 0;
	if (h->step == RDS_HELLO_LOAD && refused_load(h, e) == 0)
		return 0;
	if (e->kind == ERR_BUG)
		e->kind = ERR_CONFIG;
	if (h->step == RDS_HELLO_HELLO &&
	    strstr(e->text, "unknown command") != NULL)
		return err_set(e, ERR_CONFIG,
		    "the server is too old; Redis >= " REDIS_MIN
		    " or Valkey >= " VALKEY_MIN " is needed");
	return err_prefix(e, "Redis refuses %s", steps[h->step].doing);
}

int
rds_hello_got(struct rds_hello *h, const struct rds_reply *r, struct err *e)
{
	if (r->type == RDS_ERROR)
		return refused(h, r, e);
	return steps[h->step].got(h, r, e);
}
