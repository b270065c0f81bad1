/*
 * A fleet's state from a file into an empty Redis.
 *
 * While that is under way the meta record says "restoring" where the schema is:
 * programs of any version refuse such a Redis.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/redis_keys.h"
#include "common/seal.h"
#include "sync/fleet_read.h"
#include "sync/link.h"
#include "sync/schema.h"
#include "sync/transfer.h"
#include "sync/transfer_impl.h"

#define UNDER_WAY_MAX 2000 /* commands */
#define RESTORING SCHEMA_RESTORING

struct in {
	struct link *link;
	const struct conf *conf;
	const struct seal_ring *ring;
	int partitions;
	FILE *file;
	json_t *meta;
	int64_t gen; /* the highest of all partitions */
	struct fleet_digest digest;
	size_t under_way;
};

static void
send_line(void *arg, const struct rds_cmd *cmd)
{
	struct in *in = arg;

	in->under_way++;
	link_send(in->link, cmd, NULL, NULL);
}

static void
send_pair(struct in *in, const char *verb, const char *format, int partition,
    const char *first, const char *second)
{
	char key[FLEET_KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, verb);
	rds_arg(&cmd, fleet_key(in->conf, format, partition, NULL, key));
	rds_arg(&cmd, first);
	if (second != NULL)
		rds_arg(&cmd, second);
	send_line(in, &cmd);
}

static int
put_domain(struct in *in, const json_t *line, const char *name, struct err *e)
{
	int partition = domain_partition(name, in->partitions);
	char key[FLEET_KEY_MAX], whole[FLEET_KEY_MAX + 16];
	const char *index = transfer_text(line, "index");
	const char *canary = transfer_text(line, "canary");
	const char *due = transfer_text(line, "due");

	for (int i = 0; i < FLEET_PARTS; i++) {
		const struct fleet_part *p = &fleet_parts[i];
		const json_t *v = json_object_get(line, p->member);

		fleet_key(in->conf, p->format, partition, name, key);
		snprintf(whole, sizeof(whole), "%s%s", key, p->suffix);
		if (v != NULL && fleet_put(whole, v, send_line, in, e) == -1)
			return -1;
	}
	if (index[0] != '\0')
		send_pair(in, "HSET", KEY_INDEX, partition, name, index);
	if (canary[0] != '\0')
		send_pair(in, "HSET", KEY_CANARY, partition, name, canary);
	if (due[0] != '\0')
		send_pair(in, "ZADD", KEY_DUE, partition, due, name);
	send_pair(in, "ZADD", KEY_NAMES, partition, "0", name);
	return 0;
}

/* The key of what is no domain's. */
static const char *
key_of(const struct in *in, const char *kind, const char *name,
    char out[static FLEET_KEY_MAX])
{
	if (strcmp(kind, "app") == 0)
		return fleet_key(in->conf, KEY_APP, 0, name, out);
	if (strcmp(kind, "env") == 0)
		return fleet_key(in->conf, KEY_ENV, 0, name, out);
	if (strcmp(kind, "account") == 0)
		return fleet_key(in->conf, KEY_ACCOUNT, 0, name, out);
	if (strcmp(kind, "limit") == 0)
		return fleet_limit_key(in->conf, name, out);
	for (int i = 0; strcmp(kind, "single") == 0 && i < FLEET_SINGLES; i++)
		if (strcmp(fleet_singles[i].member, name) == 0)
			return fleet_key(
			    in->conf, fleet_singles[i].format, 0, NULL, out);
	return NULL;
}

#define WEEK_MS "604860000" /* no limit's window is longer */

static int
put_other(struct in *in, const json_t *line, const char *kind, const char *name,
    struct err *e)
{
	char key[FLEET_KEY_MAX];
	struct rds_cmd cmd;

	if (key_of(in, kind, name, key) == NULL)
		return err_set(e, ERR_REFUSED,
		    "a line is about a \"%.40s\": a newer certfleet has "
		    "written it",
		    kind);
	if (fleet_put(key, json_object_get(line, "value"), send_line, in, e) ==
	    -1)
		return -1;
	if (strcmp(kind, "app") == 0)
		send_pair(in, "SADD", KEY_APPS, 0, name, NULL);
	if (strcmp(kind, "limit") == 0) {
		rds_cmd(&cmd, "PEXPIRE");
		rds_arg(&cmd, key);
		rds_arg(&cmd, WEEK_MS);
		send_line(in, &cmd);
	}
	return 0;
}

static int
put(struct in *in, const json_t *line, struct err *e)
{
	const char *kind = transfer_text(line, "kind");
	const char *name = transfer_text(line, "name");
	char clean[DOMAIN_NAME_MAX];
	bool of_domain =
	    strcmp(kind, "domain") == 0 || strcmp(kind, "removed") == 0;

	fleet_digest(&in->digest, line);
	if (of_domain && (domain_normalise(name, clean, e) == -1 ||
			     strcmp(clean, name) != 0))
		return err_set(
		    e, ERR_REFUSED, "\"%.60s\" is not a domain's name", name);
	if (strcmp(kind, "domain") == 0)
		return put_domain(in, line, name, e);
	if (strcmp(kind, "removed") == 0) {
		send_pair(in, "ZADD", KEY_REMOVED,
		    domain_partition(name, in->partitions),
		    transfer_text(line, "at"), name);
		return 0;
	}
	return put_other(in, line, kind, name, e);
}

/* The next line; NULL at the end of the file (e is not set), or on failure. */
static json_t *
next_line(struct in *in, struct err *e)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t len = getline(&text, &room, in->file);
	json_error_t why;
	json_t *line = NULL;

	e->kind = ERR_NONE;
	if (len > FLEET_LINE_MAX)
		err_set(e, ERR_REFUSED, "a line of the file is too long");
	else if (len > 0 && text[len - 1] != '\n')
		err_set(e, ERR_REFUSED, "the file ends in the middle");
	else if (len > 0)
		line =
		    json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, &why);
	if (len > 0 && line == NULL && e->kind == ERR_NONE)
		err_set(e, ERR_REFUSED, "a line of the file is no JSON: %s",
		    why.text);
	if (len <= 0)
		err_set(e, ERR_REFUSED, "the file has no end: it was cut");
	free(text);
	return line;
}

/* Is it sealed with keys that we have? */
static int
check_proof(const struct in *in, const json_t *header, struct err *e)
{
	struct buf sealed, plain;
	int rc = -1;

	buf_init(&sealed, 4096);
	buf_init(&plain, 4096);
	if (fleet_bytes(json_object_get(header, "proof"), &sealed) == 0 &&
	    seal_open(in->ring, "export", transfer_text(in->meta, "cluster_id"),
		"", sealed.p, sealed.len, &plain, e) == 0 &&
	    strcmp(plain.p, TRANSFER_PROOF) == 0)
		rc = 0;
	buf_clear(&sealed);
	buf_clear(&plain);
	return rc == 0 ? 0
	               : err_set(e, ERR_CONFIG,
			     "its secrets are sealed with another key ring "
			     "than %s: put that of the old fleet there",
			     in->conf->kek_file);
}

static int
take_header(struct in *in, struct err *e)
{
	json_t *header = next_line(in, e);
	const json_t *gen;
	size_t i;
	int rc = -1;

	if (header == NULL)
		return -1;
	in->meta = json_incref(json_object_get(header, "meta"));
	if (strcmp(transfer_text(header, "kind"), "certfleet") != 0)
		err_set(e, ERR_REFUSED, "that is no export of certfleet");
	else if (json_integer_value(json_object_get(header, "format")) !=
		 FLEET_FORMAT)
		err_set(e, ERR_REFUSED,
		    "it has another format than %d: restore it with "
		    "certfleet-sync %.40s",
		    FLEET_FORMAT, transfer_text(header, "version"));
	else if (transfer_partitions(in->meta, e) != -1)
		rc = check_proof(in, header, e);
	json_array_foreach (json_object_get(header, "gens"), i, gen)
		if (json_integer_value(gen) > in->gen)
			in->gen = json_integer_value(gen);
	json_decref(header);
	return rc;
}

static int
check_empty(const struct in *in, struct err *e)
{
	json_t *meta = fleet_read_meta(in->link, in->conf, e);
	int n = in->conf->redis.cluster.n > 0 ? in->partitions : 1, rc = 0;
	bool failed = meta == NULL;

	if (json_object_size(meta) > 0)
		rc = 1;
	json_decref(meta);
	for (int i = 0; !failed && rc == 0 && i < n; i++) {
		rc = fleet_read_any(in->link, in->conf, i, e);
		failed = rc == -1;
	}
	if (failed)
		return -1;
	return rc == 0 ? 0
	               : err_set(e, ERR_REFUSED,
			     "there is something of a fleet in this Redis "
			     "already (%s...): it must be empty, and no "
			     "certfleet-sync may run on it",
			     in->conf->redis.prefix);
}

static void
put_meta(struct in *in, const char *schema)
{
	char key[FLEET_KEY_MAX];
	const char *field;
	struct rds_cmd cmd;
	json_t *v;

	rds_cmd(&cmd, "HSET");
	rds_arg(&cmd, fleet_key(in->conf, KEY_META, 0, NULL, key));
	json_object_foreach (in->meta, field, v) {
		if (cmd.argc + 8 > RDS_ARGS_MAX || !json_is_string(v))
			continue;
		rds_arg(&cmd, field);
		rds_arg(&cmd, json_string_value(v));
	}
	/* The last of equal fields counts. */
	rds_arg(&cmd, "partitions");
	rds_arg_int(&cmd, in->partitions);
	rds_arg(&cmd, "named");
	rds_arg(&cmd, "1");
	rds_arg(&cmd, "schema");
	rds_arg(&cmd, schema);
	send_line(in, &cmd);
}

/* All that is written is new to every node: no generation is lower than one. */
static void
put_gens(struct in *in)
{
	char gen[24];

	snprintf(gen, sizeof(gen), "%lld", (long long)in->gen);
	for (int i = 0; in->gen > 0 && i < in->partitions; i++)
		send_pair(in, "SET", KEY_GEN, i, gen, NULL);
}

static int
compare(const struct fleet_digest *d, const json_t *end, const char *where,
    struct err *e)
{
	char hex[65];

	transfer_digest(d, hex);
	if (json_integer_value(json_object_get(end, "lines")) == d->lines &&
	    strcmp(transfer_text(end, "digest"), hex) == 0)
		return 0;
	return err_set(e, ERR_BUG,
	    "%s has %lld lines that come to %.16s..., the end of the file "
	    "says %lld and %.16s...; empty the Redis and begin again",
	    where, (long long)d->lines, hex,
	    (long long)json_integer_value(json_object_get(end, "lines")),
	    transfer_text(end, "digest"));
}

static int
count_line(void *arg, const json_t *line, struct err *e)
{
	(void)e;
	fleet_digest(arg, line);
	return 0;
}

static int
finish(struct in *in, const json_t *end, struct err *e)
{
	struct fleet_digest found = { 0 };

	if (compare(&in->digest, end, "the file", e) == -1)
		return -1;
	put_gens(in);
	if (link_wait(in->link, e) == -1 ||
	    fleet_read(in->link, in->conf, in->partitions, count_line, &found,
		e) == -1 ||
	    compare(&found, end, "Redis", e) == -1)
		return -1;
	put_meta(in, "1");
	return link_wait(in->link, e);
}

static int
put_lines(struct in *in, struct err *e)
{
	json_t *line;
	bool end = false;
	int rc = 0;

	while (rc == 0 && !end) {
		line = next_line(in, e);
		if (line == NULL)
			return -1;
		end = strcmp(transfer_text(line, "kind"), "end") == 0;
		rc = end ? finish(in, line, e) : put(in, line, e);
		json_decref(line);
		if (rc == 0 && in->under_way > UNDER_WAY_MAX) {
			in->under_way = 0;
			rc = link_wait(in->link, e);
		}
	}
	return rc;
}

static int
restore_all(struct in *in, struct err *e)
{
	if (take_header(in, e) == -1)
		return -1;
	in->link = link_open(in->conf, e);
	if (in->link == NULL || check_empty(in, e) == -1)
		return -1;
	put_meta(in, RESTORING);
	if (link_wait(in->link, e) == -1)
		return -1;
	return put_lines(in, e);
}

int
transfer_restore(const struct conf *conf, const struct seal_ring *ring,
    const char *path, struct err *e)
{
	struct in in = { .conf = conf,
		.ring = ring,
		.partitions = conf->redis.partitions,
		.file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re") };
	int rc;

	if (in.file == NULL)
		return err_set(
		    e, ERR_CONFIG, "cannot read %s: %s", path, strerror(errno));
	rc = restore_all(&in, e);
	if (rc == 0)
		log_info("restored domains=%lld lines=%lld partitions=%d: what "
			 "Redis has was read again and is the same",
		    (long long)in.digest.domains, (long long)in.digest.lines,
		    in.partitions);
	link_close(in.link);
	json_decref(in.meta);
	if (in.file != stdin)
		fclose(in.file);
	return rc;
}
