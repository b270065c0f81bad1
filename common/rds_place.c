#include "common/rds_place.h"

#include <stdio.h>
#include <string.h>

void
rds_place_init(struct rds_place *p, const struct rds_place_kind *kind)
{
	p->kind = kind;
	TAILQ_INIT(&p->listeners);
}

void
rds_place_free(struct rds_place *p)
{
	if (p != NULL)
		p->kind->free(p);
}

int
rds_place_url(
    const struct rds_place *p, int slot, char url[RDS_URL_MAX], struct err *e)
{
	return p->kind->url(p, slot, url, e);
}

void
rds_place_doubt(struct rds_place *p, const char *url)
{
	p->kind->doubt(p, url);
}

void
rds_place_join(struct rds_place *p, struct rds_listener *l)
{
	TAILQ_INSERT_TAIL(&p->listeners, l, link);
}

void
rds_place_leave(struct rds_place *p, struct rds_listener *l)
{
	TAILQ_REMOVE(&p->listeners, l, link);
}

void
rds_place_moved(struct rds_place *p)
{
	struct rds_listener *l;

	TAILQ_FOREACH (l, &p->listeners, link)
		l->moved(l->arg);
}

int
rds_place_format(
    char url[RDS_URL_MAX], bool tls, const char *host, const char *port)
{
	bool six = strchr(host, ':') != NULL && host[0] != '[';
	int n = snprintf(url, RDS_URL_MAX, "redis%s://%s%s%s:%s",
	    tls ? "s" : "", six ? "[" : "", host, six ? "]" : "", port);

	return n < RDS_URL_MAX ? 0 : -1;
}
