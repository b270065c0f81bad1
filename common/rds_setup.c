#include "common/rds_setup.h"

#include <stddef.h>

#include "common/conf.h"

static struct rds_place *
follow_sentinels(
    const struct rds_setup *s, struct event_base *base, const struct conf *conf)
{
	const char *address[CONF_REDIS_SERVERS_MAX];
	struct rds_sentinels sentinels = { .address = address,
		.name = conf->redis.master,
		.tls = conf->redis.sentinel_tls,
		.master_tls = conf->redis.tls };
	struct rds_conf to = s->conf;

	for (size_t i = 0; i < conf->redis.sentinels.n; i++)
		address[sentinels.n++] = conf->redis.sentinels.item[i];
	to.user = conf->redis.sentinel_user;
	to.password = conf->redis.sentinel_password;
	return rds_sentinel_new(base, &to, &sentinels);
}

static struct rds_place *
follow_cluster(
    const struct rds_setup *s, struct event_base *base, const struct conf *conf)
{
	const char *address[CONF_REDIS_SERVERS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < conf->redis.cluster.n; i++)
		address[n++] = conf->redis.cluster.item[i];
	return rds_cluster_new(base, &s->conf, address, n, conf->redis.tls);
}

void
rds_setup_init(struct rds_setup *s, struct event_base *base,
    const struct conf *conf, const char *name, bool load_library)
{
	s->conf = (struct rds_conf){
		.url = conf_redis_url(conf),
		.user = conf->redis.user,
		.password = conf->redis.password,
		.name = name,
		.ca_file = conf->redis.ca_file,
		.cert_file = conf->redis.cert_file,
		.key_file = conf->redis.key_file,
		.server_name = conf->redis.server_name,
		.db = conf->redis.db,
		.connect_timeout_ms = conf->redis.connect_timeout_ms,
		.command_timeout_ms = conf->redis.command_timeout_ms,
		.load_library = load_library,
	};
	s->place = NULL;
	if (conf->redis.sentinels.n > 0)
		s->place = follow_sentinels(s, base, conf);
	if (conf->redis.cluster.n > 0) {
		s->conf.cluster = true;
		s->place = follow_cluster(s, base, conf);
	}
	s->conf.place = s->place;
}

void
rds_setup_clear(struct rds_setup *s)
{
	rds_place_free(s->place);
	s->place = NULL;
}
