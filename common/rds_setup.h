/* What the settings say about Redis, as its clients want it. */
#ifndef COMMON_RDS_SETUP_H
#define COMMON_RDS_SETUP_H

#include <stdbool.h>

#include "common/rds.h"

struct conf;
struct event_base;

struct rds_setup {
	struct rds_conf conf;
	struct rds_place *place; /* NULL: at conf.url for ever */
};

/*
 * name is what CLIENT LIST shows.  The settings are borrowed; clear it after all
 * clients that have its conf.
 */
void rds_setup_init(struct rds_setup *, struct event_base *,
    const struct conf *, const char *name, bool load_library);
void rds_setup_clear(struct rds_setup *);

#endif
